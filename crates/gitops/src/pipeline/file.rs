//! The format of task files. Unknown fields and wrong types fail with file, line and column.

use std::path::Path;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::kinds::StepFile;
use super::step::StepSpec;
use super::words::parse_duration;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_readiness::{CustomRules, Expressions, RuleTexts};

/// A task file of `bootstrapper`: the stages of a bootstrap, in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bootstrapper task file")]
pub(super) struct TaskFile {
    /// `built-in`: the stages of this file join those that the program derives from the repository,
    /// instead of replacing them.
    pub(super) extends: Option<BuiltIn>,
    /// The stages, in order.
    pub(super) stages: Vec<StageFile>,
    /// Readiness rules for custom kinds.
    #[serde(default)]
    #[schemars(with = "Vec<RuleFile>")]
    pub(super) readiness: Vec<Spanned<RuleFile>>,
}

/// The pipeline that the program derives from what a cluster declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BuiltIn {
    /// The derived pipeline.
    BuiltIn,
}

/// A readiness rule for a kind: CEL, in the format of Flux's `healthCheckExprs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleFile {
    /// `group/version` of the kind.
    api_version: String,
    /// The kind.
    kind: String,
    /// CEL that is true while an object is in progress.
    in_progress: Option<String>,
    /// CEL that is true when it can never become ready.
    failed: Option<String>,
    /// CEL that is true when it is ready.
    current: String,
}

/// A group of steps that starts when the stages that it needs have finished.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StageFile {
    /// Its name.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The stages that must finish before it starts. Default: the one above it.
    pub(super) needs: Option<Vec<String>>,
    /// With `extends: built-in`: the stage goes directly before this one, or before its position on a cluster
    /// that lacks it.
    #[schemars(with = "Option<String>")]
    pub(super) before: Option<Spanned<String>>,
    /// With `extends: built-in`: the stage goes directly after this one, or after its position on a cluster
    /// that lacks it.
    #[schemars(with = "Option<String>")]
    pub(super) after: Option<Spanned<String>>,
    /// Whether its steps run in parallel. Default: false.
    #[serde(default)]
    pub(super) parallel: bool,
    /// Its steps, in order.
    #[schemars(with = "Vec<StepFile>")]
    pub(super) steps: Vec<Spanned<StepFile>>,
}

/// The JSON Schema of task files.
pub fn schema() -> Schema {
    schema_for!(TaskFile)
}

/// The location of a value in a file.
pub(super) fn location_of<T>(spanned: &Spanned<T>, file: &Path) -> Location {
    let at = spanned.defined;
    Location {
        file: file.to_owned(),
        line: usize::try_from(at.line()).unwrap_or_default(),
        column: usize::try_from(at.column()).unwrap_or_default(),
    }
}

/// Adds a rule.
pub(super) fn add_rule(spanned: Spanned<RuleFile>, file: &Path, rules: &mut CustomRules) -> Result<()> {
    let location = location_of(&spanned, file);
    let RuleFile { api_version, kind, in_progress, failed, current } = spanned.value;
    let texts = RuleTexts { in_progress, failed, current: Some(current) };
    let rule = Expressions::compile(&texts).map_err(|failure| failure.at(location.clone()))?;
    if rules.add(api_version.clone(), kind.clone(), rule) {
        return Ok(());
    }
    Err(Failure::input(format!("{kind} of {api_version} has two readiness rules")).at(location))
}

/// Checks and parses a step.
pub(super) fn step_of(spanned: Spanned<StepFile>, file: &Path) -> Result<StepSpec> {
    let location = location_of(&spanned, file);
    let step = spanned.value;
    let limit = |text: &Option<String>| {
        let limit = text.as_deref().map(parse_duration).transpose();
        limit.map_err(|failure| failure.at(location.clone()))
    };
    let (timeout, inactivity) = (limit(&step.timeout)?, limit(&step.inactivity)?);
    let (when, own_name, await_workloads) = (step.when, step.name.clone(), step.r#await.unwrap_or(true));
    let why = step.why.clone();
    let mut kinds = step.kinds().map_err(|why| Failure::input(why).at(location.clone()))?.into_iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(Failure::input("a step needs exactly one kind")
            .at(location)
            .hint(format!("set one of {}", StepFile::KINDS.join(", "))));
    };
    Ok(StepSpec { kind, timeout, inactivity, when, why, own_name, await_workloads, location })
}
