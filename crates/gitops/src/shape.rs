//! The address ranges of a cluster without settings for them: from the values of its network plugin and DNS.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::addresses::Settings;
use super::declared::Declared;
use super::order::Cilium;
use super::release::Release;

/// Ranges in the values of a cluster's releases, by the usual names of settings.
pub fn ranges_of(declared: &Declared) -> Settings {
    let mut ranges = Settings::new();
    let mut add = |name: &str, range: Option<String>| {
        if let (false, Some(range)) = (declared.settings.contains_key(name), range) {
            ranges.insert(name.to_owned(), range);
        }
    };
    let values = |chart: &str| {
        let of_chart = |release: &&Release| release.chart.name() == chart;
        declared.releases.iter().find(of_chart).map(|release| &release.values)
    };
    if let Some(values) = values("coredns") {
        let addresses = [&values["service"]["clusterIP"], &values["service"]["clusterIPs"][0]];
        add("SERVICE_CIDR", addresses.into_iter().find_map(around));
    }
    if let Some(Cilium { values, .. }) = Cilium::declared(declared) {
        let pools = &values["ipam"]["operator"]["clusterPoolIPv4PodCIDRList"];
        let pool = if pools.is_array() { &pools[0] } else { pools };
        add("POD_CIDR", [pool, &values["ipv4NativeRoutingCIDR"]].into_iter().find_map(range));
    }
    ranges
}

/// The /16 around an address, which is the default size of the Service range of kubeadm, k3s and Talos, or
/// larger.
fn around(address: &Value) -> Option<String> {
    let address: Ipv4Addr = address.as_str()?.parse().ok()?;
    Some(Ipv4Net::new(address, 16).ok()?.trunc().to_string())
}

/// A range that is large enough for the pods of several nodes.
fn range(value: &Value) -> Option<String> {
    let range: Ipv4Net = value.as_str()?.parse().ok()?;
    (range.prefix_len() <= 20).then(|| range.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ranges_are_read_from_what_charts_are_given() {
        assert_eq!(around(&json!("10.71.0.10")).as_deref(), Some("10.71.0.0/16"));
        assert_eq!(around(&json!("None")), None);
        assert_eq!(range(&json!("10.42.0.0/16")).as_deref(), Some("10.42.0.0/16"));
        assert_eq!(range(&json!("10.42.1.0/24")), None);
    }
}
