//! The kinds and versions that each Cilium serves.

/// A minor version of Cilium.
pub(super) type Minor = (u64, u64);

/// How the names of BGP's kinds begin.
pub(super) const BGP: &str = "CiliumBGP";

/// A kind, a version of it, the first Cilium that serves it and the first that does not any more. From the CRDs
/// in `pkg/k8s/apis/cilium.io/client/crds` of Cilium 1.15.19, 1.16.19, 1.17.16, 1.18.9, 1.19.7 and 1.20.2.
const SERVED: &[(&str, &str, Minor, Option<Minor>)] = &[
    ("CiliumBGPAdvertisement", "v2", (1, 18), None),
    ("CiliumBGPAdvertisement", "v2alpha1", (1, 16), None),
    ("CiliumBGPClusterConfig", "v2", (1, 18), None),
    ("CiliumBGPClusterConfig", "v2alpha1", (1, 16), None),
    ("CiliumBGPNodeConfig", "v2", (1, 18), None),
    ("CiliumBGPNodeConfig", "v2alpha1", (1, 16), None),
    ("CiliumBGPNodeConfigOverride", "v2", (1, 18), None),
    ("CiliumBGPNodeConfigOverride", "v2alpha1", (1, 16), None),
    ("CiliumBGPPeerConfig", "v2", (1, 18), None),
    ("CiliumBGPPeerConfig", "v2alpha1", (1, 16), None),
    ("CiliumBGPPeeringPolicy", "v2alpha1", OLDEST, Some((1, 19))),
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

/// The oldest and the newest that the table knows: of others nothing is said.
const OLDEST: Minor = (1, 15);
const NEWEST: Minor = (1, 20);

/// Whether the table knows that Cilium.
pub(super) fn is_covered(minor: Minor) -> bool {
    (OLDEST..=NEWEST).contains(&minor)
}

/// Whether the table has that kind.
pub(super) fn is_known(kind: &str) -> bool {
    SERVED.iter().any(|(known, ..)| *known == kind)
}

/// The versions of a kind that a Cilium serves. What is older or newer than the table is taken for its oldest or newest.
pub(super) fn served(kind: &str, minor: Minor) -> impl Iterator<Item = &'static str> {
    let minor = minor.clamp(OLDEST, NEWEST);
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
        assert_eq!(of("CiliumBGPPeerConfig", 17), ["v2alpha1"]);
        assert!(of("CiliumBGPPeerConfig", 14).is_empty() && of("CiliumBGPPeeringPolicy", 21).is_empty());
    }
}
