use std::path::Path;

use super::*;

/// A policy with one router and one neighbor, with additional fields for either.
fn policy(router: &str, neighbor: &str) -> String {
    let indented = |text: &str, indent: usize| -> String {
        text.lines().flat_map(|line| [" ".repeat(indent), line.to_owned(), "\n".to_owned()]).collect()
    };
    format!(
        "apiVersion: cilium.io/v2alpha1
kind: CiliumBGPPeeringPolicy
metadata:
  name: rack0
spec:
  virtualRouters:
    - localASN: 64512
{}      neighbors:
        - peerAddress: 10.25.11.1/32
          peerASN: 64501
{}",
        indented(router, 6),
        indented(neighbor, 10)
    )
}

fn converted(stream: &str) -> String {
    let converted = convert_bgp(stream, Path::new("bgp.yaml")).unwrap();
    assert!(converted.refusals.is_empty(), "{:?}", converted.refusals);
    converted.text
}

/// The document of a kind.
fn document(text: &str, kind: &str) -> String {
    let mut documents = text.split("---\n");
    documents.find(|one| one.contains(&format!("kind: {kind}\n"))).unwrap_or_default().to_owned()
}

const OLD: &str = "\
# How rack 0 peers.
apiVersion: cilium.io/v2alpha1
kind: CiliumBGPPeeringPolicy
metadata:
  name: rack0
  labels: {app: bgp}
spec:
  # Only these nodes.
  nodeSelector:
    matchLabels:
      rack: rack0
  virtualRouters:
    # The one router.
    - localASN: ${BGP_LOCAL_ASN}
      exportPodCIDR: true # pods are reachable
      # Everything but what says no.
      serviceSelector:
        matchExpressions:
          - {key: advertise, operator: NotIn, values: [\"false\"]}
      neighbors:
        # The router upstairs.
        - peerAddress: ${BGP_ROUTER_ADDRESS}/32
          peerASN: \"${BGP_PEER_ASN}\"
          peerPort: 1790
          eBGPMultihopTTL: 4
          connectRetryTimeSeconds: 5
          # Slow links.
          holdTimeSeconds: 30
          keepAliveTimeSeconds: 10
          authSecretRef: bgp-auth
          gracefulRestart:
            enabled: true
            restartTimeSeconds: 120
# The end.
";

const NEW: &str = "\
# How rack 0 peers.
apiVersion: cilium.io/v2
kind: CiliumBGPClusterConfig
metadata:
  name: rack0
  labels: {app: bgp}
spec:
  # Only these nodes.
  nodeSelector:
    matchLabels:
      rack: rack0
  bgpInstances:
    # The one router.
    - name: instance-bgp-local-asn
      localASN: ${BGP_LOCAL_ASN}
      peers:
        # The router upstairs.
        - name: peer-bgp-router-address
          peerAddress: ${BGP_ROUTER_ADDRESS}
          peerASN: ${BGP_PEER_ASN}
          peerConfigRef:
            name: rack0
---
apiVersion: cilium.io/v2
kind: CiliumBGPPeerConfig
metadata:
  name: rack0
  labels: {app: bgp}
spec:
  transport:
    peerPort: 1790
  timers:
    connectRetryTimeSeconds: 5
    # Slow links.
    holdTimeSeconds: 30
    keepAliveTimeSeconds: 10
  authSecretRef: bgp-auth
  gracefulRestart:
    enabled: true
    restartTimeSeconds: 120
  ebgpMultihop: 4
  families:
    - afi: ipv4
      safi: unicast
      advertisements:
        matchLabels:
          advertise: rack0
    - afi: ipv6
      safi: unicast
      advertisements:
        matchLabels:
          advertise: rack0
---
apiVersion: cilium.io/v2
kind: CiliumBGPAdvertisement
metadata:
  name: rack0
  labels: {app: bgp, advertise: rack0}
spec:
  advertisements:
    - advertisementType: PodCIDR # pods are reachable
    - advertisementType: Service
      service:
        addresses:
          - LoadBalancerIP
      # Everything but what says no.
      selector:
        matchExpressions:
          - {key: advertise, operator: NotIn, values: [\"false\"]}
# The end.
";

#[test]
fn a_policy_becomes_three_objects_with_its_comments() {
    assert_eq!(converted(OLD), NEW);
}

#[test]
fn documents_of_other_kinds_are_as_they_were() {
    let others = [
        "# Only a comment.\n",
        "kind:   Odd\nspacing:    [1,2]\n\n\n",
        "{{ if .Values.bgp }}\nnot: even YAML\n{{ end }}\n",
        "data: {text: \"not # a comment\"}",
    ];
    for other in others {
        assert_eq!(converted(other), other);
        let around = format!("---\n{other}\n---\n{}--- # next\n{other}", policy("exportPodCIDR: true", ""));
        let new = converted(&around);
        assert!(new.starts_with(&format!("---\n{other}\n---\napiVersion: cilium.io/v2\n")), "{new}");
        assert!(new.ends_with(&format!("--- # next\n{other}")), "{new}");
    }
    assert_eq!(converted(""), "");
}

/// Each field of a router, and what it advertises.
#[test]
fn what_is_advertised() {
    let cases: [(&str, &str, &str); 9] = [
        ("exportPodCIDR: true", "", "    - advertisementType: PodCIDR\n"),
        (
            "podIPPoolSelector: {matchLabels: {pool: a}}",
            "",
            "    - advertisementType: CiliumPodIPPool\n      selector: {matchLabels: {pool: a}}\n",
        ),
        (
            "serviceSelector: {}\nserviceAdvertisements: [ClusterIP, ExternalIP]",
            "",
            "    - advertisementType: Service\n      service:\n        addresses: [ClusterIP, ExternalIP]\n      selector: {}\n",
        ),
        (
            "exportPodCIDR: true",
            "advertisedPathAttributes:\n  - selectorType: PodCIDR\n    communities: {standard: [\"64512:100\"]}",
            "    - advertisementType: PodCIDR\n      attributes:\n        communities: {standard: [\"64512:100\"]}\n",
        ),
        // Attributes apply only to load balancer addresses.
        (
            "serviceSelector: {matchLabels: {a: b}}\nserviceAdvertisements:\n  - LoadBalancerIP\n  - ClusterIP",
            "advertisedPathAttributes:\n  - selectorType: CiliumLoadBalancerIPPool\n    selector: {}\n    # Prefer.\n    localPreference: 150",
            "    - advertisementType: Service
      service:
        addresses:
          - LoadBalancerIP
      selector: {matchLabels: {a: b}}
      attributes:
        # Prefer.
        localPreference: 150
    - advertisementType: Service
      service:
        addresses:
          - ClusterIP
      selector: {matchLabels: {a: b}}
",
        ),
        // Attributes for some of the pools.
        (
            "podIPPoolSelector: {matchLabels: {pool: a}}",
            "advertisedPathAttributes:\n  - selectorType: CiliumPodIPPool\n    selector: {matchLabels: {zone: x, pool: b}}\n    localPreference: 150",
            "    - advertisementType: CiliumPodIPPool
      selector: {matchLabels: {pool: a}}
    - advertisementType: CiliumPodIPPool
      selector:
        matchLabels:
          pool: a
          zone: x
        matchExpressions:
          - key: pool
            operator: In
            values:
              - b
      attributes:
        localPreference: 150
",
        ),
        // Attributes for routes that are not advertised, and empty attributes.
        (
            "exportPodCIDR: true",
            "advertisedPathAttributes:\n  - {selectorType: CiliumPodIPPool, localPreference: 150}\n  - {selectorType: PodCIDR}",
            "    - advertisementType: PodCIDR\n",
        ),
        ("exportPodCIDR: false\nserviceSelector: null", "", ""),
        ("serviceSelector: {}\nserviceAdvertisements: []", "", ""),
    ];
    for (router, neighbor, expected) in cases {
        let new = converted(&policy(router, neighbor));
        let advertised = document(&new, "CiliumBGPAdvertisement");
        let items = advertised.split_once("  advertisements:\n").map_or("", |(_, items)| items);
        assert_eq!(items, expected, "{router}\n{neighbor}");
        // A family without a selector advertises nothing: it either selects our advertisement, or is missing.
        let config = document(&new, "CiliumBGPPeerConfig");
        assert_eq!(
            config.matches("advertise: rack0").count(),
            if expected.is_empty() { 0 } else { 2 },
            "{config}"
        );
    }
}

#[test]
fn families_that_are_named_stay() {
    let new =
        converted(&policy("exportPodCIDR: true", "families:\n  - {afi: ipv6, safi: unicast} # only v6"));
    let config = document(&new, "CiliumBGPPeerConfig");
    assert_eq!(config.matches("- afi:").count(), 1, "{config}");
    assert!(config.contains("    # only v6\n    - afi: ipv6\n"), "{config}");
}

#[test]
fn equal_configurations_are_shared_and_others_named_after_their_peer() {
    let two = |second: &str| {
        let neighbor = "peerPort: 179\n";
        policy("exportPodCIDR: true", neighbor)
            + &format!("        - peerAddress: fd00::2/128\n          peerASN: 64502\n          {second}\n")
    };
    let shared = converted(&two("peerPort: 179"));
    assert_eq!(shared.matches("kind: CiliumBGPPeerConfig").count(), 1, "{shared}");
    assert_eq!(shared.matches("peerConfigRef:\n            name: rack0\n").count(), 2, "{shared}");
    assert!(shared.contains("- name: peer-fd00-2\n          peerAddress: fd00::2\n"), "{shared}");

    let own = converted(&two("peerPort: 1790"));
    for name in ["rack0-peer-10-25-11-1", "rack0-peer-fd00-2"] {
        assert_eq!(own.matches(&format!("name: {name}\n")).count(), 2, "{own}");
    }
    assert_eq!(own.matches("kind: CiliumBGPAdvertisement").count(), 1, "{own}");
}

#[test]
fn policies_of_a_stream_share_and_names_that_are_taken_are_left_alone() {
    let one = policy("exportPodCIDR: true", "# the first");
    let other = one.replace("rack0", "rack1").replace("64501", "64502");
    let shared = converted(&format!("{one}---\n{other}"));
    assert_eq!(shared.matches("kind: CiliumBGPClusterConfig").count(), 2);
    assert_eq!(shared.matches("kind: CiliumBGPPeerConfig").count(), 1, "{shared}");

    let taken = "kind: CiliumBGPPeerConfig\nmetadata: {name: rack0}\n";
    assert!(converted(&format!("{one}---\n{taken}")).contains("peerConfigRef:\n            name: rack0-2\n"));
}

/// Each with the line of the problem.
#[test]
fn what_has_no_successor_is_refused_with_its_place() {
    let cases: [(&str, &str, usize, &str); 8] = [
        ("exportPodCIDR: ${EXPORT}", "", 8, "before substitution, it is unknown"),
        ("localPort: 179", "", 8, "`localPort` of the virtual router has no replacement"),
        ("", "peerAdress: 10.0.0.1/32", 11, "`peerAdress` of the neighbor"),
        (
            "",
            "advertisedPathAttributes:\n  - selectorType: PodCIDR\n    selector: {matchLabels: {rack: a}}\n    localPreference: 1",
            13,
            "pods of some nodes",
        ),
        (
            "",
            "advertisedPathAttributes:\n  - selectorType: CiliumLoadBalancerIPPool\n    selector: {matchLabels: {a: b}}\n    localPreference: 1",
            13,
            "selects Services",
        ),
        (
            "",
            "advertisedPathAttributes:\n  - {selectorType: PodCIDR, localPreference: 1}\n  - {selectorType: PodCIDR, localPreference: 2}",
            13,
            "duplicate entry",
        ),
        ("", "advertisedPathAttributes:\n  - {selectorType: Pods, localPreference: 1}", 12, "selectorType"),
        (
            "serviceSelector: {}\nserviceAdvertisements: [\"${KIND}\"]",
            "advertisedPathAttributes:\n  - {selectorType: CiliumLoadBalancerIPPool, localPreference: 1}",
            9,
            "it is unknown",
        ),
    ];
    for (router, neighbor, line, said) in cases {
        let old = policy(router, neighbor);
        let refused = convert_bgp(&old, Path::new("bgp.yaml")).unwrap();
        assert_eq!((refused.text, refused.policies), (old, 0));
        let [failure] = refused.refusals.as_slice() else {
            panic!("{router} {neighbor}: {:?}", refused.refusals)
        };
        assert!(failure.what.contains(said), "{failure}");
        assert_eq!(failure.location.as_ref().map(|at| at.line), Some(line), "{failure}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let old =
        policy("", "").replace("10.25.11.1/32", "router").replace("64512", "0").replace("rack0", "a\n  x: y");
    let refused = convert_bgp(&old, Path::new("bgp.yaml")).unwrap();
    assert_eq!(refused.refusals.len(), 2, "{:?}", refused.refusals);
}

#[test]
fn a_policy_in_a_list_or_patch_is_not_passed_over_in_silence() {
    let cases = [
        "kind: List\nitems:\n  - kind: CiliumBGPPeeringPolicy\n",
        "kind: Kustomization\npatches:\n  - target: {kind: CiliumBGPPeeringPolicy}\n",
    ];
    for old in cases {
        let refused = convert_bgp(old, Path::new("x.yaml")).unwrap();
        assert_eq!((refused.text.as_str(), refused.refusals.len()), (old, 1));
        assert_eq!(refused.refusals[0].location.as_ref().map(|at| at.line), Some(3));
    }
    assert_eq!(
        converted("# not CiliumBGPPeeringPolicy any more\na: 1\n"),
        "# not CiliumBGPPeeringPolicy any more\na: 1\n"
    );
}
