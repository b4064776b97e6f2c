//! Versions of Cilium's kinds that the declared Cilium serves; rules about BGP's are in `bgp`.

use crate::cilium_versions::{BGP, is_covered, is_known, served};
use crate::fleet::objects_of;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "cilium-kind-not-served",
    severity: Severity::Error,
    summary: "an object of a kind or version that the declared Cilium does not serve",
    why: "Cilium's operator installs the CRDs of its own version: Flux rejects the whole Kustomization with `no matches for kind`",
    fix: "use a version that this Cilium serves, or declare a Cilium that serves it",
    check: not_served,
}];

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
