//! CRDs that must be served before Flux, or before a release of the chain: only these.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{Flux, Instance, Scene, Unit};
use super::draft::DraftStep;
use crate::order::{Kind, Moment, Relation, at, is_known_to_provide, is_true, needs};
use crate::{Kustomization, Release};
use bootstrapper_core::object::{Object, ObjectRef};

/// The reason for each needed kind.
type Needed = BTreeMap<Kind, String>;

pub(super) fn steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    let mut by_kustomization: BTreeMap<&ObjectRef, (&Kustomization, &String)> = BTreeMap::new();
    let mut by_release: BTreeMap<&ObjectRef, (&Release, &String)> = BTreeMap::new();
    let needed = needed(scene);
    for (kind, why) in &needed {
        let mut kustomizations = scene.declared.kustomizations.iter();
        if let Some(one) = kustomizations.find(|one| scene.kinds.has(&one.id, kind)) {
            by_kustomization.entry(&one.id).or_insert((one, why));
            continue;
        }
        if let Some(one) = unseen_provider(scene, kind) {
            by_kustomization.entry(&one.id).or_insert((one, why));
            continue;
        }
        let releases = scene.declared.releases.iter();
        let mut able = releases.filter(|one| one.installable().is_ok() && scene.kinds.is_in_chart(one, kind));
        if let Some(release) = able.next() {
            by_release.entry(&release.id).or_insert((release, why));
        }
    }
    let mut steps: Vec<DraftStep> = by_kustomization
        .values()
        .map(|(one, why)| {
            DraftStep::new(
                format!("crds: {{kustomization: {}}}", scene.kustomization_name(one)),
                why.as_str(),
            )
        })
        .collect();
    if !by_release.is_empty() {
        let names: Vec<String> =
            by_release.values().map(|(release, _)| scene.release_name(release)).collect();
        let whys: BTreeSet<&str> = by_release.values().map(|(_, why)| why.as_str()).collect();
        let why = whys.into_iter().collect::<Vec<_>>().join("; ");
        steps.push(DraftStep::new(format!("crds: {{releases: [{}]}}", names.join(", ")), why));
    }
    steps
}

/// A Kustomization that cannot be read now, in a repository that is known to provide this kind.
fn unseen_provider<'s>(scene: &'s Scene<'_>, kind: &Kind) -> Option<&'s Kustomization> {
    let url = |one: &Kustomization| {
        let reference = &one.object.data["spec"]["sourceRef"];
        let is_it = |object: &&Object| {
            let id = ObjectRef::of(object);
            reference["kind"] == id.kind.as_str() && reference["name"] == id.name.as_str()
        };
        Some(scene.declared.objects().find(is_it)?.data["spec"]["url"].as_str()?.to_owned())
    };
    let mut unseen = scene.declared.kustomizations.iter().filter(|one| one.objects.is_empty());
    unseen.find(|one| url(one).is_some_and(|url| is_known_to_provide(&url, &kind.group)))
}

fn needed(scene: &Scene<'_>) -> Needed {
    let mut needed = Needed::new();
    let mut add = |kind: Kind, why: String| {
        needed.entry(kind).or_insert(why);
    };
    let chain = scene.releases();
    for release in &chain {
        for (value, kind) in needs(release) {
            // The operator's chart is installed directly before the instance's.
            if kind.group == "fluxcd.controlplane.io" {
                continue;
            }
            let by = if value.is_empty() { String::new() } else { format!(" ({value})") };
            let why = format!("{} has a {}{by}", release.id, kind.kind);
            add(kind, why);
        }
    }
    if let Some(cilium) = scene.cilium() {
        let value = |path: &str| at(cilium.values, path);
        if is_true(value("gatewayAPI.enabled")) {
            let why = "Cilium's operator looks for the Gateway API only as it starts";
            for kind in ["GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "ReferenceGrant", "TLSRoute"] {
                add(Kind::new("gateway.networking.k8s.io", kind), why.to_owned());
            }
        }
        if is_true(value("operator.skipCRDCreation")) {
            let why = "Cilium does not install its CRDs (operator.skipCRDCreation)";
            for kind in ["CiliumNode", "CiliumEndpoint", "CiliumIdentity", "CiliumNetworkPolicy"] {
                add(Kind::new("cilium.io", kind), why.to_owned());
            }
        }
    }
    if matches!(
        scene.flux,
        Flux::Operator { operator: Some(Unit::Objects(_)), instance: Instance::Object(..) }
    ) {
        add(
            Kind::new("fluxcd.controlplane.io", "FluxInstance"),
            "the FluxInstance is applied with the operator".to_owned(),
        );
    }
    let brought = |kind: &Kind| chain.iter().any(|release| scene.kinds.is_provided_by(release, kind));
    for (kind, why) in used_too_early(scene) {
        if !brought(&kind) {
            add(kind, why);
        }
    }
    needed
}

/// Kinds that a Kustomization uses before the release that provides their CRD: it would wait for itself.
fn used_too_early(scene: &Scene<'_>) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    for one in &scene.declared.kustomizations {
        let kinds: BTreeSet<Kind> =
            one.objects.iter().filter_map(|object| Kind::of(&ObjectRef::of(object))).collect();
        for kind in kinds.into_iter().filter(|kind| !scene.kinds.has(&one.id, kind)) {
            let providers = scene.kinds.providers(&kind);
            let moments: Vec<Moment> = providers.iter().map(|provider| provider.from.clone()).collect();
            let is_too_early =
                matches!(scene.order.relation(&Moment::begins(&one.id), &moments), Relation::After(_));
            if let (true, Some(provider)) = (is_too_early, providers.first()) {
                let why = format!(
                    "Kustomization {} applies a {} before {} provides its CRD",
                    one.id.name,
                    kind.kind,
                    provider.describe()
                );
                found.push((kind, why));
            }
        }
    }
    found
}
