//! Address ranges, mesh ids and AS numbers, within a cluster and across clusters.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::paths::values_at;
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::failure::Failure;
use bootstrapper_gitops::{Declared, addresses};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "invalid-range",
        severity: Severity::Error,
        summary: "a setting that should be an address range is invalid",
        why: "whatever uses it is rejected, or means something else",
        fix: "write it as `10.42.0.0/16`; several as a list, or separated by commas",
        check: invalid_range,
    },
    Rule {
        name: "ranges-overlap",
        severity: Severity::Error,
        summary: "two address ranges of a cluster overlap",
        why: "an address in both is routed to only one of them: some pods, nodes or services are unreachable",
        fix: "give each range its own addresses",
        check: ranges_overlap,
    },
    Rule {
        name: "ranges-overlap-across",
        severity: Severity::Error,
        summary: "an address range of a cluster overlaps one of another cluster",
        why: "clusters of one mesh, or behind one router, reach the wrong one of them",
        fix: "give each cluster its own ranges; only NODE_CIDR may be the same",
        check: ranges_overlap_across,
    },
    Rule {
        name: "mesh-id-clash",
        severity: Severity::Error,
        summary: "two clusters have the same CLUSTER_ID",
        why: "Cilium confuses the identities of the two clusters, and policies admit the wrong pods",
        fix: "give each cluster its own id; changing it later requires a restart of every workload",
        check: mesh_id_clash,
    },
    Rule {
        name: "invalid-mesh-id",
        severity: Severity::Error,
        summary: "a CLUSTER_ID is outside the range of Cilium",
        why: "the Cilium agents do not start",
        fix: "use 1 to 255, or up to 511 with `clustermesh.maxConnectedClusters: 511` in every cluster",
        check: invalid_mesh_id,
    },
    Rule {
        name: "invalid-asn",
        severity: Severity::Error,
        summary: "a setting that should be an AS number is invalid",
        why: "the API server rejects the object, or the router rejects the session",
        fix: "use 64512 to 65534 or 4200000000 to 4294967294, the private AS numbers",
        check: invalid_asn,
    },
    Rule {
        name: "address-outside-range",
        severity: Severity::Error,
        summary: "an address is outside its range",
        why: "the address cannot be assigned, and the Service has no address",
        fix: "choose an address in the range, or correct the range",
        check: address_outside_range,
    },
    Rule {
        name: "pools-overlap",
        severity: Severity::Error,
        summary: "two load-balancer pools of a cluster overlap",
        why: "Cilium disables the younger one (PoolConflict), and its Services have no addresses",
        fix: "give each pool its own addresses",
        check: pools_overlap,
    },
];

/// A finding at the setting that the failure's message begins with.
fn at_setting(rule: &Rule, declared: &Declared, failure: Option<Failure>) -> Option<Finding> {
    let failure = failure?;
    let setting = failure.what.split_whitespace().next().unwrap_or_default().to_owned();
    Some(
        Finding::of_failure(rule, &failure)
            .in_cluster(&declared.cluster)
            .at(declared.setting_location(&setting)),
    )
}

fn invalid_range(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        addresses::unreadable(&declared.settings)
            .filter_map(|failure| at_setting(rule, declared, failure))
            .collect()
    })
}

fn ranges_overlap(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let collisions = addresses::collisions_within(&declared.settings);
        collisions.filter_map(|failure| at_setting(rule, declared, failure)).collect()
    })
}

/// The other clusters after this one: each pair is reported once.
fn later<'a>(
    declared: &'a Declared,
    fleet: &'a Fleet,
) -> impl Iterator<Item = (&'a String, &'a addresses::Settings)> {
    let is_looked_at = |name: &str| fleet.clusters.iter().any(|one| one.cluster == name);
    fleet.settings.iter().filter(move |(name, _)| {
        **name != declared.cluster && (*name > &declared.cluster || !is_looked_at(name))
    })
}

fn ranges_overlap_across(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let collisions = later(declared, fleet)
            .flat_map(|(other, settings)| addresses::collisions_with(&declared.settings, other, settings));
        collisions.filter_map(|failure| at_setting(rule, declared, failure)).collect()
    })
}

fn mesh_id_clash(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let clashes = later(declared, fleet)
            .map(|(other, settings)| addresses::shared_mesh_id(&declared.settings, other, settings));
        clashes.filter_map(|failure| at_setting(rule, declared, failure)).collect()
    })
}

fn setting(rule: &Rule, declared: &Declared, name: &str, message: String) -> Finding {
    Finding::of(rule, message).in_cluster(&declared.cluster).at(declared.setting_location(name))
}

fn invalid_mesh_id(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let id = declared.settings.get("CLUSTER_ID");
        let wrong = id.filter(|id| !id.parse::<u16>().is_ok_and(|id| (1..=511).contains(&id)));
        wrong
            .map(|id| setting(rule, declared, "CLUSTER_ID", format!("CLUSTER_ID is `{id}`")))
            .into_iter()
            .collect()
    })
}

/// Reserved AS numbers: 0, AS_TRANS (23456), and the last 16-bit and 32-bit ones (RFC 7607, 6793, 7300).
fn is_reserved(asn: u32) -> bool {
    matches!(asn, 0 | 23456 | 65535 | u32::MAX)
}

fn invalid_asn(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let asns = declared.settings.iter().filter(|(name, _)| name.ends_with("_ASN"));
        let wrong = asns.filter(|(_, value)| value.parse::<u32>().map_or(true, is_reserved));
        wrong.map(|(name, value)| setting(rule, declared, name, format!("{name} is `{value}`"))).collect()
    })
}

/// Settings that are addresses, and the settings with their ranges.
const WITHIN: [(&str, &str); 2] =
    [("CLUSTER_DNS_IP", "SERVICE_CIDR"), ("CLUSTERMESH_ADDRESS", "LB_POOL_CIDR")];

/// Whether an address is one of those settings, which `address-outside-range` is about.
pub(super) fn is_of_setting(declared: &Declared, address: IpAddr) -> bool {
    let value = |name: &str| declared.settings.get(name)?.parse::<IpAddr>().ok();
    WITHIN.iter().any(|(name, _)| value(name) == Some(address))
}

fn address_outside_range(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let outside = WITHIN.iter().filter_map(|(address, range)| {
            let value = |name: &str| declared.settings.get(name);
            let ip: IpAddr = value(address)?.parse().ok()?;
            let nets = addresses::read(value(range)?)?;
            let shown = || nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            (!nets.iter().any(|net| net.contains(&ip))).then(|| {
                setting(rule, declared, address, format!("{address} {ip} is not in {range} {}", shown()))
            })
        });
        outside.collect()
    })
}

fn pools_overlap(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let pools = crate::fleet::objects_of(declared)
            .filter(|placed| placed.is("cilium.io", "CiliumLoadBalancerIPPool"))
            .filter(|placed| placed.field(&["spec", "disabled"]) != true);
        let blocks: Vec<_> = pools
            .flat_map(|placed| {
                let cidrs = values_at(&placed.object.data, "spec.blocks[].cidr").into_iter();
                cidrs.filter_map(move |(path, cidr)| {
                    Some((placed, path, cidr.as_str()?.parse::<IpNet>().ok()?))
                })
            })
            .collect();
        let mut found = Vec::new();
        for (at, (placed, path, range)) in blocks.iter().enumerate() {
            let earlier = blocks[..at].iter().find(|(_, _, other)| addresses::overlap(*range, *other));
            if let Some((other, _, theirs)) = earlier {
                let message = format!("{range} of {} overlaps {theirs} of {}", placed.id(), other.id());
                found.push(placed.finding(rule, path, message));
            }
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_numbers() {
        for (asn, reserved) in [(0, true), (23456, true), (64512, false), (65535, true), (65536, false)] {
            assert_eq!(is_reserved(asn), reserved, "{asn}");
        }
    }
}
