//! A plan without a cluster: what each step is about, from the repository. Nothing is compared.

use std::path::Path;

use super::check::check_step;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef, is_crd};
use bootstrapper_gitops::pipeline::{Applies, Awaits, Named, Pipeline, Selected, StepKind, StepSpec, When};
use bootstrapper_gitops::{Declared, Release, SeededSecret};
use serde::Serialize;

/// A step of a plan that was not compared with a cluster.
#[derive(Debug, Clone, Serialize)]
pub struct OutlinedStep {
    /// `stage/step`.
    pub step: String,
    /// Why it exists, if declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why it is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Its objects, charts and versions, secrets.
    pub about: Vec<String>,
    /// Why it cannot run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Every step of a pipeline, for the cluster with this declaration in the repository at `root`. `secrets` are
/// the seeded ones.
pub fn outline(
    pipeline: &Pipeline,
    selected: &Selected,
    declared: &Declared,
    root: &Path,
    secrets: &[SeededSecret],
) -> Vec<OutlinedStep> {
    let stages = pipeline.stages.iter();
    let steps = stages.flat_map(|stage| stage.steps.iter().map(move |spec| (stage.name.as_str(), spec)));
    let outlined = steps.map(|(stage, spec)| OutlinedStep {
        step: format!("{stage}/{}", spec.name()),
        why: spec.why.clone(),
        skipped: selected.reason_to_skip(stage, &spec.name()).or_else(|| undeclared(spec, declared)),
        about: about(spec, declared, secrets),
        failure: check_step(spec, declared, root).err(),
    });
    outlined.collect()
}

fn undeclared(spec: &StepSpec, declared: &Declared) -> Option<String> {
    let applies = spec.kind.applies();
    let (kind, name) = applies.subject()?;
    let is_skipped = spec.when == When::Declared && !applies.is_declared(declared);
    is_skipped.then(|| format!("{} declares no {kind} {name}", declared.cluster))
}

fn about(spec: &StepSpec, declared: &Declared, secrets: &[SeededSecret]) -> Vec<String> {
    let ids =
        |objects: Vec<&Object>| objects.into_iter().map(|object| ObjectRef::of(object).to_string()).collect();
    match spec.kind.applies() {
        Applies::Nothing => awaited(spec),
        Applies::Namespaces(Named::Declared) => declared.namespaces().into_iter().collect(),
        Applies::Namespaces(Named::These(names)) => names.clone(),
        Applies::Secrets => secrets.iter().map(secret).collect(),
        Applies::Kustomization(name) => {
            ids(declared.kustomization(name).into_iter().flat_map(|one| &one.objects).collect())
        }
        Applies::Part(part) => {
            let all = declared.kustomization(&part.of).into_iter().flat_map(|one| &one.objects);
            ids(all.filter(|object| part.has(object)).collect())
        }
        Applies::CrdsOfKustomization(name) => {
            let all = declared.with_children(name).into_iter().flat_map(|one| &one.objects);
            ids(all.filter(|object| is_crd(object)).collect())
        }
        Applies::CrdsOfManifest(manifest) | Applies::Manifest(manifest) => vec![manifest.location.clone()],
        Applies::CrdsOfReleases(named) => {
            let releases = declared.releases.iter().filter(|release| named.has_release(declared, release));
            releases.map(chart).collect()
        }
        Applies::Release(name) => declared.release(name).map(chart).into_iter().collect(),
        Applies::Source => vec![ObjectRef::of(&declared.source).to_string()],
        Applies::Sync => vec![ObjectRef::of(&declared.sync).to_string()],
        Applies::File | Applies::Program => written(spec, &declared.cluster),
    }
}

/// `HelmRelease kube-system/cilium: chart oci://quay.io/cilium/charts/cilium 1.20.2`.
fn chart(release: &Release) -> String {
    format!("{}: chart {}", release.id, release.chart)
}

/// `Secret flux-system/sops-age: age.agekey`. Names only: no value is read.
fn secret(secret: &SeededSecret) -> String {
    let keys: Vec<&str> = secret.values.keys().map(String::as_str).collect();
    format!("Secret {}/{}: {}", secret.namespace, secret.name, keys.join(", "))
}

fn written(spec: &StepSpec, cluster: &str) -> Vec<String> {
    match &spec.kind {
        StepKind::Objects(objects) => vec![objects.path(cluster).display().to_string()],
        StepKind::Command(command) => vec![command.0.join(" ")],
        _ => Vec::new(),
    }
}

fn awaited(spec: &StepSpec) -> Vec<String> {
    match spec.kind.awaits() {
        Awaits::Object(id) => vec![id.to_string()],
        _ => Vec::new(),
    }
}
