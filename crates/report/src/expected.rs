//! How long steps and runs are expected to take, from earlier runs. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bootstrapper_engine::{Graph, PlannedStep, Stage};

/// The number of earlier runs that count, of those in which a step did something.
const RUNS: usize = 5;

/// An earlier run.
#[derive(Debug, Clone, Default)]
pub struct PastRun {
    /// Whether it changed anything: in others, waits end immediately.
    pub has_changed: bool,
    /// Its steps.
    pub steps: Vec<PastStep>,
}

/// A step of an earlier run that ran.
#[derive(Debug, Clone)]
pub struct PastStep {
    /// Its name in the plan.
    pub step: String,
    /// Its outcome in a word.
    pub outcome: String,
    /// Its duration.
    pub seconds: f64,
}

/// The expected duration of steps that have something to do.
#[derive(Debug, Clone, Default)]
pub struct Expected(BTreeMap<String, Duration>);

/// The expected duration of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The duration of the steps that are known.
    pub duration: Duration,
    /// How many steps have never run.
    pub unknown: usize,
}

impl Expected {
    /// What earlier runs took, the newest first: of each step the median of those runs in which it changed
    /// something; of one that only waits, the median of the runs that did.
    pub fn of(runs: &[PastRun]) -> Self {
        let mut changed: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut waited: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.has_changed) {
            for step in &run.steps {
                let kind = match step.outcome.as_str() {
                    "changed" | "done, with warnings" => &mut changed,
                    "ready" | "unchanged" => &mut waited,
                    _ => continue,
                };
                let seconds = kind.entry(&step.step).or_default();
                if seconds.len() < RUNS {
                    seconds.push(step.seconds);
                }
            }
        }
        waited.extend(changed);
        let medians = waited.into_iter().filter_map(|(step, mut seconds)| {
            seconds.sort_by(f64::total_cmp);
            let median = *seconds.get(seconds.len() / 2)?;
            Some((step.to_owned(), Duration::try_from_secs_f64(median).ok()?))
        });
        Self(medians.collect())
    }

    /// The same, with the steps that only `other` knows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut all = other.0;
        all.extend(self.0);
        Self(all)
    }

    /// The expected duration of a step.
    pub fn step(&self, step: &str) -> Option<Duration> {
        self.0.get(step).copied()
    }

    /// The expected duration of a run of those steps that `count`: stages in their order, of steps that run at
    /// the same time the longest. None if none of them is known.
    pub fn total(&self, graph: &Graph, counts: impl Fn(&PlannedStep) -> bool) -> Option<Total> {
        let is_counted = |step: &&PlannedStep| counts(step);
        let counted: Vec<&PlannedStep> = graph.steps().filter(is_counted).collect();
        let unknown = counted.iter().filter(|step| self.step(&step.id.to_string()).is_none()).count();
        if unknown == counted.len() && unknown > 0 {
            return None;
        }
        let took = |stage: &Stage| {
            let steps = stage.steps.iter().filter(is_counted);
            let steps = steps.map(|step| self.step(&step.id.to_string()).unwrap_or_default());
            if stage.parallel { steps.max().unwrap_or_default() } else { steps.sum() }
        };
        let mut ends: BTreeMap<&str, Duration> = BTreeMap::new();
        for stage in &graph.stages {
            let begins = stage.needs.iter().filter_map(|need| ends.get(need.as_str())).max();
            let end = begins.copied().unwrap_or_default() + took(stage);
            ends.insert(&stage.name, end);
        }
        Some(Total { duration: ends.into_values().max().unwrap_or_default(), unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_engine::{Limits, StepId, Work};

    fn run(has_changed: bool, steps: &[(&str, &str, f64)]) -> PastRun {
        let step = |(step, outcome, seconds): &(&str, &str, f64)| PastStep {
            step: (*step).to_owned(),
            outcome: (*outcome).to_owned(),
            seconds: *seconds,
        };
        PastRun { has_changed, steps: steps.iter().map(step).collect() }
    }

    fn stage(name: &str, needs: &[&str], parallel: bool, steps: &[&str]) -> Stage {
        let step = |step: &&str| PlannedStep {
            id: StepId { stage: name.to_owned(), name: (*step).to_owned() },
            title: String::new(),
            why: None,
            limits: Limits { timeout: Duration::MAX, inactivity: Duration::MAX },
            digest: None,
            work: Work::Skipped { reason: "not run here".to_owned() },
        };
        Stage {
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            parallel,
            steps: steps.iter().map(step).collect(),
        }
    }

    #[test]
    fn a_step_takes_what_it_took_when_it_had_something_to_do() {
        let expected = Expected::of(&[
            run(false, &[("a/release", "changed", 99.0), ("a/wait", "ready", 0.0)]),
            run(true, &[("a/release", "unchanged", 0.1), ("a/wait", "ready", 3.0)]),
            run(true, &[("a/release", "changed", 10.0), ("a/failed", "failed", 1.0)]),
            run(true, &[("a/release", "done, with warnings", 30.0)]),
            run(true, &[("a/release", "changed", 20.0)]),
        ]);
        assert_eq!(expected.step("a/release"), Some(Duration::from_secs(20)));
        assert_eq!(expected.step("a/wait"), Some(Duration::from_secs(3)));
        assert_eq!(expected.step("a/failed"), None);
        let other = Expected::of(&[run(true, &[("a/wait", "ready", 9.0), ("b/c", "changed", 4.0)])]);
        let both = expected.or(other);
        assert_eq!(both.step("a/wait"), Some(Duration::from_secs(3)));
        assert_eq!(both.step("b/c"), Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_run_takes_what_its_longest_chain_takes() {
        let expected = Expected::of(&[run(
            true,
            &[
                ("a/x", "changed", 1.0),
                ("a/y", "changed", 2.0),
                ("b/x", "changed", 10.0),
                ("b/y", "changed", 5.0),
            ],
        )]);
        let stages = vec![
            stage("a", &[], false, &["x", "y", "skipped"]),
            stage("b", &["a"], true, &["x", "y"]),
            stage("c", &["a"], false, &["new"]),
        ];
        let graph = Graph { stages };
        let total = |counts: fn(&PlannedStep) -> bool| expected.total(&graph, counts);
        let is_run = |step: &PlannedStep| step.id.name != "skipped";
        assert_eq!(total(is_run), Some(Total { duration: Duration::from_secs(13), unknown: 1 }));
        assert_eq!(
            total(|step| step.id.stage == "a" && step.id.name != "skipped").unwrap().duration,
            Duration::from_secs(3)
        );
        assert_eq!(total(|step| step.id.stage == "c"), None);
        assert_eq!(total(|_| false), Some(Total { duration: Duration::ZERO, unknown: 0 }));
    }
}
