//! A scene is played: made, looked at as `doctor` does, and put away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bootstrapper::doctor::{self, Budget, Scope};
use bootstrapper::engine::{Cause, Observation, Step as _};
use bootstrapper::object::ObjectRef;
use bootstrapper::readiness;
use bootstrapper::steps::{Awaited, Wait};

use crate::gallery::scene::{Scene, is_like};
use crate::gallery::stage::{Part, Stage};

/// How long the right line may take before the scene counts as failed. No time is asserted: this only
/// ends what would never come.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How long a scene may take to be made, looked at and put away.
const LONGEST: Duration = Duration::from_mins(8);
const LOOK_EVERY: Duration = Duration::from_millis(1500);

/// How a scene ended.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) scene: Scene,
    pub(crate) seconds: f64,
    /// Other causes that were on the first line before.
    pub(crate) alarms: BTreeSet<String>,
    pub(crate) problem: Option<String>,
}

pub(crate) async fn play(stage: &Stage, name: String, scene: Scene) -> Outcome {
    let began = Instant::now();
    let mut watch = Watch { stage, began, alarms: BTreeSet::new() };
    let played = tokio::time::timeout(LONGEST, watch.play(&name, &scene)).await;
    let (seconds, problem) =
        played.unwrap_or_else(|_| (began.elapsed().as_secs_f64(), Some("did not come to an end".to_owned())));
    let others = watch.alarms.iter().cloned().collect::<Vec<_>>().join("; ");
    match &problem {
        None => eprintln!("ok   {name} {seconds:.1}s {others}"),
        Some(problem) => eprintln!("FAIL {name} {seconds:.1}s {problem}"),
    }
    Outcome { name, scene, seconds, alarms: watch.alarms, problem }
}

struct Watch<'a> {
    stage: &'a Stage,
    /// When the scene began to be made.
    began: Instant,
    alarms: BTreeSet<String>,
}

impl Watch<'_> {
    /// Seconds until the line was said, and what is wrong with what was said.
    async fn play(&mut self, name: &str, scene: &Scene) -> (f64, Option<String>) {
        let mut part = Part::of(self.stage, name).await;
        self.began = Instant::now();
        let mut refs = part.apply(&scene.objects).await;
        refs.extend(part.act(&scene.then).await);
        let named = |about: &String| {
            let (kind, name) = about.split_once('/').unwrap();
            let name = name.replace("$NS", &part.namespace);
            let found = refs.iter().find(|id| id.kind == kind && id.name == name);
            found.unwrap_or_else(|| panic!("no {about}")).clone()
        };
        let about: Vec<ObjectRef> = scene.about.iter().map(named).chain(scene.about_others.clone()).collect();
        let scope = if about.is_empty() {
            Scope::Namespaces(vec![part.namespace.clone()])
        } else {
            Scope::Objects(about)
        };
        let problem = match &scene.code {
            Some(code) => match self.names(&scope, code, scene.says.as_deref().unwrap_or("*")).await {
                None if scene.called_ready.is_none() => self.is_called_ready(&scope).await,
                problem => problem,
            },
            None => self.stays_calm(&scope, scene.says.as_deref(), &refs).await,
        };
        let seconds = self.began.elapsed().as_secs_f64();
        part.put_away().await;
        (seconds, problem)
    }

    async fn causes(&self, scope: &Scope) -> Vec<Cause> {
        doctor::examine(&self.stage.cluster, scope, Budget::OF_A_PERSON).await.causes
    }

    /// The right line comes first.
    async fn names(&mut self, scope: &Scope, code: &str, says: &str) -> Option<String> {
        let began = Instant::now();
        let mut last = Vec::new();
        while began.elapsed() < TIMEOUT {
            last = self.causes(scope).await;
            if let Some(first) = last.iter().find(|cause| !cause.transient) {
                if first.code.as_deref() == Some(code) && is_like(&first.cause, says) {
                    return None;
                }
                self.alarms.insert(told(std::slice::from_ref(first)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some(format!("wanted {code} {says}, last was {}", told(&last)))
    }

    /// Whatever is named as wrong, a step that waits for it must wait.
    async fn is_called_ready(&self, scope: &Scope) -> Option<String> {
        let Scope::Objects(objects) = scope else { return None };
        for id in objects {
            let awaited = Awaited::Object { id: id.clone(), readiness: Arc::default() };
            let seen = Wait::new(self.stage.cluster.clone(), awaited).observe().await.unwrap();
            if !matches!(seen, Observation::Satisfied { .. }) {
                return None;
            }
        }
        Some("was named, and whoever waits for it is told that it is ready".to_owned())
    }

    /// Nothing is called wrong, from the beginning until all is ready, or until the line was said.
    async fn stays_calm(&mut self, scope: &Scope, says: Option<&str>, refs: &[ObjectRef]) -> Option<String> {
        let began = Instant::now();
        let mut last = Vec::new();
        let mut was_said = says.is_none();
        while began.elapsed() < TIMEOUT {
            last = self.causes(scope).await;
            if let Some(wrong) = last.iter().find(|cause| !cause.transient) {
                return Some(format!("a false alarm: {}", told(std::slice::from_ref(wrong))));
            }
            was_said |= says.is_some_and(|says| last.iter().any(|cause| is_like(&cause.cause, says)));
            if was_said && (says.is_some() || self.all_ready(refs).await) {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some(format!("never came to its end; last was {}", told(&last)))
    }

    async fn all_ready(&self, refs: &[ObjectRef]) -> bool {
        for id in refs {
            match self.stage.cluster.get(id).await.unwrap() {
                Some(object) if !readiness::verdict(&object).is_ready() => return false,
                Some(_) | None => {}
            }
        }
        true
    }
}

fn told(causes: &[Cause]) -> String {
    let told = causes.iter().map(|cause| {
        let word = if cause.transient { "slow " } else { "" };
        format!(
            "{word}{}: {} ({})",
            cause.code.as_deref().unwrap_or_default(),
            cause.cause,
            cause.chain.join(" ← ")
        )
    });
    told.collect::<Vec<_>>().join("; ")
}
