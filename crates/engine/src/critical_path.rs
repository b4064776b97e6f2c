//! The critical path: the chain of steps that determined the duration of a run.

use std::time::Duration;

use tokio::time::Instant;

use super::StepId;

/// A step's start and end.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) id: StepId,
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

/// The chain of steps, first to last, in which each started when the previous one had ended, traced back from
/// the step that ended last. A step starts as soon as possible, so the step that ended last before its start
/// is what it waited for.
pub(super) fn critical_path(mut steps: Vec<Span>) -> Vec<(StepId, Duration)> {
    steps.sort_by_key(|step| step.ended);
    let mut path = Vec::new();
    let mut ends_by: Option<Instant> = None;
    for step in steps.into_iter().rev() {
        if ends_by.is_none_or(|start| step.ended <= start) {
            path.push((step.id, step.ended - step.began));
            ends_by = Some(step.began);
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_follows_what_each_step_waited_for() {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let step = |name: &str, began, ended| Span {
            id: StepId { stage: "s".into(), name: name.into() },
            began: at(began),
            ended: at(ended),
        };
        let path = critical_path(vec![step("a", 0, 1), step("b", 1, 9), step("c", 1, 4), step("d", 9, 10)]);
        let names: Vec<_> = path.iter().map(|(id, _)| id.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "d"]);
    }
}
