//! Secrets and ConfigMaps in the repository that the chain needs before Flux can apply them.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Scene;
use super::draft::{DraftStep, list};
use crate::order::{Cilium, names_data};
use crate::{Kustomization, Release};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml::written::flow_scalar as scalar;

/// The Secret with the CA that Cilium's chart signs certificates with (`cilium.ca.setup`).
const CILIUM_AUTHORITY: &str = "cilium-ca";

/// A Kustomization, and the namespace of its objects.
type Place = (ObjectRef, Option<String>);

pub(super) fn steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    let mut wanted: BTreeMap<Place, (&Kustomization, BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for (kustomization, object, why) in seeds(scene) {
        let entry = wanted.entry((kustomization.id.clone(), object.metadata.namespace.clone()));
        let (_, names, whys) = entry.or_insert((kustomization, BTreeSet::new(), BTreeSet::new()));
        names.insert(ObjectRef::of(object).name);
        whys.insert(why);
    }
    let steps = wanted.into_iter().map(|((_, namespace), (one, names, whys))| {
        let names = list(names.iter().map(String::as_str));
        let of = scene.kustomization_name(one);
        let namespace = namespace.unwrap_or_default();
        let place = scalar(&namespace);
        let kind =
            format!("part: {{of: {of}, kinds: [Secret, ConfigMap], namespaces: [{place}], names: {names}}}");
        let why = whys.into_iter().collect::<Vec<_>>().join("; ");
        let by = one.id.namespace.as_deref().unwrap_or_default();
        let name = scalar(&format!("seeds-{by}-{}-{namespace}", one.id.name));
        DraftStep::new(kind, why).with(format!("name: {name}"))
    });
    steps.collect()
}

/// Every object that a part of the chain references, and that can be applied by now.
fn seeds<'s>(scene: &'s Scene<'_>) -> Vec<(&'s Kustomization, &'s Object, String)> {
    let mut found = Vec::new();
    for kustomization in &scene.declared.kustomizations {
        for (_, object) in kustomization.own_objects() {
            let id = ObjectRef::of(object);
            let is_data = id.group().is_empty() && matches!(id.kind.as_str(), "Secret" | "ConfigMap");
            let why = || needed_by(scene, &id).or_else(|| drawn_by(scene, kustomization, &id));
            let Some(why) = is_data.then(why).flatten() else { continue };
            if kustomization.applicable_part(|other| ObjectRef::of(other) == id).is_ok() {
                found.push((kustomization, object, why));
            }
        }
    }
    found
}

/// The Kustomization that substitutes from an object which it applies itself, or the root from an object below
/// it: Flux would wait for it forever.
fn drawn_by(scene: &Scene<'_>, by: &Kustomization, id: &ObjectRef) -> Option<String> {
    let root = scene.declared.kustomizations.iter().find(|one| one.parent.is_none());
    let draws = |one: &&Kustomization| {
        let from = one.object.data["spec"]["postBuild"]["substituteFrom"].as_array();
        let mut from = from.into_iter().flatten();
        id.namespace == one.id.namespace
            && from.any(|source| source["kind"] == id.kind.as_str() && source["name"] == id.name.as_str())
    };
    let one = [by].into_iter().chain(root).find(draws)?;
    Some(format!("{} draws variables from {id}", one.id))
}

fn needed_by(scene: &Scene<'_>, id: &ObjectRef) -> Option<String> {
    let declared = scene.declared;
    let (source, sync) = (&declared.source, &declared.sync);
    let is_named = |value: &serde_json::Value| value["name"] == id.name.as_str();
    let is_in_flux = id.namespace == sync.metadata.namespace;
    if id.kind == "Secret" && is_in_flux {
        for field in ["secretRef", "certSecretRef", "proxySecretRef"] {
            if is_named(&source.data["spec"][field]) {
                return Some(format!("{} needs {id}", ObjectRef::of(source)));
            }
        }
        if is_named(&sync.data["spec"]["decryption"]["secretRef"]) {
            return Some(format!("{} decrypts with {id}", ObjectRef::of(sync)));
        }
    }
    let in_place = |namespace: &String| id.namespace.as_ref() == Some(namespace);
    let mut releases = scene.releases().into_iter().filter(|release| in_place(&release.release_namespace));
    // Cilium's chart looks up its CA by name, and generates one if it does not exist.
    let is_authority = |release: &Release| {
        id.name == CILIUM_AUTHORITY && id.kind == "Secret" && Cilium::of(release).is_some()
    };
    if let Some(by) = releases.clone().find(|release| is_authority(release)) {
        return Some(format!("{} signs with {id}", by.id));
    }
    let by = releases.find(|release| names_data(&release.values, &id.kind, &id.name))?;
    Some(format!("the values of {} name {id}", by.id))
}
