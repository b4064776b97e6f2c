//! Versions of Cilium's kinds that the declared Cilium serves; rules about BGP's are in `bgp`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cilium_versions::{BGP, is_covered, is_known, served};
use crate::fleet::objects_of;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::{at, is_true};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cilium-kind-not-served",
        severity: Severity::Error,
        summary: "an object of a kind or version that the declared Cilium does not serve",
        why: "Cilium's operator installs the CRDs of its own version: Flux rejects the whole Kustomization with `no matches for kind`",
        fix: "use a version that this Cilium serves, or declare a Cilium that serves it",
        check: not_served,
    },
    Rule {
        name: "cilium-kind-is-off",
        severity: Severity::Error,
        summary: "an object of Cilium whose feature is off",
        why: "Cilium's operator installs most CRDs only with their feature: without it, Flux rejects the whole Kustomization with `no matches for kind`; and no agent reads the object",
        fix: "turn the feature on in the values of Cilium, or remove the object",
        check: is_off,
    },
];

const GROUP: &str = "cilium.io";

fn not_served(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared) else { return Vec::new() };
        let Some(minor) = cilium.minor_version().filter(|minor| is_covered(*minor)) else {
            return Vec::new();
        };
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            if id.group() != GROUP || !is_known(&id.kind) || id.kind.starts_with(BGP) {
                return None;
            }
            let served: Vec<&str> = served(&id.kind, minor).collect();
            if served.contains(&id.version()) || is_refused_by_a_declared_crd(declared, &id) {
                return None;
            }
            let instead = match served.as_slice() {
                [] => "does not have this kind".to_owned(),
                all => format!("serves {}", all.join(" and ")),
            };
            let message = format!(
                "{id} is of {GROUP}/{}, but Cilium {} {instead}",
                id.version(),
                cilium.version.unwrap_or_default()
            );
            Some(placed.finding(rule, "apiVersion", message))
        });
        found.collect()
    })
}

/// Kinds, and the values of which one has to be true (`pkg/k8s/synced/crd.go`). `announcement-is-off` has those of
/// BGP and L2.
const FEATURES: [(&str, &[&str]); 5] = [
    ("CiliumEgressGatewayPolicy", &["egressGateway.enabled"]),
    ("CiliumLocalRedirectPolicy", &["localRedirectPolicies.enabled", "localRedirectPolicy"]),
    ("CiliumEnvoyConfig", ENVOY),
    ("CiliumClusterwideEnvoyConfig", ENVOY),
    ("CiliumGatewayClassConfig", &["gatewayAPI.enabled"]),
];

const ENVOY: &[&str] = &["envoyConfig.enabled", "ingressController.enabled", "gatewayAPI.enabled"];

/// The value that turns a kind off; none if it is on.
fn turned_off(kind: &str, values: &Value) -> Option<&'static str> {
    let is_off = |path: &str| *at(values, path) == false || at(values, path) == "false";
    if kind == "CiliumLoadBalancerIPPool" {
        return is_off("enableLBIPAM").then_some("enableLBIPAM");
    }
    let (_, needed) = FEATURES.iter().find(|(known, _)| *known == kind)?;
    let is_by_balancer = *needed == ENVOY && at(values, "loadBalancer.l7.backend") == "envoy";
    let is_on = is_by_balancer || needed.iter().any(|path| is_true(at(values, path)));
    (!is_on).then(|| needed[0])
}

/// Reported once per kind.
fn is_off(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let Some(cilium) = known::cilium(declared) else { return Vec::new() };
        let mut found: Vec<Finding> = Vec::new();
        let mut reported: BTreeSet<String> = BTreeSet::new();
        for placed in objects_of(declared) {
            let id = placed.id();
            let Some(value) = turned_off(&id.kind, cilium.values).filter(|_| id.group() == GROUP) else {
                continue;
            };
            // Somebody else's `extraConfig` may turn it on.
            if cilium.values["extraConfig"].is_object() || !reported.insert(id.kind.clone()) {
                continue;
            }
            let message = format!("{id} is declared, but {} does not have {value} enabled", cilium.id);
            found.push(placed.finding(rule, "kind", message));
        }
        found
    })
}

/// Whether the repository declares the CRD without this version: `unserved-version` reports that.
fn is_refused_by_a_declared_crd(declared: &Declared, id: &ObjectRef) -> bool {
    let crds =
        objects_of(declared).filter(|placed| placed.is("apiextensions.k8s.io", "CustomResourceDefinition"));
    let mut of_kind = crds.filter(|crd| {
        crd.field(&["spec", "group"]) == GROUP && crd.field(&["spec", "names", "kind"]) == id.kind.as_str()
    });
    of_kind.any(|crd| {
        let versions = crd.field(&["spec", "versions"]).as_array().into_iter().flatten();
        !versions.into_iter().any(|version| version["name"] == id.version() && version["served"] == true)
    })
}
