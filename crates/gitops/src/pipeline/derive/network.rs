//! The network plugin and DNS: without them Flux's pods cannot start, or resolve names.

use std::collections::BTreeSet;

use super::chain::{Scene, Unit};
use super::draft::{DraftStep, list};
use crate::Kustomization;
use crate::order::{Kind, at, is_true, names_data, network_plugin};
use bootstrapper_core::object::{Object, ObjectRef};

/// Kinds that configure Cilium's load balancing and BGP, and need only Cilium.
const CONFIGURATION: [&str; 10] = [
    "CiliumBGPAdvertisement",
    "CiliumBGPClusterConfig",
    "CiliumBGPNodeConfigOverride",
    "CiliumBGPPeerConfig",
    "CiliumBGPPeeringPolicy",
    "CiliumGatewayClassConfig",
    "CiliumL2AnnouncementPolicy",
    "CiliumLoadBalancerIPPool",
    "CiliumNodeConfig",
    "CiliumPodIPPool",
];

pub(super) fn steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    let Some(network) = scene.network else { return Vec::new() };
    let mut steps = vec![match network {
        Unit::Release(release) => {
            let kind = format!("release: {}", scene.release_name(release));
            let chart = release.chart.name();
            let why = match network_plugin(release).filter(|plugin| *plugin != chart) {
                Some(plugin) => {
                    format!("{chart} installs {plugin}, the network plugin: without it no node is Ready")
                }
                None => format!("{chart} is the network plugin: without it no node is Ready"),
            };
            // The probes check what must be ready. The release as a whole may wait for addresses, which come
            // later.
            DraftStep::new(kind, why).with("await: false")
        }
        Unit::Objects(one) => {
            let why = "it holds the network plugin: without it no node is Ready";
            plain_objects(scene, one, why, "network-plugin").with("await: false")
        }
    }];
    if scene.cilium().is_some() {
        let agents =
            DraftStep::new("wait: {probe: cilium.agents}", "pods on a node start once its agent runs");
        steps.push(agents.with("timeout: 15m"));
    }
    if let Unit::Release(release) = network {
        steps.extend(parts(scene, "calico", &["Installation", "APIServer"], |_| {
            release.chart.name() == "tigera-operator"
        }));
    }
    steps.push(DraftStep::new("wait: {probe: nodes}", "the pods of Flux need nodes that take them"));
    steps.extend(cilium_features(scene));
    steps
}

/// The objects of a Kustomization that need neither Flux nor a CRD: all of them, or a part.
fn plain_objects(scene: &Scene<'_>, one: &Kustomization, why: &str, name: &str) -> DraftStep {
    let of = scene.kustomization_name(one);
    let is_plain = |id: &ObjectRef| Kind::of(id).is_none() && !id.group().ends_with(".toolkit.fluxcd.io");
    let ids: Vec<ObjectRef> = one.objects.iter().map(ObjectRef::of).collect();
    if ids.iter().all(is_plain) {
        return DraftStep::new(format!("kustomization: {of}"), why);
    }
    let kinds: BTreeSet<&str> = ids.iter().filter(|id| is_plain(id)).map(|id| id.kind.as_str()).collect();
    DraftStep::new(format!("part: {{of: {of}, kinds: {}}}", list(kinds)), why).with(format!("name: {name}"))
}

/// Only enabled features: a probe of a disabled one would never succeed.
fn cilium_features(scene: &Scene<'_>) -> Vec<DraftStep> {
    let Some(cilium) = scene.cilium() else { return Vec::new() };
    let value = |path: &str| at(cilium.values, path);
    let mut steps = parts(scene, "cilium-config", &CONFIGURATION, |_| true);
    let configured: Vec<&Object> =
        configurations(scene, &CONFIGURATION).flat_map(|(_, objects)| objects).collect();
    let has_bgp = configured.iter().any(|object| ObjectRef::of(object).kind == "CiliumBGPClusterConfig");
    if has_bgp && is_true(value("bgpControlPlane.enabled")) {
        let why = "bgpControlPlane is on and a CiliumBGPClusterConfig is declared";
        steps.push(DraftStep::new("wait: {probe: cilium.bgp}", why).with("timeout: 5m"));
    }
    let has_class = value("gatewayAPI.gatewayClass.create") != "false";
    if is_true(value("gatewayAPI.enabled")) && has_class {
        let why = "gatewayAPI is on, and Cilium's operator looks for its CRDs only as it starts";
        steps.push(DraftStep::new("repair: cilium.gateway", why));
        let why = "gatewayAPI is on";
        steps.push(DraftStep::new("wait: {probe: cilium.gateway}", why).with("timeout: 5m"));
    }
    // With cert-manager, the certificates exist only after Flux has installed it.
    let by_manager = value("clustermesh.apiserver.tls.auto.method") == "certmanager";
    if is_true(value("clustermesh.useAPIServer")) && !by_manager && has_address(scene, &configured) {
        let why = "clustermesh.useAPIServer is on";
        steps.push(DraftStep::new("wait: {probe: cilium.clustermesh}", why).with("timeout: 5m"));
    }
    steps
}

/// Whether the Service of the mesh can get an address before Flux runs.
fn has_address(scene: &Scene<'_>, configured: &[&Object]) -> bool {
    let Some(cilium) = scene.cilium() else { return false };
    let is_balanced = at(cilium.values, "clustermesh.apiserver.service.type") == "LoadBalancer";
    !is_balanced || configured.iter().any(|object| ObjectRef::of(object).kind == "CiliumLoadBalancerIPPool")
}

/// A step for each Kustomization with objects of these kinds that can be applied by now.
fn parts(
    scene: &Scene<'_>,
    name: &str,
    kinds: &[&str],
    is_wanted: impl Fn(&Kustomization) -> bool,
) -> Vec<DraftStep> {
    let found: Vec<_> = configurations(scene, kinds).filter(|(one, _)| is_wanted(one)).collect();
    let several = found.len() > 1;
    let steps = found.into_iter().map(|(one, objects)| {
        let mut own: Vec<String> = objects.iter().map(|object| ObjectRef::of(object).kind).collect();
        own.sort();
        own.dedup();
        let of = scene.kustomization_name(one);
        let why = format!("the network plugin needs {}", own.join(", "));
        if objects.len() == one.objects.len() {
            return DraftStep::new(format!("kustomization: {of}"), why);
        }
        // A peer's password may be in the same Kustomization.
        if one.objects.iter().all(|object| is_configuration(kinds, object) || is_password(one, object)) {
            return DraftStep::new(format!("kustomization: {of}"), why);
        }
        let kind = format!("part: {{of: {of}, kinds: {}}}", list(own.iter().map(String::as_str)));
        let step = DraftStep::new(kind, why);
        if several { step } else { step.with(format!("name: {name}")) }
    });
    steps.collect()
}

fn configurations<'s>(
    scene: &'s Scene<'_>,
    kinds: &'s [&'s str],
) -> impl Iterator<Item = (&'s Kustomization, Vec<&'s Object>)> {
    let all = scene.declared.kustomizations.iter().filter_map(move |one| {
        let objects: Vec<&Object> =
            one.objects.iter().filter(|object| is_configuration(kinds, object)).collect();
        (!objects.is_empty()).then_some((one, objects))
    });
    // Encrypted or unknown objects are left to Flux.
    all.filter(move |(one, _)| {
        one.applicable_part(|object| is_configuration(kinds, object) || is_password(one, object)).is_ok()
    })
}

fn is_configuration(kinds: &[&str], object: &Object) -> bool {
    let id = ObjectRef::of(object);
    matches!(id.group(), "cilium.io" | "operator.tigera.io") && kinds.contains(&id.kind.as_str())
}

/// Whether an object is a Secret or ConfigMap that another object in its Kustomization references.
fn is_password(one: &Kustomization, object: &Object) -> bool {
    let id = ObjectRef::of(object);
    let names = |other: &&Object| ObjectRef::of(other) != id && names_data(&other.data, &id.kind, &id.name);
    matches!(id.kind.as_str(), "Secret" | "ConfigMap") && one.objects.iter().any(|other| names(&other))
}

pub(super) fn dns_steps(scene: &Scene<'_>) -> Vec<DraftStep> {
    let why = "Flux finds every source by name";
    match scene.dns {
        Some(Unit::Release(release)) => {
            vec![DraftStep::new(format!("release: {}", scene.release_name(release)), why)]
        }
        // The Kustomization of the network plugin is applied by now, too.
        Some(Unit::Objects(one)) if !matches!(scene.network, Some(Unit::Objects(other)) if other.id == one.id) =>
        {
            vec![plain_objects(scene, one, why, "dns")]
        }
        Some(Unit::Objects(_)) | None => Vec::new(),
    }
}
