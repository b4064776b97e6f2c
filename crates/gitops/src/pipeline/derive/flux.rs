//! The steps for Flux itself, depending on how the cluster declares it.

use std::collections::BTreeSet;

use super::chain::{Flux, Instance, Scene, Unit, is_source_controller};
use super::draft::{DraftStep, list};
use crate::Kustomization;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml::written::flow_scalar as scalar;

/// The label of Flux's own manifests, with the value `flux`.
const PART_OF: &str = "app.kubernetes.io/part-of";

const CONTROLLERS: &str = "wait: {probe: flux.controllers}";

pub(super) fn steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    let mut steps = match &scene.flux {
        Flux::Operator { operator, instance } => {
            let mut steps = vec![operator_step(scene, *operator)];
            // The operator applies source and root Kustomization together with Flux.
            steps.extend(scene.declared.is_root_created_by_operator().then(forecast));
            steps.push(instance_step(scene, instance));
            steps
        }
        Flux::Chart(release) => {
            let kind = format!("release: {}", scene.release_name(release));
            vec![DraftStep::new(kind, format!("the chart {} installs Flux", release.chart.name()))]
        }
        Flux::Components(one) => {
            let kind = format!("part: {{of: {}, {}}}", scene.kustomization_name(one), components(one));
            let why = "the repository declares Flux's components, as `flux bootstrap` writes them";
            vec![DraftStep::new(kind, why).with("name: flux-components")]
        }
        Flux::Undeclared => {
            let version = scene.versions.version.as_deref().unwrap_or("${FLUX_VERSION}");
            let url = format!("https://github.com/fluxcd/flux2/releases/download/v{version}/install.yaml");
            let why = "nothing in the repository installs Flux: bootstrapper.yaml or FLUX_VERSION says which version";
            vec![DraftStep::new(manifest(scene, &url), why).with("name: flux-install")]
        }
    };
    steps.push(DraftStep::new(CONTROLLERS, "Flux works once its controllers run"));
    steps
}

/// The selector of Flux's own objects in their Kustomization: their label, or the objects in their file.
fn components(one: &Kustomization) -> String {
    let file = one.placed_objects().find_map(|(object, written)| {
        is_source_controller(object).then_some(written).flatten().map(|written| &written.file)
    });
    let own: Vec<&Object> = one
        .placed_objects()
        .filter(|(_, written)| file.is_some() && written.map(|written| &written.file) == file)
        .map(|(object, _)| object)
        .collect();
    let is_labelled = |object: &&Object| {
        let labels = object.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(PART_OF)).is_some_and(|part| part == "flux")
    };
    if own.iter().all(is_labelled) {
        return format!("labels: {{\"{PART_OF}\": flux}}");
    }
    let ids: Vec<ObjectRef> = own.into_iter().map(ObjectRef::of).collect();
    let kinds: BTreeSet<&str> = ids.iter().map(|id| id.kind.as_str()).collect();
    let names: BTreeSet<&str> = ids.iter().map(|id| id.name.as_str()).collect();
    format!("kinds: {}, names: {}", list(kinds), list(names))
}

fn forecast() -> DraftStep {
    DraftStep::new("adoption: forecast", "show what Flux will change before it starts")
}

fn operator_step(scene: &Scene<'_>, operator: Option<Unit<'_>>) -> DraftStep {
    match operator {
        Some(Unit::Release(release)) => {
            let kind = format!("release: {}", scene.release_name(release));
            DraftStep::new(kind, "the operator installs Flux as the FluxInstance says")
        }
        Some(Unit::Objects(one)) => {
            let kind = format!(
                "part: {{of: {}, labels: {{\"app.kubernetes.io/name\": flux-operator}}}}",
                scene.kustomization_name(one)
            );
            DraftStep::new(kind, "the operator installs Flux as the FluxInstance says")
                .with("name: flux-operator")
        }
        None => {
            let version = scene.versions.operator.as_deref().unwrap_or("${FLUX_OPERATOR_VERSION}");
            let url = format!(
                "https://github.com/controlplaneio-fluxcd/flux-operator/releases/download/v{version}/install.yaml"
            );
            let why = "nothing in the repository installs the Flux operator: bootstrapper.yaml or FLUX_OPERATOR_VERSION says which version";
            DraftStep::new(manifest(scene, &url), why).with("name: flux-operator")
        }
    }
}

fn manifest(scene: &Scene<'_>, url: &str) -> String {
    let digest = scene.versions.sha256.as_deref().map(|digest| format!(", sha256: {}", scalar(digest)));
    format!("manifest: {{url: {}{}}}", scalar(url), digest.unwrap_or_default())
}

fn instance_step(scene: &Scene<'_>, instance: &Instance<'_>) -> DraftStep {
    let why = "the FluxInstance says which Flux to run";
    match instance {
        Instance::Release(release) => {
            DraftStep::new(format!("release: {}", scene.release_name(release)), why)
        }
        Instance::Object(one, id) => {
            let kind = format!(
                "part: {{of: {}, kinds: [FluxInstance], names: [{}]}}",
                scene.kustomization_name(one),
                scalar(&id.name)
            );
            DraftStep::new(kind, why).with("name: flux-instance")
        }
        Instance::File(file) => DraftStep::new(format!("objects: {}", scalar(&file.to_string_lossy())), why)
            .with("name: flux-instance"),
    }
}

pub(super) fn sync_steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    if scene.declared.is_root_created_by_operator() {
        let id = ObjectRef::of(&scene.declared.source);
        let namespace =
            id.namespace.as_deref().map(|namespace| format!("namespace: {}, ", scalar(namespace)));
        let kind = format!(
            "wait: {{object: {{apiVersion: {}, kind: {}, {}name: {}}}}}",
            scalar(&id.api_version),
            scalar(&id.kind),
            namespace.unwrap_or_default(),
            scalar(&id.name)
        );
        let why = "the operator creates it from the FluxInstance: from here on Flux reads the repository";
        return vec![DraftStep::new(kind, why)];
    }
    vec![
        forecast(),
        DraftStep::new("source: declared", "Flux reads the repository from it"),
        DraftStep::new("sync: declared", "the root Kustomization applies all others"),
    ]
}
