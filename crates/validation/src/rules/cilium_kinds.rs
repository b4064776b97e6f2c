//! Versions of Cilium's kinds that the declared Cilium serves; for BGP see `bgp`.

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

/// A minor version of Cilium.
type Minor = (u64, u64);

/// A kind, one of its versions, the first Cilium that serves it and the first that no longer does. From the
/// CRDs in `pkg/k8s/apis/cilium.io/client/crds` of Cilium 1.15.19, 1.16.19, 1.17.16, 1.18.9, 1.19.7 and 1.20.2.
const SERVED: &[(&str, &str, Minor, Option<Minor>)] = &[
    ("CiliumCIDRGroup", "v2", (1, 18), None),
    ("CiliumCIDRGroup", "v2alpha1", OLDEST, None),
    ("CiliumClusterwideEnvoyConfig", "v2", OLDEST, None),
    ("CiliumClusterwideNetworkPolicy", "v2", OLDEST, None),
    ("CiliumDatapathPlugin", "v2alpha1", (1, 20), None),
    ("CiliumEgressGatewayPolicy", "v2", OLDEST, None),
    ("CiliumEnvoyConfig", "v2", OLDEST, None),
    ("CiliumExternalWorkload", "v2", OLDEST, Some((1, 18))),
    ("CiliumGatewayClassConfig", "v2alpha1", (1, 18), None),
    ("CiliumL2AnnouncementPolicy", "v2alpha1", OLDEST, None),
    ("CiliumLoadBalancerIPPool", "v2", (1, 18), None),
    ("CiliumLoadBalancerIPPool", "v2alpha1", OLDEST, None),
    ("CiliumLocalRedirectPolicy", "v2", OLDEST, None),
    ("CiliumNetworkPolicy", "v2", OLDEST, None),
    ("CiliumNodeConfig", "v2", (1, 16), None),
    ("CiliumNodeConfig", "v2alpha1", OLDEST, None),
    ("CiliumPodIPPool", "v2alpha1", OLDEST, None),
];

/// The oldest and the newest version in the table; others are not checked.
const OLDEST: Minor = (1, 15);
const NEWEST: Minor = (1, 20);

fn not_served(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared) else { return Vec::new() };
        let minor = cilium.minor_version().filter(|minor| (OLDEST..=NEWEST).contains(minor));
        let Some(minor) = minor else { return Vec::new() };
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            if id.group() != GROUP || !is_known(&id.kind) {
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

fn is_known(kind: &str) -> bool {
    SERVED.iter().any(|(known, ..)| *known == kind)
}

fn served(kind: &str, minor: Minor) -> impl Iterator<Item = &'static str> {
    let of_kind = SERVED.iter().filter(move |(known, ..)| *known == kind);
    let at =
        of_kind.filter(move |(_, _, from, until)| *from <= minor && until.is_none_or(|until| minor < until));
    at.map(|(_, version, ..)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cilium_serves() {
        let of = |kind: &str, minor: u64| served(kind, (1, minor)).collect::<Vec<_>>();
        assert_eq!(of("CiliumLoadBalancerIPPool", 17), ["v2alpha1"]);
        assert_eq!(of("CiliumLoadBalancerIPPool", 18), ["v2", "v2alpha1"]);
        assert_eq!(of("CiliumNodeConfig", 15), ["v2alpha1"]);
        assert_eq!(of("CiliumL2AnnouncementPolicy", 20), ["v2alpha1"]);
        assert!(of("CiliumExternalWorkload", 18).is_empty());
        assert!(of("CiliumGatewayClassConfig", 17).is_empty());
    }
}
