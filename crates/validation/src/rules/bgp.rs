//! Cilium's BGP objects: kinds that the declared Cilium serves, and references between them.

use crate::cilium_versions::{BGP, is_known, served};
use crate::fleet::{Placed, objects_of};
use crate::paths::values_at;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::selector::selects;
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "bgp-policy-removed",
        severity: Severity::Error,
        summary: "a CiliumBGPPeeringPolicy with Cilium 1.19 or newer, which removed that kind",
        why: "its CRD is not installed: Flux rejects the whole Kustomization, and the cluster announces nothing",
        fix: "migrate it to CiliumBGPClusterConfig, CiliumBGPPeerConfig and CiliumBGPAdvertisement with `bootstrapper convert bgp`",
        check: |rule, fleet| wrong_kind(rule, fleet, |kind, _, served| kind == POLICY && served.is_empty()),
    },
    Rule {
        name: "bgp-kind-too-new",
        severity: Severity::Error,
        summary: "a BGP object of a new kind with Cilium older than 1.16, which does not have that kind",
        why: "its CRD is not installed: Flux rejects the whole Kustomization, and the cluster announces nothing",
        fix: "declare a newer Cilium, or a CiliumBGPPeeringPolicy",
        check: |rule, fleet| wrong_kind(rule, fleet, |kind, _, served| kind != POLICY && served.is_empty()),
    },
    Rule {
        name: "bgp-version-too-new",
        severity: Severity::Error,
        summary: "a BGP object of cilium.io/v2 with Cilium older than 1.18, which serves only v2alpha1",
        why: "the API server does not serve the version: Flux rejects the whole Kustomization",
        fix: "use cilium.io/v2alpha1, or declare Cilium 1.18 or newer",
        check: |rule, fleet| {
            wrong_kind(rule, fleet, |_, version, served| {
                version == "v2" && !served.is_empty() && !served.contains(&version)
            })
        },
    },
    Rule {
        name: "missing-peer-config",
        severity: Severity::Error,
        summary: "a BGP peer references a CiliumBGPPeerConfig that is not found",
        why: "Cilium sets up no session with the peer, and reports it only in a condition (MissingPeerConfigs)",
        fix: "declare the CiliumBGPPeerConfig, or correct the peerConfigRef",
        check: missing_peer_config,
    },
    Rule {
        name: "nothing-advertised",
        severity: Severity::Error,
        summary: "a BGP peer selects no CiliumBGPAdvertisement",
        why: "the session is established but announces no route: everything looks healthy, and nothing is reachable",
        fix: "add the labels that `advertisements` selects to the CiliumBGPAdvertisement (in its metadata, not in its spec)",
        check: nothing_advertised,
    },
];

const GROUP: &str = "cilium.io";
const POLICY: &str = "CiliumBGPPeeringPolicy";

/// BGP objects of a kind or version that the declared Cilium does not serve.
fn wrong_kind(rule: &Rule, fleet: &Fleet, is_wrong: impl Fn(&str, &str, &[&str]) -> bool) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared) else { return Vec::new() };
        let Some(version) = cilium.minor_version() else { return Vec::new() };
        let objects = objects_of(declared).filter(|placed| {
            let id = placed.id();
            id.group() == GROUP
                && id.kind.starts_with(BGP)
                && is_known(&id.kind)
                && is_wrong(&id.kind, id.version(), &served(&id.kind, version).collect::<Vec<_>>())
        });
        objects
            .map(|placed| {
                let of =
                    placed.object.types.as_ref().map(|types| types.api_version.as_str()).unwrap_or_default();
                let message = format!(
                    "{} is of {of}, but the cluster runs Cilium {}",
                    placed.id(),
                    cilium.version.unwrap_or_default()
                );
                placed.finding(rule, "apiVersion", message)
            })
            .collect()
    })
}

fn of_kind<'a>(declared: &'a Declared, kind: &'a str) -> impl Iterator<Item = Placed<'a>> {
    objects_of(declared).filter(move |placed| placed.is(GROUP, kind))
}

fn missing_peer_config(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let found = of_kind(declared, "CiliumBGPClusterConfig").flat_map(|placed| {
            let named = values_at(&placed.object.data, "spec.bgpInstances[].peers[]").into_iter();
            let missing = named.filter_map(move |(path, peer)| {
                let name = peer["peerConfigRef"]["name"].as_str()?;
                if known::find(declared, GROUP, "CiliumBGPPeerConfig", None, name).is_some()
                    || !declared.notes.is_empty()
                {
                    return None;
                }
                let message =
                    format!("{} references CiliumBGPPeerConfig {name}, which is not found", placed.id());
                Some(placed.finding(rule, &format!("{path}.peerConfigRef.name"), message))
            });
            missing.collect::<Vec<_>>()
        });
        found.collect()
    })
}

fn nothing_advertised(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let advertisements: Vec<Placed<'_>> = of_kind(declared, "CiliumBGPAdvertisement").collect();
        let found = of_kind(declared, "CiliumBGPPeerConfig").flat_map(|placed| {
            let families = values_at(&placed.object.data, "spec.families[]").into_iter();
            let faults = families.filter_map(|(path, family)| {
                let selector = &family["advertisements"];
                let is_selected = |one: &Placed<'_>| {
                    selects(selector, &one.object.metadata.labels.clone().unwrap_or_default())
                };
                if advertisements.iter().any(is_selected) {
                    return None;
                }
                let message = format!("{} selects no CiliumBGPAdvertisement", placed.id());
                Some(placed.finding(rule, &format!("{path}.advertisements"), message))
            });
            faults.collect::<Vec<_>>()
        });
        found.collect()
    })
}
