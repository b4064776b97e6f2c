//! Address ranges that overlap, within a cluster and across clusters, and mesh ids that two clusters share:
//! rules about settings only, by the names of the settings.

use std::collections::BTreeMap;

use ipnet::IpNet;

use bootstrapper_core::failure::{Failure, FailureKind};

/// The settings of a cluster.
pub type Settings = BTreeMap<String, String>;

/// Whether a setting's value is an address range.
pub fn is_range(setting: &str) -> bool {
    setting.ends_with("_CIDR")
}

/// Words in the names of machine networks: one network can have several purposes, and several clusters.
const OF_MACHINES: [&str; 15] = [
    "CEPH",
    "CONTROL",
    "HOME",
    "HOST",
    "IOT",
    "LAN",
    "LOCAL",
    "MACHINE",
    "MANAGEMENT",
    "MGMT",
    "NODE",
    "PUBLIC",
    "SERVER",
    "STORAGE",
    "TRUSTED",
];

/// Whether a setting is the range of a machine network, and not of pods, Services or address pools.
fn is_of_machines(setting: &str) -> bool {
    setting.split('_').any(|word| OF_MACHINES.iter().any(|name| word.trim_end_matches('S').ends_with(name)))
        && !["POD", "SERVICE", "SVC", "POOL"].iter().any(|word| setting.contains(word))
}

/// Whether clusters of one mesh, or on one network, must not share the range. They may share networks of machines.
pub fn is_exclusive(setting: &str) -> bool {
    is_range(setting) && !is_of_machines(setting)
}

/// Whether two ranges of a cluster may overlap: two machine networks, or a machine network and a load-balancer pool
/// within it.
fn may_overlap(a: (&str, IpNet), b: (&str, IpNet)) -> bool {
    let is_part = |pool: (&str, IpNet), network: (&str, IpNet)| {
        pool.0.contains("POOL") && pool.1 != network.1 && network.1.contains(&pool.1)
    };
    match (is_of_machines(a.0), is_of_machines(b.0)) {
        (true, true) => true,
        (true, false) => is_part(b, a),
        (false, true) => is_part(a, b),
        (false, false) => false,
    }
}

fn problem(what: String) -> Failure {
    Failure::new(FailureKind::Preflight, what)
}

/// Parses the ranges in a setting: one, or several as a YAML or JSON list, or separated by commas or spaces.
/// None if one of them is invalid.
pub fn read(value: &str) -> Option<Vec<IpNet>> {
    let lines = value.lines().map(|line| line.trim().trim_start_matches("- ")).collect::<Vec<_>>().join(",");
    let inner = lines.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
    let parts = inner
        .split([',', ' '])
        .map(|part| part.trim().trim_matches(['"', '\'']))
        .filter(|part| !part.is_empty());
    let ranges: Vec<IpNet> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

/// The valid ranges among settings.
pub fn ranges(settings: &Settings) -> Vec<(&str, IpNet)> {
    let named = settings.iter().filter(|(name, _)| is_range(name));
    let read = named.filter_map(|(name, value)| Some((name.as_str(), read(value)?)));
    read.flat_map(|(name, ranges)| ranges.into_iter().map(move |range| (name, range))).collect()
}

/// Whether two settings have the same range under two names: `POD_CIDR` and `CLUSTER_POD_CIDR`.
fn is_same(a: (&str, IpNet), b: (&str, IpNet)) -> bool {
    let stem = |name: &str| name.trim_end_matches("_CIDR").to_owned();
    let (one, other) = (stem(a.0), stem(b.0));
    a.1 == b.1 && (one.contains(&other) || other.contains(&one))
}

/// Whether two ranges share an address.
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Invalid ranges: one item for each setting that should be a range.
pub fn unreadable(settings: &Settings) -> impl Iterator<Item = Option<Failure>> {
    settings.iter().filter(|(name, _)| is_range(name)).map(|(name, value)| {
        read(value).is_none().then(|| problem(format!("{name} `{value}` is not an address range")))
    })
}

/// Overlapping ranges within a cluster: one item for each pair.
pub fn collisions_within(settings: &Settings) -> impl Iterator<Item = Option<Failure>> {
    let ranges = ranges(settings);
    let pairs: Vec<_> = ranges
        .iter()
        .enumerate()
        .flat_map(|(at, a)| ranges[at + 1..].iter().map(move |b| (*a, *b)))
        .filter(|(a, b)| !is_same(*a, *b) && !may_overlap(*a, *b))
        .collect();
    pairs.into_iter().map(|((a, of_a), (b, of_b))| {
        overlap(of_a, of_b).then(|| {
            problem(format!("{a} {of_a} overlaps {b} {of_b}")).hint("give each range its own addresses")
        })
    })
}

/// Exclusive ranges of a cluster that overlap those of another: one item for each pair.
pub fn collisions_with(own: &Settings, neighbour: &str, theirs: &Settings) -> Vec<Option<Failure>> {
    let theirs = ranges(theirs);
    ranges(own)
        .into_iter()
        .filter(|(name, _)| is_exclusive(name))
        .flat_map(|(a, of_a)| {
            theirs.iter().filter(|(name, _)| is_exclusive(name)).map(move |(b, of_b)| {
                overlap(of_a, *of_b).then(|| {
                    problem(format!("{a} {of_a} overlaps {b} {of_b} of cluster {neighbour}"))
                        .hint("clusters that route to each other need disjoint ranges")
                })
            })
        })
        .collect()
}

/// A mesh id that another cluster also has.
pub fn shared_mesh_id(own: &Settings, neighbour: &str, theirs: &Settings) -> Option<Failure> {
    let id = own.get("CLUSTER_ID")?;
    (theirs.get("CLUSTER_ID") == Some(id)).then(|| {
        problem(format!("CLUSTER_ID {id} conflicts with cluster {neighbour}"))
            .hint("give every cluster of a mesh its own id, 1 to 255")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn overlaps_within_a_cluster_are_found() {
        let own = settings(&[
            ("POD_CIDR", "10.42.0.0/16"),
            ("SERVICE_CIDR", "10.42.8.0/24"),
            ("LB_POOL_CIDR", "10.9.0.0/24"),
        ]);
        let problems: Vec<_> = collisions_within(&own).flatten().collect();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].what, "POD_CIDR 10.42.0.0/16 overlaps SERVICE_CIDR 10.42.8.0/24");
    }

    #[test]
    fn neighbours_may_share_the_node_network_and_nothing_else() {
        let own =
            settings(&[("POD_CIDR", "10.42.0.0/16"), ("NODE_CIDR", "10.25.0.0/16"), ("CLUSTER_ID", "1")]);
        let theirs =
            settings(&[("POD_CIDR", "10.42.0.0/17"), ("NODE_CIDR", "10.25.0.0/16"), ("CLUSTER_ID", "1")]);
        assert_eq!(collisions_with(&own, "apps", &theirs).iter().flatten().count(), 1);
        assert!(shared_mesh_id(&own, "apps", &theirs).is_some());
    }

    #[test]
    fn a_network_of_machines_may_have_several_purposes() {
        for (a, b, collisions) in [
            (("STORAGE_CIDR", "10.25.0.0/16"), ("NODE_CIDR", "10.25.0.0/16"), 0),
            (("CEPH_PUBLIC_CIDR", "10.25.0.0/16"), ("NODE_CIDR", "10.25.1.0/24"), 0),
            (("CEPH_CLUSTER_CIDR", "10.25.3.0/24"), ("LOCAL_CIDR", "10.25.0.0/16"), 0),
            (("LB_POOL_CIDR", "10.25.1.0/24"), ("NODE_CIDR", "10.25.0.0/16"), 0),
            (("LB_POOL_CIDR", "10.25.0.0/16"), ("NODE_CIDR", "10.25.0.0/16"), 1),
            (("POD_CIDR", "10.25.1.0/24"), ("NODE_CIDR", "10.25.0.0/16"), 1),
            (("NODE_POD_CIDR", "10.25.1.0/24"), ("NODE_CIDR", "10.25.0.0/16"), 1),
            (("SERVICE_CIDR", "10.25.1.0/24"), ("STORAGE_CIDR", "10.25.0.0/16"), 1),
        ] {
            let own = settings(&[a, b]);
            assert_eq!(collisions_within(&own).flatten().count(), collisions, "{a:?} {b:?}");
        }
        assert!(!is_exclusive("STORAGE_CIDR") && is_exclusive("LB_POOL_CIDR") && is_exclusive("VPN_CIDR"));
    }

    #[test]
    fn what_is_no_range_is_said() {
        let own = settings(&[("POD_CIDR", "10.42.0.0/99"), ("DOMAIN", "example.org")]);
        assert_eq!(unreadable(&own).flatten().count(), 1);
    }

    #[test]
    fn several_ranges_are_a_list() {
        for (value, expected) in [
            ("10.42.0.0/16", Some(1)),
            ("\"10.42.0.0/16\"", Some(1)),
            ("[\"10.42.0.0/16\"]", Some(1)),
            ("['10.42.0.0/16', 'fd00::/48']", Some(2)),
            ("10.42.0.0/16,fd00::/48", Some(2)),
            ("10.42.0.0/16 fd00::/48", Some(2)),
            ("- 10.42.0.0/16\n- fd00::/48\n", Some(2)),
            ("[]", None),
            ("", None),
            ("[\"10.42.0.0/99\"]", None),
            ("10.42.0.0/16, none", None),
        ] {
            assert_eq!(read(value).map(|ranges| ranges.len()), expected, "{value:?}");
        }
        let own = settings(&[
            ("POD_CIDR", "[\"10.42.0.0/16\"]"),
            ("CLUSTER_POD_CIDR", "10.42.0.0/16"),
            ("SERVICE_CIDR", "10.42.0.0/24,fd00::/112"),
        ]);
        assert_eq!(collisions_within(&own).flatten().count(), 2);
    }
}
