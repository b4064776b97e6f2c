//! Announcement of load-balancer addresses to the network.

use serde_json::Value;

use super::{Scene, at, each_whole, is_true};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector::selects;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "announcement-is-off",
        severity: Severity::Error,
        summary: "BGP or L2 announcement objects with a Cilium that has the feature disabled",
        why: "Cilium installs the BGP CRDs only if BGP is enabled: without them, Flux rejects the Kustomization, and steps that wait for the CRDs time out; with them, no agent reads the objects",
        fix: "set `bgpControlPlane.enabled: true` (or `l2announcements.enabled: true`) in the values of Cilium, or remove the objects",
        check: |rule, fleet| each_whole(fleet, |scene| is_off(rule, scene)),
    },
    Rule {
        name: "addresses-not-announced",
        severity: Severity::Warning,
        summary: "a pool of load-balancer addresses is not announced",
        why: "Services get addresses and look healthy, but are unreachable from outside the cluster",
        fix: "advertise LoadBalancerIP of Services in a CiliumBGPAdvertisement, or declare a CiliumL2AnnouncementPolicy with `loadBalancerIPs: true`",
        check: |rule, fleet| each_whole(fleet, |scene| not_announced(rule, scene)),
    },
    Rule {
        name: "advertisement-unselected",
        severity: Severity::Warning,
        summary: "a CiliumBGPAdvertisement that no peer selects",
        why: "the sessions are established, but its routes are not announced",
        fix: "add the labels that `families[].advertisements` of a CiliumBGPPeerConfig selects (in its metadata, not in its spec)",
        check: |rule, fleet| each_whole(fleet, |scene| unselected(rule, scene)),
    },
];

/// Kinds of Cilium, and the value that enables each.
const FEATURES: [(&str, &str); 2] =
    [("CiliumBGP", "bgpControlPlane.enabled"), ("CiliumL2AnnouncementPolicy", "l2announcements.enabled")];

fn of_cilium<'a>(scene: &Scene<'a>, prefix: &'a str) -> impl Iterator<Item = (ObjectRef, &'a Object)> {
    let objects = scene.declared.objects().map(|object| (ObjectRef::of(object), object));
    objects.filter(move |(id, _)| id.group() == "cilium.io" && id.kind.starts_with(prefix))
}

/// Reported once per feature.
fn is_off(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = scene.cilium() else { return Vec::new() };
    let off = FEATURES.into_iter().filter(|(_, value)| !is_true(at(cilium.values, value)));
    off.filter_map(|(prefix, value)| {
        let mut objects = of_cilium(scene, prefix);
        let (first, _) = objects.next()?;
        let others = match objects.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let message = format!("{first}{others} is declared, but {} has {value} disabled", cilium.id);
        Some(scene.finding(rule, &first, "kind", message))
    })
    .collect()
}

fn not_announced(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    if scene.cilium().is_none() || announces(scene) {
        return Vec::new();
    }
    let pools = of_cilium(scene, "CiliumLoadBalancerIPPool")
        .filter(|(_, pool)| pool.data["spec"]["disabled"] != true);
    pools
        .map(|(id, _)| {
            let message = format!("the addresses of {id} are not announced");
            scene.finding(rule, &id, "spec", message)
        })
        .collect()
}

/// Whether anything announces load-balancer addresses.
fn announces(scene: &Scene<'_>) -> bool {
    let is_of_services = |advertisement: &Value| {
        let addresses = at(advertisement, "service.addresses").as_array();
        advertisement["advertisementType"] == "Service"
            && addresses.is_some_and(|all| all.iter().any(|one| one == "LoadBalancerIP"))
    };
    let list = |object: &Object, path: &str| at(&object.data, path).as_array().cloned().unwrap_or_default();
    of_cilium(scene, "CiliumL2AnnouncementPolicy")
        .any(|(_, object)| object.data["spec"]["loadBalancerIPs"] == true)
        || of_cilium(scene, "CiliumBGPAdvertisement")
            .any(|(_, object)| list(object, "spec.advertisements").iter().any(is_of_services))
        || of_cilium(scene, "CiliumBGPPeeringPolicy").any(|(_, object)| {
            list(object, "spec.virtualRouters").iter().any(|router| !router["serviceSelector"].is_null())
        })
        || scene.declared.kustomizations.iter().any(|one| !one.is_here)
}

fn unselected(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let selectors: Vec<Value> = of_cilium(scene, "CiliumBGPPeerConfig")
        .flat_map(|(_, object)| at(&object.data, "spec.families").as_array().cloned().unwrap_or_default())
        .map(|family| family["advertisements"].clone())
        .collect();
    // An address family that selects nothing has its own rule.
    if selectors.is_empty() {
        return Vec::new();
    }
    let advertisements: Vec<_> = of_cilium(scene, "CiliumBGPAdvertisement").collect();
    let is_idle = |selector: &Value| !advertisements.iter().any(|(_, object)| is_selected(selector, object));
    if selectors.iter().any(is_idle) {
        return Vec::new();
    }
    let unselected =
        advertisements.iter().filter(|(_, one)| !selectors.iter().any(|selector| is_selected(selector, one)));
    unselected
        .map(|(id, _)| {
            let message = format!("{id} is selected by no family of a CiliumBGPPeerConfig");
            scene.finding(rule, id, "metadata.labels", message)
        })
        .collect()
}

/// Whether a family's selector matches an advertisement; a missing one matches none.
fn is_selected(selector: &Value, object: &Object) -> bool {
    selects(selector, &object.metadata.labels.clone().unwrap_or_default())
}
