//! No step starts before all of its direct and indirect dependencies have succeeded: on random plans,
//! selections and outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::verdict::{Readiness, Verdict};

/// The outcome of a step if it is started; or that it is not selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    AlreadyDone,
    Refused,
    NeverReady,
    Late,
    PanicsAtOnce,
    PanicsAtWork,
    PanicsAtLast,
    Interrupted,
    Deselected,
}

#[derive(Debug, Clone)]
struct Planned {
    needs: Vec<usize>,
    parallel: bool,
    steps: Vec<Fate>,
}

struct Fated(Fate, CancellationToken);

#[async_trait]
impl Undo for Fated {
    async fn owned(&self) -> Result<Owned> {
        Ok(Owned::default())
    }

    async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
}

#[async_trait]
impl Step for Fated {
    async fn observe(&self) -> Result<Observation> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match self.0 {
            Fate::PanicsAtOnce => panic!("as it looks"),
            Fate::AlreadyDone => Ok(Observation::Satisfied { summary: String::new(), unchanged: 1 }),
            _ => Ok(Observation::Missing(Diff::default())),
        }
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        match self.0 {
            Fate::PanicsAtWork => panic!("as it acts"),
            Fate::Refused => return Err(Failure::step("refused")),
            // The run is cancelled; a step that is ready by then is ready.
            Fate::Interrupted => self.1.cancel(),
            _ => {}
        }
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let fate = self.0;
        stream::once(async move {
            match fate {
                Fate::NeverReady => Ok(Verdict::never("it cannot").into()),
                Fate::PanicsAtLast => panic!("as it waits"),
                Fate::Late => Ok(Verdict::not_yet("it takes long").into()),
                _ => Ok(Readiness::ready()),
            }
        })
        .chain(stream::pending())
        .boxed()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

fn plans() -> impl Strategy<Value = Vec<Planned>> {
    let fate = prop_oneof![
        6 => Just(Fate::Done),
        2 => Just(Fate::AlreadyDone),
        6 => Just(Fate::Deselected),
        1 => Just(Fate::Refused),
        1 => Just(Fate::NeverReady),
        1 => Just(Fate::Late),
        1 => Just(Fate::PanicsAtOnce),
        1 => Just(Fate::PanicsAtWork),
        1 => Just(Fate::PanicsAtLast),
        1 => Just(Fate::Interrupted),
    ];
    let stage = (vec(any::<prop::sample::Index>(), 0..3), any::<bool>(), vec(fate, 0..4));
    vec(stage, 1..9).prop_map(|stages| {
        let planned =
            |(at, (needs, parallel, steps)): (usize, (Vec<prop::sample::Index>, bool, Vec<Fate>))| {
                // As in a pipeline: a stage needs only earlier stages.
                let needs: BTreeSet<usize> =
                    needs.iter().filter(|_| at > 0).map(|need| need.index(at)).collect();
                Planned { needs: needs.into_iter().collect(), parallel, steps }
            };
        stages.into_iter().enumerate().map(planned).collect()
    })
}

fn id(stage: usize, step: usize) -> StepId {
    StepId { stage: format!("s{stage}"), name: format!("{step}") }
}

fn graph(plan: &[Planned], cancel: &CancellationToken) -> Graph {
    let limits = Limits { timeout: Duration::from_mins(1), inactivity: Duration::from_mins(1) };
    let stage = |(at, planned): (usize, &Planned)| {
        let step = |(index, fate): (usize, &Fate)| PlannedStep {
            id: id(at, index),
            title: String::new(),
            limits,
            why: None,
            digest: None,
            work: if *fate == Fate::Deselected {
                Work::Skipped { reason: "--only".to_owned() }
            } else {
                Work::Step(Arc::new(Fated(*fate, cancel.clone())))
            },
        };
        Stage {
            name: format!("s{at}"),
            needs: planned.needs.iter().map(|need| format!("s{need}")).collect(),
            parallel: planned.parallel,
            steps: planned.steps.iter().enumerate().map(step).collect(),
        }
    };
    Graph { stages: plan.iter().enumerate().map(stage).collect() }
}

/// All dependencies of a step: the steps of every stage that its stage needs, directly or indirectly; in a
/// sequential stage, also the steps before it.
fn depends_on(plan: &[Planned], stage: usize, step: usize) -> Vec<StepId> {
    let mut needed = BTreeSet::new();
    let mut open = plan[stage].needs.clone();
    while let Some(next) = open.pop() {
        if needed.insert(next) {
            open.extend(&plan[next].needs);
        }
    }
    let of_stages =
        needed.into_iter().flat_map(|at| (0..plan[at].steps.len()).map(move |index| id(at, index)));
    let before = if plan[stage].parallel { 0 } else { step };
    of_stages.chain((0..before).map(|index| id(stage, index))).collect()
}

fn played(plan: &[Planned]) -> (RunSummary, Vec<Event>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let cancel = CancellationToken::new();
    let options = RunOptions {
        gate: Arc::new(OpenGate),
        strict: false,
        force_conflicts: false,
        cancel: cancel.clone(),
        headline: String::new(),
    };
    runtime.block_on(async {
        let (events, mut received) = Events::channel();
        let summary = run(&graph(plan, &cancel), &options, &events).await;
        drop(events);
        let mut told = Vec::new();
        while let Some(event) = received.recv().await {
            told.push(event);
        }
        (summary, told)
    })
}

proptest! {
    #[test]
    fn nothing_starts_unless_all_it_depends_on_let_it(plan in plans()) {
        let (summary, told) = played(&plan);
        let outcomes: BTreeMap<StepId, StepOutcome> = summary.steps.iter().cloned().collect();
        let was_cancelled = told.iter().any(|event| matches!(event.kind, EventKind::CancelRequested));
        let place = |id: &StepId, is: fn(&EventKind) -> bool| {
            told.iter().position(|event| event.step.as_ref() == Some(id) && is(&event.kind))
        };
        let start = |id: &StepId| place(id, |kind| matches!(kind, EventKind::StepStarted));
        let end = |id: &StepId| place(id, |kind| matches!(kind, EventKind::StepFinished { .. }));
        for (at, planned) in plan.iter().enumerate() {
            for (index, fate) in planned.steps.iter().enumerate() {
                let step = id(at, index);
                let needed = depends_on(&plan, at, index);
                let let_it = needed.iter().all(|id| outcomes[id].unblocks_dependents());
                match start(&step) {
                    Some(began) => {
                        prop_assert!(*fate != Fate::Deselected);
                        prop_assert!(let_it, "{} started though {:?} did not all let it: {:?}", step, needed, outcomes);
                        let is_early = !needed.iter().all(|id| end(id).is_some_and(|end| end < began));
                        prop_assert!(!is_early, "{} was early", step);
                    }
                    None if *fate == Fate::Deselected => {
                        let is_skipped = matches!(outcomes[&step], StepOutcome::Skipped { .. });
                        prop_assert!(is_skipped);
                    }
                    None => {
                        let is_due = !let_it || was_cancelled;
                        prop_assert!(is_due, "{} was held back for no reason: {:?}", step, outcomes);
                        prop_assert_eq!(&outcomes[&step], &StepOutcome::NotStarted);
                    }
                }
                // Each step's end is reported once, whatever the outcome of others.
                let ends = told.iter().filter(|event| {
                    event.step.as_ref() == Some(&step) && matches!(event.kind, EventKind::StepFinished { .. })
                });
                prop_assert_eq!(ends.count(), 1, "{}", step);
                let is_bad = matches!(fate, Fate::Refused | Fate::NeverReady | Fate::Late | Fate::PanicsAtOnce
                    | Fate::PanicsAtWork | Fate::PanicsAtLast);
                prop_assert!(!(is_bad && start(&step).is_some()) || outcomes[&step] == StepOutcome::Failed);
            }
        }
        prop_assert_eq!(summary.succeeded(), outcomes.values().all(StepOutcome::unblocks_dependents));
    }
}
