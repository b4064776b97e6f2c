//! A value for every setting of the new cluster, derived from the existing clusters.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{free, peers};
use bootstrapper_gitops::addresses::{Settings, is_exclusive, ranges};

/// A setting of the new cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// The value of a setting, and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Given by the user.
    Given(String),
    /// The same in all clusters.
    Kept(String),
    /// A proposal: a free or derived value.
    Proposed(String),
    /// Only the user can know it.
    Unknown,
}

impl Value {
    /// The value, if there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Given(text) | Self::Kept(text) | Self::Proposed(text) => Some(text),
            Self::Unknown => None,
        }
    }
}

/// Proposes a value for every setting that the cluster `like` has. `clusters` are the existing
/// clusters; `given` are the given values.
pub fn propose(name: &str, like: &str, clusters: &[(String, Settings)], given: &Settings) -> Vec<Proposed> {
    let Some((_, model)) = clusters.iter().find(|(cluster, _)| cluster == like) else { return Vec::new() };
    let mut proposal = Proposal { name, like, model, clusters, values: BTreeMap::new() };
    for (setting, value) in given {
        proposal.values.insert(setting.clone(), Value::Given(value.clone()));
    }
    // Ranges first: addresses depend on them.
    let (of_ranges, others): (Vec<_>, Vec<_>) = model.iter().partition(|(setting, _)| is_exclusive(setting));
    for (setting, own) in of_ranges.into_iter().chain(others) {
        if !proposal.values.contains_key(setting) {
            let value = proposal.value_of(setting, own);
            proposal.values.insert(setting.clone(), value);
        }
    }
    let mut all: Vec<Proposed> =
        proposal.values.into_iter().map(|(name, value)| Proposed { name, value }).collect();
    all.sort_by_key(|one| rank(&one.name));
    all
}

/// Settings that others depend on come first: this is the order of the prompts.
fn rank(setting: &str) -> u8 {
    match setting {
        "CLUSTER_NAME" | "CLUSTER_ID" => 0,
        _ if setting.starts_with("API_SERVER") => 1,
        _ if is_exclusive(setting) => 2,
        _ => 3,
    }
}

struct Proposal<'a> {
    name: &'a str,
    like: &'a str,
    model: &'a Settings,
    clusters: &'a [(String, Settings)],
    values: BTreeMap<String, Value>,
}

impl Proposal<'_> {
    fn value_of(&self, setting: &str, own: &str) -> Value {
        let proposed = |value: Option<String>| value.map_or(Value::Unknown, Value::Proposed);
        if setting == "CLUSTER_NAME" {
            return Value::Kept(self.name.to_owned());
        }
        if setting == "CLUSTER_ID" {
            return proposed(free::number(&self.numbers(setting), &free::IDS).map(|id| id.to_string()));
        }
        if is_exclusive(setting) {
            return proposed(self.free_range(setting, own));
        }
        if let Some(place) = own.parse().ok().and_then(|address| self.range_of(address)) {
            return proposed(self.moved(own, place));
        }
        if let Some(list) = peers::listed(own, self.clusters, self.clusters) {
            return Value::Proposed(list);
        }
        if self.is_the_same_everywhere(setting, own) {
            return Value::Kept(own.to_owned());
        }
        if setting.ends_with("LOCAL_ASN") {
            return proposed(own.parse().ok().and_then(|asn| self.free_asn(setting, asn)));
        }
        if setting.ends_with("_PORT") {
            return Value::Proposed(own.to_owned());
        }
        // A value that contains the cluster's name, such as a domain or a bucket.
        if let Some(renamed) = renamed(own, self.like, self.name) {
            return Value::Proposed(renamed);
        }
        Value::Unknown
    }

    fn numbers(&self, setting: &str) -> Vec<u64> {
        self.clusters.iter().filter_map(|(_, settings)| settings.get(setting)?.parse().ok()).collect()
    }

    fn free_asn(&self, setting: &str, own: u64) -> Option<String> {
        let routers = setting.replace("LOCAL_ASN", "PEER_ASN");
        let mut taken = self.numbers(setting);
        taken.extend(self.numbers(&routers));
        free::asn(&taken, own).map(|asn| asn.to_string())
    }

    fn free_range(&self, setting: &str, own: &str) -> Option<String> {
        let peers = self.clusters.iter().filter_map(|(_, settings)| settings.get(setting)?.parse().ok());
        let peers: Vec<IpNet> = peers.collect();
        let mut taken: Vec<IpNet> =
            self.clusters.iter().flat_map(|(_, settings)| ranges(settings)).map(|(_, range)| range).collect();
        let chosen = self.values.values().filter_map(|value| value.text()?.parse::<IpNet>().ok());
        taken.extend(chosen);
        free::range(own.parse().ok()?, &peers, &taken).map(|range| range.to_string())
    }

    /// The model's range that contains an address.
    fn range_of(&self, address: IpAddr) -> Option<(&str, IpNet)> {
        let ranges = ranges(self.model).into_iter();
        ranges.into_iter().find(|(name, range)| is_exclusive(name) && range.contains(&address))
    }

    fn moved(&self, own: &str, (name, from): (&str, IpNet)) -> Option<String> {
        let to = self.values.get(name)?.text()?.parse().ok()?;
        free::moved(own.parse().ok()?, from, to).map(|address| address.to_string())
    }

    /// With a single cluster, any setting may be shared, except those with an address: a cluster has its own
    /// API server.
    fn is_the_same_everywhere(&self, setting: &str, own: &str) -> bool {
        let others = self.clusters.iter().filter(|(cluster, _)| cluster != self.like);
        let mut others = others.map(|(_, settings)| settings.get(setting).map(String::as_str)).peekable();
        if others.peek().is_none() {
            return setting != "API_SERVER_HOST"
                && !setting.ends_with("LOCAL_ASN")
                && renamed(own, self.like, self.name).is_none();
        }
        // A cluster without the setting is ignored.
        others.flatten().all(|other| other == own)
    }
}

/// The text with one name replaced by the other, matching whole words; none without a match.
pub(super) fn renamed(text: &str, from: &str, to: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    while let Some((start, after)) = rest.split_once(from).filter(|_| !from.is_empty()) {
        let before = start.chars().last().or_else(|| out.chars().last());
        let is_word = !before.is_some_and(is_part) && !after.starts_with(is_part);
        out.push_str(start);
        out.push_str(if is_word { to } else { from });
        found |= is_word;
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn two() -> Vec<(String, Settings)> {
        let infra = settings(&[
            ("CLUSTER_NAME", "infra"),
            ("CLUSTER_ID", "1"),
            ("API_SERVER_HOST", "10.25.11.10"),
            ("API_SERVER_PORT", "6443"),
            ("NODE_CIDR", "10.25.11.0/24"),
            ("POD_CIDR", "10.42.0.0/16"),
            ("SERVICE_CIDR", "10.43.0.0/16"),
            ("CLUSTER_DNS_IP", "10.43.0.10"),
            ("BGP_LOCAL_ASN", "64512"),
            ("BGP_PEER_ASN", "64501"),
            ("DOMAIN", "infra.example.org"),
        ]);
        let mut apps = infra.clone();
        apps.extend(settings(&[
            ("CLUSTER_NAME", "apps"),
            ("CLUSTER_ID", "2"),
            ("API_SERVER_HOST", "10.25.11.20"),
            ("POD_CIDR", "10.44.0.0/16"),
            ("SERVICE_CIDR", "10.45.0.0/16"),
            ("CLUSTER_DNS_IP", "10.45.0.10"),
            ("BGP_LOCAL_ASN", "64513"),
            ("DOMAIN", "apps.example.org"),
        ]));
        vec![("apps".to_owned(), apps), ("infra".to_owned(), infra)]
    }

    fn proposed(clusters: &[(String, Settings)], given: &[(&str, &str)], setting: &str) -> Value {
        let all = propose("media", "infra", clusters, &settings(given));
        all.into_iter().find(|one| one.name == setting).unwrap().value
    }

    #[test]
    fn every_setting_gets_what_fits() {
        let cases = [
            ("CLUSTER_NAME", Value::Kept("media".to_owned())),
            ("CLUSTER_ID", Value::Proposed("3".to_owned())),
            ("API_SERVER_HOST", Value::Unknown),
            ("API_SERVER_PORT", Value::Kept("6443".to_owned())),
            ("NODE_CIDR", Value::Kept("10.25.11.0/24".to_owned())),
            ("POD_CIDR", Value::Proposed("10.46.0.0/16".to_owned())),
            ("SERVICE_CIDR", Value::Proposed("10.47.0.0/16".to_owned())),
            ("CLUSTER_DNS_IP", Value::Proposed("10.47.0.10".to_owned())),
            ("BGP_LOCAL_ASN", Value::Proposed("64514".to_owned())),
            ("BGP_PEER_ASN", Value::Kept("64501".to_owned())),
            ("DOMAIN", Value::Proposed("media.example.org".to_owned())),
        ];
        for (setting, expected) in cases {
            assert_eq!(proposed(&two(), &[], setting), expected, "{setting}");
        }
    }

    #[test]
    fn ranges_come_before_what_lies_in_them() {
        let all = propose("media", "infra", &two(), &Settings::new());
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        let at = |name: &str| names.iter().position(|one| *one == name);
        assert_eq!(names.first(), Some(&"CLUSTER_ID"));
        assert!(at("SERVICE_CIDR") < at("CLUSTER_DNS_IP"), "{names:?}");
    }

    #[test]
    fn what_is_given_counts_and_addresses_follow_it() {
        let given = [("SERVICE_CIDR", "10.99.0.0/16")];
        assert_eq!(proposed(&two(), &given, "SERVICE_CIDR"), Value::Given("10.99.0.0/16".to_owned()));
        assert_eq!(proposed(&two(), &given, "CLUSTER_DNS_IP"), Value::Proposed("10.99.0.10".to_owned()));
    }

    #[test]
    fn of_a_single_cluster_what_must_differ_is_known() {
        let one: Vec<_> = two().into_iter().skip(1).collect();
        assert_eq!(proposed(&one, &[], "API_SERVER_HOST"), Value::Unknown);
        assert_eq!(proposed(&one, &[], "BGP_LOCAL_ASN"), Value::Proposed("64513".to_owned()));
        assert_eq!(proposed(&one, &[], "BGP_PEER_ASN"), Value::Kept("64501".to_owned()));
        assert_eq!(proposed(&one, &[], "DOMAIN"), Value::Proposed("media.example.org".to_owned()));
    }

    #[test]
    fn names_are_replaced_as_words() {
        let cases = [
            ("infra.example.org", Some("media.example.org")),
            ("s3://backup-infra/infra", Some("s3://backup-media/media")),
            ("infrastructure", None),
            ("INFRA", None),
        ];
        for (text, expected) in cases {
            assert_eq!(renamed(text, "infra", "media").as_deref(), expected);
        }
    }
}
