//! Which part of a pipeline runs.

use std::collections::BTreeMap;

use super::load::Pipeline;
use bootstrapper_core::failure::{Failure, Result};

/// The selection: each entry is a stage, or `stage/step`.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Only these.
    pub only: Vec<String>,
    /// Skip everything before this.
    pub from: Option<String>,
    /// Skip everything after this.
    pub until: Option<String>,
    /// Not these.
    pub skip: Vec<String>,
}

/// The steps that do not run, and why.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    skipped: BTreeMap<(String, String), String>,
}

impl Selected {
    /// Why a step does not run; none if it does.
    pub fn reason_to_skip(&self, stage: &str, step: &str) -> Option<String> {
        self.skipped.get(&(stage.to_owned(), step.to_owned())).cloned()
    }

    /// Whether the whole pipeline runs.
    pub fn is_whole(&self) -> bool {
        self.skipped.is_empty()
    }
}

/// Selects steps. Fails on a name that the pipeline does not have.
pub fn select(pipeline: &Pipeline, selector: &Selector) -> Result<Selected> {
    let steps: Vec<(String, String)> = pipeline
        .stages
        .iter()
        .flat_map(|stage| stage.steps.iter().map(|step| (stage.name.clone(), step.name())))
        .collect();
    let matching = |name: &str| -> Result<Vec<usize>> {
        let found: Vec<usize> = (0..steps.len()).filter(|at| is_named(&steps[*at], name)).collect();
        if found.is_empty() { Err(unknown(pipeline, &steps, name)) } else { Ok(found) }
    };
    let only = selector.only.iter().map(|name| matching(name)).collect::<Result<Vec<_>>>()?.concat();
    let skip = selector.skip.iter().map(|name| matching(name)).collect::<Result<Vec<_>>>()?.concat();
    let first = match &selector.from {
        Some(name) => matching(name)?.first().copied().unwrap_or_default(),
        None => 0,
    };
    let last = match &selector.until {
        Some(name) => matching(name)?.last().copied().unwrap_or_default(),
        None => steps.len(),
    };
    let reason = |at: usize| -> Option<String> {
        if skip.contains(&at) {
            Some("--skip".to_owned())
        } else if !only.is_empty() && !only.contains(&at) {
            Some(format!("--only {}", selector.only.join(",")))
        } else if at < first {
            selector.from.as_ref().map(|from| format!("--from {from}"))
        } else if at > last {
            selector.until.as_ref().map(|until| format!("--until {until}"))
        } else {
            None
        }
    };
    let skipped =
        steps.iter().enumerate().filter_map(|(at, step)| Some((step.clone(), reason(at)?))).collect();
    Ok(Selected { skipped })
}

fn is_named((stage, step): &(String, String), name: &str) -> bool {
    match name.split_once('/') {
        Some((of_stage, of_step)) => stage == of_stage && step == of_step,
        None => stage == name,
    }
}

fn unknown(pipeline: &Pipeline, steps: &[(String, String)], name: &str) -> Failure {
    let stages = pipeline.stages.iter().map(|stage| stage.name.clone());
    let known: Vec<String> =
        stages.chain(steps.iter().map(|(stage, step)| format!("{stage}/{step}"))).collect();
    let failure = Failure::input(format!("no stage or step `{name}`"));
    match known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
    {
        Some(nearest) if strsim::jaro_winkler(nearest, name) > 0.7 => {
            failure.hint(format!("did you mean `{nearest}`?"))
        }
        _ => failure.hint(format!(
            "stages: {}",
            pipeline.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::tests::{OWN, read};
    use super::*;

    fn names(selector: &Selector) -> Vec<String> {
        let pipeline = read(OWN).unwrap();
        let selected = select(&pipeline, selector).unwrap();
        let all = pipeline
            .stages
            .iter()
            .flat_map(|stage| stage.steps.iter().map(|step| (stage.name.clone(), step.name())));
        let mut stages: Vec<String> = all
            .filter(|(stage, step)| selected.reason_to_skip(stage, step).is_none())
            .map(|(stage, _)| stage)
            .collect();
        stages.dedup();
        stages
    }

    fn text(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn stages_and_steps_are_selected_by_name() {
        let from_until =
            Selector { from: Some("core".into()), until: Some("sync".into()), ..Selector::default() };
        assert_eq!(names(&from_until), ["core", "flux", "sync"]);
        let only = Selector { only: text(&["flux", "crds/crds-releases"]), ..Selector::default() };
        assert_eq!(names(&only), ["crds", "flux"]);
        let skip = Selector {
            skip: text(&["preflight", "handover"]),
            until: Some("crds".into()),
            ..Selector::default()
        };
        assert_eq!(names(&skip), ["prerequisites", "crds"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let pipeline = read(OWN).unwrap();
        let failure =
            select(&pipeline, &Selector { from: Some("cillium".into()), ..Selector::default() }).unwrap_err();
        assert_eq!(failure.hints, ["did you mean `cilium`?"]);
    }
}
