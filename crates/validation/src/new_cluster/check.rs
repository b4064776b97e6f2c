//! Checks the settings of a new cluster, and reports all problems at once, before
//! anything is written.

use std::net::IpAddr;

use ipnet::IpNet;

use super::free;
use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_gitops::addresses::{
    Settings, collisions_with, collisions_within, is_exclusive, ranges, shared_mesh_id, unreadable,
};

/// Cilium's limit for the length of a cluster name.
const LONGEST_NAME: usize = 32;
/// Reserved AS numbers: 23456 is a placeholder for longer ones, and the last of each size.
const RESERVED_ASNS: [u64; 4] = [0, 23_456, 65_535, 4_294_967_295];

/// A new cluster.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its settings; unknown ones are absent.
    pub settings: &'a Settings,
    /// The cluster that it is copied from.
    pub like: &'a str,
    /// All existing clusters.
    pub clusters: &'a [(String, Settings)],
    /// Reserved names: commands of this program.
    pub verbs: &'a [String],
    /// The maximum cluster id of the mesh: 255 or 511.
    pub highest_id: u64,
}

/// All problems of a new cluster.
pub fn problems(subject: &Subject<'_>) -> Vec<Failure> {
    let own = subject.settings;
    let mut problems: Vec<Failure> =
        name_problem(subject.name, subject.clusters, subject.verbs).into_iter().collect();
    problems.extend(missing(subject));
    problems.extend(id(subject));
    problems.extend(unreadable(own).flatten());
    problems.extend(collisions_within(own).flatten());
    for (neighbour, theirs) in subject.clusters {
        problems.extend(shared_mesh_id(own, neighbour, theirs));
        problems.extend(collisions_with(own, neighbour, theirs).into_iter().flatten());
        problems.extend(shared_server(own, neighbour, theirs));
    }
    problems.extend(not_a_network(own));
    problems.extend(addresses(subject));
    problems.extend(asns(subject));
    for problem in &mut problems {
        problem.kind = FailureKind::Input;
    }
    problems
}

/// The problem of a new cluster's name. `verbs` are reserved by the command line.
pub fn name_problem(name: &str, clusters: &[(String, Settings)], verbs: &[String]) -> Option<Failure> {
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = name.starts_with(is_lower)
        && name.ends_with(is_lower)
        && name.chars().all(|c| is_lower(c) || c == '-');
    if !is_word || name.len() > LONGEST_NAME {
        return Some(Failure::input(format!("invalid cluster name `{name}`")).hint(
            "use up to 32 lower-case letters, digits and dashes, starting and ending with a letter or digit",
        ));
    }
    if clusters.iter().any(|(other, _)| other == name) {
        return Some(
            Failure::input(format!("cluster `{name}` already exists"))
                .hint("choose another name, or edit its settings.yaml"),
        );
    }
    if name == "default" {
        return Some(
            Failure::input("invalid cluster name `default`")
                .hint("choose another name: Cilium reserves it for clusters without a mesh"),
        );
    }
    verbs.iter().any(|verb| verb == name).then(|| {
        Failure::input(format!("invalid cluster name `{name}`: `bootstrapper {name}` is a command"))
            .hint("choose another name")
    })
}

/// Settings that the model has and the new cluster lacks, and the reverse.
fn missing(subject: &Subject<'_>) -> Vec<Failure> {
    let Some((_, model)) = subject.clusters.iter().find(|(name, _)| name == subject.like) else {
        return Vec::new();
    };
    let has =
        |settings: &Settings, name: &str| settings.get(name).is_some_and(|value| !value.trim().is_empty());
    let absent = model.keys().filter(|name| has(model, name) && !has(subject.settings, name)).map(|name| {
        Failure::input(format!("{name} has no value: it differs between clusters")).hint(flag_for(name))
    });
    let unknown = subject.settings.keys().filter(|name| !model.contains_key(*name)).map(|name| {
        let failure = Failure::input(format!("cluster {} has no setting {name}", subject.like));
        match model.keys().find(|known| strsim::jaro_winkler(known, name) > 0.8) {
            Some(nearest) => failure.hint(format!("did you mean {nearest}?")),
            None => failure
                .hint("set only existing settings; add it to the settings.yaml of the other clusters first"),
        }
    });
    absent.chain(unknown).collect()
}

fn flag_for(setting: &str) -> String {
    match setting {
        "API_SERVER_HOST" => "set it with --api-server HOST[:PORT]".to_owned(),
        _ => format!("set it with --set {setting}=…"),
    }
}

fn id(subject: &Subject<'_>) -> Option<Failure> {
    let id = subject.settings.get("CLUSTER_ID")?;
    let highest = subject.highest_id;
    let is_id = id.parse::<u64>().is_ok_and(|id| (1..=highest).contains(&id));
    (!is_id).then(|| Failure::input(format!("invalid CLUSTER_ID {id}")).hint(format!("use 1 to {highest}")))
}

fn shared_server(own: &Settings, neighbour: &str, theirs: &Settings) -> Option<Failure> {
    let host = own.get("API_SERVER_HOST")?;
    let of =
        |settings: &Settings| ["API_SERVER_HOST", "API_SERVER_PORT"].map(|name| settings.get(name).cloned());
    (of(own) == of(theirs)).then(|| {
        Failure::input(format!("API_SERVER_HOST {host} conflicts with cluster {neighbour}"))
            .hint("set another host: clusters cannot share an API server")
    })
}

/// Ranges with host bits set.
fn not_a_network(own: &Settings) -> Vec<Failure> {
    let strays = ranges(own).into_iter().filter(|(_, range)| range.addr() != range.network());
    strays
        .map(|(name, range)| {
            Failure::input(format!("{name} {range} does not start at its network address"))
                .hint(format!("did you mean {}?", range.trunc()))
        })
        .collect()
}

/// Addresses that are in a range of the model must be in the same range of the new cluster.
fn addresses(subject: &Subject<'_>) -> Vec<Failure> {
    let Some((_, model)) = subject.clusters.iter().find(|(name, _)| name == subject.like) else {
        return Vec::new();
    };
    let theirs = ranges(model);
    let own: Vec<(&str, IpNet)> = ranges(subject.settings);
    let range_of = |setting: &str| {
        let address: IpAddr = model.get(setting)?.parse().ok()?;
        let (name, _) = theirs.iter().find(|(name, range)| is_exclusive(name) && range.contains(&address))?;
        own.iter().find(|(own, _)| own == name)
    };
    let mut problems = Vec::new();
    for (setting, value) in subject.settings {
        let Some((name, range)) = range_of(setting) else { continue };
        let Ok(address) = value.parse::<IpAddr>() else {
            problems.push(Failure::input(format!("{setting} `{value}` is not an IP address")));
            continue;
        };
        if !range.contains(&address) {
            problems.push(
                Failure::input(format!("{setting} {address} is outside {name} {range}"))
                    .hint(format!("as in {}: use an address in that range", subject.like)),
            );
        } else if name.starts_with("SERVICE")
            && (free::first(*range) == Some(address) || range.network() == address)
        {
            problems.push(
                Failure::input(format!("{setting} {address} conflicts with the Service `kubernetes`"))
                    .hint("use a later address: the first of the range belongs to the API server"),
            );
        }
    }
    problems
}

fn asns(subject: &Subject<'_>) -> Vec<Failure> {
    let own = subject.settings;
    let model = subject.clusters.iter().find(|(name, _)| name == subject.like).map(|(_, model)| model);
    let mut problems = Vec::new();
    for (setting, value) in own.iter().filter(|(setting, _)| setting.ends_with("_ASN")) {
        let is_asn =
            value.parse::<u64>().is_ok_and(|asn| u32::try_from(asn).is_ok() && !RESERVED_ASNS.contains(&asn));
        if !is_asn {
            problems.push(
                Failure::input(format!("{setting} {value} is not an AS number"))
                    .hint("use a private AS number: 64512 to 65534, or 4200000000 to 4294967294"),
            );
        }
        if !setting.ends_with("LOCAL_ASN") {
            continue;
        }
        let router = setting.replace("LOCAL_ASN", "PEER_ASN");
        let is_external = model
            .is_some_and(|model| model.contains_key(&router) && model.get(setting) != model.get(&router));
        if is_external && own.get(&router) == Some(value) {
            problems.push(
                Failure::input(format!("{setting} {value} conflicts with the router's ({router})")).hint(
                    format!("use another AS number: the sessions are external, as in {}", subject.like),
                ),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn infra() -> Settings {
        settings(&[
            ("CLUSTER_NAME", "infra"),
            ("CLUSTER_ID", "1"),
            ("API_SERVER_HOST", "10.25.11.10"),
            ("API_SERVER_PORT", "6443"),
            ("POD_CIDR", "10.42.0.0/16"),
            ("SERVICE_CIDR", "10.43.0.0/16"),
            ("CLUSTER_DNS_IP", "10.43.0.10"),
            ("LB_POOL_CIDR", "10.25.12.0/25"),
            ("CLUSTERMESH_ADDRESS", "10.25.12.10"),
            ("BGP_LOCAL_ASN", "64512"),
            ("BGP_PEER_ASN", "64501"),
        ])
    }

    /// The problems of a valid cluster with these settings.
    fn wrong(name: &str, changes: &[(&str, &str)]) -> Vec<String> {
        let mut own = infra();
        own.extend(settings(&[
            ("CLUSTER_NAME", "media"),
            ("CLUSTER_ID", "3"),
            ("API_SERVER_HOST", "10.25.11.30"),
            ("POD_CIDR", "10.46.0.0/16"),
            ("SERVICE_CIDR", "10.47.0.0/16"),
            ("CLUSTER_DNS_IP", "10.47.0.10"),
            ("LB_POOL_CIDR", "10.25.13.0/25"),
            ("CLUSTERMESH_ADDRESS", "10.25.13.10"),
            ("BGP_LOCAL_ASN", "64514"),
        ]));
        own.extend(settings(changes));
        let clusters = [("infra".to_owned(), infra())];
        let verbs = ["plan".to_owned()];
        let subject = Subject {
            name,
            settings: &own,
            like: "infra",
            clusters: &clusters,
            verbs: &verbs,
            highest_id: 255,
        };
        let problems = problems(&subject);
        assert!(problems.iter().all(|problem| problem.kind == FailureKind::Input));
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn names() {
        for name in ["media", "m", "9", "media-2", &"m".repeat(32)] {
            assert_eq!(wrong(name, &[]), [""; 0], "{name}");
        }
        for name in ["", "Media", "-media", "media-", "me_dia", "infra", "plan", "default", &"m".repeat(33)] {
            assert_eq!(wrong(name, &[]).len(), 1, "{name}");
        }
    }

    #[test]
    fn each_setting_that_cannot_be_is_named() {
        let cases = [
            ("CLUSTER_ID", "1", "CLUSTER_ID 1 conflicts with cluster infra"),
            ("CLUSTER_ID", "256", "invalid CLUSTER_ID 256"),
            ("CLUSTER_ID", "zero", "invalid CLUSTER_ID zero"),
            ("API_SERVER_HOST", "10.25.11.10", "conflicts with cluster infra"),
            ("API_SERVER_HOST", "", "API_SERVER_HOST has no value"),
            ("API_SERVER_HOTS", "x", "has no setting API_SERVER_HOTS"),
            (
                "POD_CIDR",
                "10.42.7.0/24",
                "POD_CIDR 10.42.7.0/24 overlaps POD_CIDR 10.42.0.0/16 of cluster infra",
            ),
            ("POD_CIDR", "10.47.128.0/17", "POD_CIDR 10.47.128.0/17 overlaps SERVICE_CIDR"),
            ("POD_CIDR", "10.46.0.0/33", "POD_CIDR `10.46.0.0/33` is not an address range"),
            ("POD_CIDR", "10.46.1.0/16", "does not start at its network address"),
            ("CLUSTER_DNS_IP", "10.43.0.10", "CLUSTER_DNS_IP 10.43.0.10 is outside SERVICE_CIDR"),
            ("CLUSTER_DNS_IP", "10.47.0.1", "the Service `kubernetes`"),
            ("CLUSTER_DNS_IP", "dns", "CLUSTER_DNS_IP `dns` is not an IP address"),
            ("CLUSTERMESH_ADDRESS", "10.25.13.200", "is outside LB_POOL_CIDR 10.25.13.0/25"),
            ("BGP_LOCAL_ASN", "64501", "conflicts with the router's (BGP_PEER_ASN)"),
            ("BGP_LOCAL_ASN", "65535", "is not an AS number"),
            ("BGP_LOCAL_ASN", "4294967296", "is not an AS number"),
        ];
        for (setting, value, said) in cases {
            let problems = wrong("media", &[(setting, value)]);
            assert_eq!(problems.len(), 1, "{setting}={value}: {problems:?}");
            assert!(problems[0].contains(said), "{problems:?}");
        }
    }

    #[test]
    fn all_is_said_at_once() {
        let all =
            wrong("infra", &[("CLUSTER_ID", "1"), ("POD_CIDR", "10.42.0.0/16"), ("BGP_LOCAL_ASN", "0")]);
        assert_eq!(all.len(), 4, "{all:?}");
    }
}
