//! Converts a neighbor to a peer and its peer config.

use ipnet::IpNet;

use super::attributes::Attributes;
use super::fields::{Fields, Problems};
use super::names::slug;
use super::nodes::{number, relisted, remapped, rewritten};
use bootstrapper_core::yaml::written::{Node, Scalar, Style, Value};

/// A neighbor of a virtual router.
pub(super) struct Neighbor {
    /// The YAML node, for its comments.
    pub(super) own: Node,
    /// Its address, without the prefix length that the old kind required.
    pub(super) address: Node,
    pub(super) asn: Node,
    port: Vec<(&'static str, Node)>,
    timers: Vec<(&'static str, Node)>,
    secret: Vec<(&'static str, Node)>,
    restart: Vec<(&'static str, Node)>,
    multihop: Option<Node>,
    families: Option<Node>,
    pub(super) attributes: Vec<Attributes>,
}

impl Neighbor {
    pub(super) fn read(own: Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open("the neighbor", own.clone(), problems)?;
        let address = fields.require("peerAddress", problems)?;
        let Some(plain) = address.as_text().and_then(plain_address) else {
            problems.refuse(
                address.mark,
                "peerAddress is not a range of one address, such as 10.0.0.1/32",
                "correct it first",
            );
            return None;
        };
        let asn = number(fields.require("peerASN", problems)?);
        let numbers = |fields: Vec<(&'static str, Node)>| -> Vec<(&'static str, Node)> {
            fields.into_iter().map(|(key, node)| (key, number(node))).collect()
        };
        let port = numbers(fields.take_all(&["peerPort"]));
        let timers =
            numbers(fields.take_all(&["connectRetryTimeSeconds", "holdTimeSeconds", "keepAliveTimeSeconds"]));
        let secret = fields.take_all(&["authSecretRef"]);
        let restart = fields.take_all(&["gracefulRestart"]);
        let multihop = fields.take("eBGPMultihopTTL").map(number);
        let families = fields.take("families");
        let attributes = fields.take("advertisedPathAttributes");
        fields.close(problems);
        let items = attributes.map(|list| Fields::items(list, problems)).unwrap_or_default();
        let attributes = items.into_iter().filter_map(|item| Attributes::read(item, problems)).collect();
        let address = rewritten(&address, Scalar::text(&plain));
        Some(Self { own, address, asn, port, timers, secret, restart, multihop, families, attributes })
    }

    /// A name for the peer that stays the same when other peers are added or removed.
    pub(super) fn name(&self) -> String {
        format!("peer-{}", slug(self.address.as_text().unwrap_or_default()))
    }

    /// The spec of its peer config. `advertisement` is the label of its advertisement.
    pub(super) fn config(&self, advertisement: Option<&str>, problems: &mut Problems) -> Node {
        let group = |key: &'static str, fields: &[(&'static str, Node)]| {
            (!fields.is_empty()).then(|| (key, Node::map(fields.iter().cloned())))
        };
        let mut entries = Vec::new();
        entries.extend(group("transport", &self.port));
        entries.extend(group("timers", &self.timers));
        entries.extend(self.secret.iter().cloned());
        entries.extend(self.restart.iter().cloned());
        entries.extend(self.multihop.clone().map(|node| ("ebgpMultihop", node)));
        entries.push(("families", self.families(advertisement, problems)));
        Node::map(entries)
    }

    /// The old agent defaulted to IPv4 and IPv6, and advertised over both; the new one advertises nothing
    /// without families.
    fn families(&self, advertisement: Option<&str>, problems: &mut Problems) -> Node {
        let named = self.families.clone().map(|list| (list.clone(), Fields::items(list, problems)));
        let (list, items) = match named {
            Some((list, items)) if !items.is_empty() => (list, items),
            _ => {
                let family = |afi| Node::map([("afi", Node::text(afi)), ("safi", Node::text("unicast"))]);
                (Node::list(Vec::new()), vec![family("ipv4"), family("ipv6")])
            }
        };
        let families = items.into_iter().map(|item| match (advertisement, item.value.clone()) {
            (Some(advertisement), Value::Map(mut entries, style)) => {
                let labels =
                    Node::map([("matchLabels", Node::map([("advertise", Node::text(advertisement))]))]);
                // Comments that no longer fit on one line.
                entries.push((Scalar::plain("advertisements"), labels));
                let style = if style == Style::Flow { Style::Block } else { style };
                item.with_value(Value::Map(entries, style))
            }
            _ => item,
        });
        relisted(&list, families.collect())
    }

    /// The peer in the router's list.
    pub(super) fn peer(&self, name: &str, config: &str) -> Node {
        remapped(
            &self.own,
            [
                ("name", Node::text(name)),
                ("peerAddress", self.address.clone()),
                ("peerASN", self.asn.clone()),
                ("peerConfigRef", Node::map([("name", Node::text(config))])),
            ],
        )
    }
}

/// The address in a prefix. For `${NAME}` with a prefix length in its value, Flux removes it.
fn plain_address(range: &str) -> Option<String> {
    if !range.contains("${") {
        let address = range.parse::<IpNet>().map(|range| range.addr());
        return address.or_else(|_| range.parse()).ok().map(|address| address.to_string());
    }
    let (before, after) = range.rsplit_once('}')?;
    if let Some((more, _)) = after.split_once('/') {
        return Some(format!("{before}}}{more}"));
    }
    let name = range.strip_prefix("${")?.strip_suffix('}')?;
    let is_name = name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    is_name.then(|| format!("${{{name}%/*}}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use bootstrapper_gitops::substitute;

    #[test]
    fn addresses_lose_their_prefix_length() {
        let cases = [
            ("10.25.11.1/32", Some("10.25.11.1")),
            ("fd00::1/128", Some("fd00::1")),
            ("10.25.11.1", Some("10.25.11.1")),
            ("${ROUTER}/32", Some("${ROUTER}")),
            ("10.25.${RACK}.1/32", Some("10.25.${RACK}.1")),
            ("${ROUTER:-10.0.0.1}/32", Some("${ROUTER:-10.0.0.1}")),
            ("${ROUTER_CIDR}", Some("${ROUTER_CIDR%/*}")),
            ("${ROUTER:-10.0.0.1/32}", None),
            ("router.example.org", None),
        ];
        for (range, address) in cases {
            assert_eq!(plain_address(range).as_deref(), address, "{range}");
        }
    }

    #[test]
    fn flux_cuts_the_prefix_length_off() {
        let variables = BTreeMap::from([("ROUTER_CIDR".to_owned(), "10.25.11.1/32".to_owned())]);
        let cut = plain_address("${ROUTER_CIDR}").unwrap();
        assert_eq!(substitute(&cut, &variables).unwrap(), "10.25.11.1");
    }
}
