//! The file of `plan --out`: what a run with `--plan` may do.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::session::Session;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::masked_json;
use bootstrapper_core::private;
use bootstrapper_engine::{self as engine, Change, Diff, Observation, PlannedStep};

/// The format version of new files.
const FORMAT: u32 = 1;

/// The plan of one cluster.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanFile {
    format: u32,
    cluster: String,
    /// `sandbox`, or the address of the API server.
    place: String,
    /// The revision of the repository.
    revision: Option<String>,
    steps: Vec<StepPlan>,
}

/// What a step would do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StepPlan {
    step: String,
    title: String,
    /// Its changes, each in one line; none if it has nothing to do, or only waits.
    changes: Vec<String>,
    /// Whether it cannot be known yet what it will do.
    is_unknown: bool,
}

/// A step, and what was observed.
pub(super) type Observed = (PlannedStep, Result<Observation>);

/// Writes the plan to a file that only this user can open.
pub(super) fn write(file: &Path, session: &Session, observed: &[Observed]) -> Result<()> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot write {}", file.display())).caused_by(error)
    };
    let text = masked(&plan_of(session, observed))?;
    private::replace(file, format!("{text}\n").as_bytes()).map_err(|error| failed(&error))
}

/// Fails unless a run would do now what the file says.
pub(super) async fn require(file: &Path, session: &Session) -> Result<()> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::input(format!("cannot read the plan {}", file.display())).caused_by(error)
    };
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let planned: PlanFile = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    if planned.format > FORMAT {
        return Err(Failure::input(format!("a newer version of bootstrapper wrote {}", file.display())));
    }
    let now = plan_of(session, &engine::observe(&session.graph).await);
    // The file has no secrets, so the present plan must not have any, either.
    let now: PlanFile = serde_json::from_str(&masked(&now)?).map_err(|error| failed(&error))?;
    let moved = differences(&planned, &now);
    if moved.is_empty() {
        return Ok(());
    }
    let name = &session.declared.cluster;
    let failure = Failure::input(format!("{name} is not as it was when {} was written", file.display()));
    Err(moved
        .into_iter()
        .fold(failure, Failure::because)
        .hint(format!("nothing was written; plan again: bootstrapper plan {name} --out {}", file.display())))
}

fn masked(plan: &PlanFile) -> Result<String> {
    let text = serde_json::to_string_pretty(plan)
        .map_err(|error| Failure::internal("cannot encode the plan as JSON").caused_by(&error))?;
    Ok(masked_json(&text).into_owned())
}

fn plan_of(session: &Session, observed: &[Observed]) -> PlanFile {
    PlanFile {
        format: FORMAT,
        cluster: session.declared.cluster.clone(),
        place: session.place(),
        revision: session.declared.revision.clone(),
        steps: observed.iter().map(|(step, observation)| step_plan(step, observation)).collect(),
    }
}

fn step_plan(step: &PlannedStep, observation: &Result<Observation>) -> StepPlan {
    let (changes, is_unknown) = match observation {
        Ok(Observation::Missing(diff) | Observation::Drifted(diff)) => (lines(diff), false),
        // Whether a wait has ended meanwhile makes no difference to what is written.
        Ok(Observation::Satisfied { .. } | Observation::Awaited { .. }) => (Vec::new(), false),
        Ok(Observation::Blocked { .. }) | Err(_) => (Vec::new(), true),
    };
    StepPlan { step: step.id.to_string(), title: step.title.clone(), changes, is_unknown }
}

fn lines(diff: &Diff) -> Vec<String> {
    let line = |change: &Change| {
        let kind = match change.kind {
            engine::ChangeKind::Created => "create",
            engine::ChangeKind::Configured => "configure",
            engine::ChangeKind::Deleted => "delete",
            engine::ChangeKind::Conflict => "conflict",
        };
        let details = if change.details.is_empty() { "" } else { ": " };
        format!("{kind} {}{details}{}", change.subject, change.details.join(", "))
    };
    std::iter::once(diff.summary.clone()).chain(diff.changes.iter().map(line)).collect()
}

/// How two plans differ, each in one line.
fn differences(planned: &PlanFile, now: &PlanFile) -> Vec<String> {
    let unset = || "no git revision".to_owned();
    let revision = |plan: &PlanFile| plan.revision.clone().unwrap_or_else(unset);
    let of_run = [
        ("cluster", planned.cluster.clone(), now.cluster.clone()),
        ("API server", planned.place.clone(), now.place.clone()),
        ("repository", revision(planned), revision(now)),
    ];
    let mut all: Vec<String> = of_run
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(what, before, after)| format!("{what}: {before} → {after}"))
        .collect();
    for step in &now.steps {
        match planned.steps.iter().find(|before| before.step == step.step) {
            None => all.push(format!("{}: a new step", step.step)),
            Some(before) if before != step => all.push(moved(before, step)),
            Some(_) => {}
        }
    }
    let gone = planned.steps.iter().filter(|step| now.steps.iter().all(|other| other.step != step.step));
    all.extend(gone.map(|step| format!("{}: no longer a step", step.step)));
    all
}

/// The first difference of a step.
fn moved(before: &StepPlan, now: &StepPlan) -> String {
    let said = |plan: &StepPlan, other: &StepPlan| {
        let own = plan.changes.iter().find(|change| !other.changes.contains(change));
        match own {
            Some(change) => change.clone(),
            None if plan.is_unknown => "unknown".to_owned(),
            None if plan.changes.is_empty() => "nothing to do".to_owned(),
            None => plan.title.clone(),
        }
    };
    format!("{}: planned: {}; now: {}", now.step, said(before, now), said(now, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(steps: &[(&str, &[&str], bool)]) -> PlanFile {
        let steps = steps.iter().map(|(step, changes, is_unknown)| StepPlan {
            step: (*step).to_owned(),
            title: "title".to_owned(),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
            is_unknown: *is_unknown,
        });
        PlanFile {
            format: FORMAT,
            cluster: "infra".to_owned(),
            place: "https://192.0.2.1:6443".to_owned(),
            revision: Some("main@1".to_owned()),
            steps: steps.collect(),
        }
    }

    #[test]
    fn whatever_has_moved_is_named() {
        let before =
            plan(&[("a/x", &["create Namespace a"], false), ("a/y", &[], true), ("a/z", &[], false)]);
        assert_eq!(differences(&before, &before), Vec::<String>::new());
        let now = PlanFile {
            revision: None,
            ..plan(&[("a/x", &[], false), ("a/y", &["delete Node n"], false), ("a/new", &[], false)])
        };
        assert_eq!(
            differences(&before, &now),
            [
                "repository: main@1 → no git revision",
                "a/x: planned: create Namespace a; now: nothing to do",
                "a/y: planned: unknown; now: delete Node n",
                "a/new: a new step",
                "a/z: no longer a step",
            ]
        );
    }
}
