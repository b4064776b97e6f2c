//! A task file, as it is written. Unknown fields and wrong types fail with file, line and column.

use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::step::{Check, CrdSpec, Moment, Repair, StepKind, StepSpec, WaitSpec, When};
use super::words::{DeclaredWord, Named, parse_duration};
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::{Expressions, OwnRules, Probe, Texts};

/// A task file of `bootstrapper`: the stages of a bootstrap, in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bootstrapper task file")]
pub(super) struct TaskFile {
    /// The stages, in order.
    pub(super) stages: Vec<StageFile>,
    /// When objects of kinds of one's own are ready.
    #[serde(default)]
    #[schemars(with = "Vec<RuleFile>")]
    pub(super) readiness: Vec<Spanned<RuleFile>>,
}

/// When objects of a kind are ready: CEL, in the form of Flux's `healthCheckExprs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleFile {
    /// `group/version` of the kind.
    api_version: String,
    /// The kind.
    kind: String,
    /// CEL that is true while an object is on its way.
    in_progress: Option<String>,
    /// CEL that is true once it never will be ready.
    failed: Option<String>,
    /// CEL that is true once it is ready.
    current: String,
}

/// A group of steps that starts when the stages it needs are done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StageFile {
    /// Its name.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The stages that must be done before it starts; the one before it, if this is left out.
    pub(super) needs: Option<Vec<String>>,
    /// Whether its steps run at once, instead of one after the other.
    #[serde(default)]
    pub(super) parallel: bool,
    /// Its steps, in order.
    #[schemars(with = "Vec<StepFile>")]
    pub(super) steps: Vec<Spanned<StepFile>>,
}

/// A step: exactly one of the kinds `checks` to `command`, and what all kinds share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFile {
    /// Its name within the stage; made of what it does, if this is left out.
    name: Option<String>,
    /// How long it may take: `90s`, `5m`. 30m, if this is left out.
    timeout: Option<String>,
    /// How long nothing may change meanwhile: every change begins it anew. 10m, if this is left out.
    inactivity: Option<String>,
    /// `declared`: skip it on a cluster that does not declare what it is about.
    #[serde(default)]
    when: When,
    /// Whether what it makes must also be ready before the next step starts. Yes, if left out.
    r#await: Option<bool>,

    /// Look for problems and list all of them, before anything is written.
    checks: Option<Vec<Check>>,
    /// Make namespaces.
    namespaces: Option<Named>,
    /// Make the secrets of `bootstrapper.yaml`.
    secrets: Option<DeclaredWord>,
    /// Apply the objects of a file of the repository. `${VAR}` stands for a setting of the cluster.
    objects: Option<PathBuf>,
    /// Build and apply the Flux Kustomization of that name, as Flux would.
    kustomization: Option<String>,
    /// Apply CRDs and await that they are served.
    crds: Option<CrdsFile>,
    /// Install the HelmRelease of that name, as the cluster declares it.
    release: Option<String>,
    /// Await a fact of the cluster.
    wait: Option<WaitFile>,
    /// Put something right that a cluster may have got wrong on the way.
    repair: Option<Repair>,
    /// Apply the GitRepository of the cluster.
    source: Option<DeclaredWord>,
    /// Apply the root Kustomization of the cluster.
    sync: Option<DeclaredWord>,
    /// Tell what Flux changes as it takes over: before it begins, or after.
    adoption: Option<Moment>,
    /// Await that every Kustomization and HelmRelease is ready, by Flux's own word.
    handover: Option<DeclaredWord>,
    /// Run a program of the repository or of PATH, on the cluster of the run. `{{cluster}}` stands for the
    /// cluster's name.
    command: Option<Vec<String>>,
}

/// Where CRDs come from: exactly one of `kustomization`, `manifest` and `releases`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CrdsFile {
    /// The Flux Kustomization of that name, and those that it brings.
    kustomization: Option<String>,
    /// A manifest: an `https://` address, or a path of the repository. `${VAR}` stands for a setting.
    manifest: Option<String>,
    /// The SHA-256 of what the address of `manifest` answers, in hexadecimal: anything else is refused.
    /// `${VAR}` stands for a setting.
    sha256: Option<String>,
    /// The charts of the declared releases.
    releases: Option<DeclaredWord>,
}

/// What is waited for: a probe, or one object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitFile {
    /// A probe by name.
    probe: Option<Probe>,
    /// One object, by the rule of its kind or by the expressions beside it.
    object: Option<ObjectRef>,
    /// CEL that is true once the object is ready: `has(object.status.loadBalancer.ingress)`.
    ready: Option<String>,
    /// CEL that is true once the object never will be ready.
    failed: Option<String>,
}

/// The JSON Schema of task files.
pub fn schema() -> Schema {
    schema_for!(TaskFile)
}

/// Where a value stands in a file.
pub(super) fn location_of<T>(spanned: &Spanned<T>, file: &Path) -> Location {
    let at = spanned.defined;
    Location {
        file: file.to_owned(),
        line: usize::try_from(at.line()).unwrap_or_default(),
        column: usize::try_from(at.column()).unwrap_or_default(),
    }
}

/// Adds a rule to those that are there.
pub(super) fn add_rule(spanned: Spanned<RuleFile>, file: &Path, rules: &mut OwnRules) -> Result<()> {
    let location = location_of(&spanned, file);
    let RuleFile { api_version, kind, in_progress, failed, current } = spanned.value;
    let texts = Texts { in_progress, failed, current: Some(current) };
    let rule = Expressions::compile(&texts).map_err(|failure| failure.at(location.clone()))?;
    if rules.add(api_version.clone(), kind.clone(), rule) {
        return Ok(());
    }
    Err(Failure::input(format!("{kind} of {api_version} has two rules")).at(location))
}

/// Checks a step and gives it its shape.
pub(super) fn step_of(spanned: Spanned<StepFile>, file: &Path) -> Result<StepSpec> {
    let location = location_of(&spanned, file);
    let refuse = |what: String| Failure::input(what).at(location.clone());
    let step = spanned.value;
    let limit = |text: &Option<String>| {
        let limit = text.as_deref().map(parse_duration).transpose();
        limit.map_err(|failure| failure.at(location.clone()))
    };
    let (timeout, inactivity) = (limit(&step.timeout)?, limit(&step.inactivity)?);
    let wait = step.wait.map(|wait| wait_of(wait).map_err(refuse)).transpose()?;
    let crds = step.crds.map(|crds| crds_of(crds).map_err(refuse)).transpose()?;
    let kinds = [
        step.checks.map(StepKind::Checks),
        step.namespaces.map(StepKind::Namespaces),
        step.secrets.map(StepKind::Secrets),
        step.objects.map(StepKind::Objects),
        step.kustomization.map(StepKind::Kustomization),
        crds.map(StepKind::Crds),
        step.release.map(StepKind::Release),
        wait.map(StepKind::Wait),
        step.repair.map(StepKind::Repair),
        step.source.map(StepKind::Source),
        step.sync.map(StepKind::Sync),
        step.adoption.map(StepKind::Adoption),
        step.handover.map(StepKind::Handover),
        step.command.map(StepKind::Command),
    ];
    let mut kinds = kinds.into_iter().flatten();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(Failure::input("a step does exactly one thing").at(location).hint(
            "give it one of checks, namespaces, secrets, objects, kustomization, crds, release, wait, repair, source, sync, adoption, handover, command",
        ));
    };
    Ok(StepSpec {
        kind,
        timeout,
        inactivity,
        when: step.when,
        own_name: step.name,
        await_workloads: step.r#await.unwrap_or(true),
        location,
    })
}

fn crds_of(crds: CrdsFile) -> Result<CrdSpec, String> {
    match (crds.kustomization, crds.manifest, crds.releases) {
        (Some(name), None, None) if crds.sha256.is_none() => Ok(CrdSpec::Kustomization(name)),
        (None, None, Some(word)) if crds.sha256.is_none() => Ok(CrdSpec::Releases(word)),
        (None, Some(location), None) => match &crds.sha256 {
            Some(_) if !location.contains("://") => {
                Err("`sha256` is of what an address answers; git keeps what lies in the repository"
                    .to_owned())
            }
            Some(digest) if !digest.contains("${") && !is_sha256(digest) => {
                Err(format!("`{digest}` is no SHA-256 (64 hexadecimal digits)"))
            }
            _ => Ok(CrdSpec::Manifest { location, sha256: crds.sha256 }),
        },
        (None, None, None) | (Some(_), ..) | (_, _, Some(_)) if crds.sha256.is_some() => {
            Err("`sha256` belongs to a `manifest`".to_owned())
        }
        _ => Err("crds need exactly one of `kustomization`, `manifest` and `releases`".to_owned()),
    }
}

/// Whether a text is a SHA-256 in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    is_hex(text, 64)
}

fn wait_of(wait: WaitFile) -> Result<WaitSpec, String> {
    match (wait.probe, wait.object) {
        (Some(probe), None) if wait.ready.is_none() && wait.failed.is_none() => Ok(WaitSpec::Probe(probe)),
        (Some(_), None) => {
            Err("a probe has its own rule: `ready` and `failed` belong to an object".to_owned())
        }
        (None, Some(id)) => Ok(WaitSpec::Object { id, ready: wait.ready, failed: wait.failed }),
        _ => Err("a wait needs either a `probe` or an `object`".to_owned()),
    }
}
