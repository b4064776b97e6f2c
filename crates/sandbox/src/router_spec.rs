//! The router of a real network, from the cluster's settings.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use bootstrapper_core::failure::{Failure, Result};

/// The routing program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouterProgram {
    /// gobgpd, which sandboxes build themselves.
    #[default]
    Gobgp,
    /// FRR, if installed.
    Frr,
}

/// The router in the cluster's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouterSpec {
    /// Its address.
    pub address: IpAddr,
    /// Its AS number.
    pub asn: u32,
    /// The AS number that it expects of the nodes.
    pub node_asn: u32,
    /// The password of its sessions, if there is one.
    pub password: Option<String>,
    /// Which program it is.
    #[serde(default)]
    pub program: RouterProgram,
}

impl RouterSpec {
    /// From settings; none if they declare no router.
    pub fn of(settings: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(address) = settings.get("BGP_ROUTER_ADDRESS") else { return Ok(None) };
        Ok(Some(Self {
            address: parsed("BGP_ROUTER_ADDRESS", address)?,
            asn: number(settings, "BGP_PEER_ASN")?,
            node_asn: number(settings, "BGP_LOCAL_ASN")?,
            password: None,
            program: RouterProgram::default(),
        }))
    }
}

fn number(settings: &BTreeMap<String, String>, name: &str) -> Result<u32> {
    parsed(name, settings.get(name).map(String::as_str).unwrap_or_default())
}

/// Parses a setting.
pub(super) fn parsed<T: std::str::FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| invalid(name, text))
}

/// The failure of a setting that cannot be parsed.
pub(super) fn invalid(name: &str, text: &str) -> Failure {
    Failure::input(format!("invalid setting {name}: `{text}`"))
        .hint("correct it in the cluster's settings.yaml")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_router_is_what_the_settings_declare() {
        let settings = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert!(RouterSpec::of(&settings(&[])).unwrap().is_none());
        let declared =
            [("BGP_ROUTER_ADDRESS", "10.25.11.1"), ("BGP_PEER_ASN", "64501"), ("BGP_LOCAL_ASN", "64512")];
        let router = RouterSpec::of(&settings(&declared)).unwrap().unwrap();
        assert_eq!(
            (router.address.to_string().as_str(), router.asn, router.node_asn),
            ("10.25.11.1", 64501, 64512)
        );
        let failure = RouterSpec::of(&settings(&declared[..2])).unwrap_err();
        assert!(failure.what.contains("BGP_LOCAL_ASN"), "{failure}");
    }
}
