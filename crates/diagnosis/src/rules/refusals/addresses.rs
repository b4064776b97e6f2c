//! Addresses and ports of Services that are taken, or outside of the range.

use std::sync::LazyLock;

use regex::Regex;

use super::super::facts::{line, list};
use super::super::holders::holders;
use super::codes::TAKEN;
use crate::finding::Finding;
use crate::scene::Inquiry;
use bootstrapper_core::object::Object;

static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"failed to allocate IP ([0-9a-fA-F.:]+): provided IP is already allocated").ok()
});
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"provided IP \(([0-9a-fA-F.:]+)\) is not in the valid range\. The range of valid IPs is ([0-9a-fA-F.:/]+)")
        .ok()
});
static PORT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"nodePort: Invalid value: (\d+): provided port is already allocated").ok());

/// The fault of a Service's address or port; none if the words are about something else.
pub(super) fn taken(inquiry: &Inquiry<'_>, said: &str) -> Option<Finding> {
    let found = |pattern: &'static LazyLock<Option<Regex>>| pattern.as_ref()?.captures(said);
    if let Some(words) = found(&ADDRESS) {
        let address = words[1].to_owned();
        let has = |service: &Object| has_cluster_address(service, &address);
        return Some(held(inquiry, &format!("the Service address {address}"), said, &has));
    }
    if let Some(words) = found(&PORT) {
        let port: i64 = words[1].parse().unwrap_or_default();
        let has = |service: &Object| list(&service.data["spec"]["ports"]).any(|one| one["nodePort"] == port);
        return Some(held(inquiry, &format!("the node port {port}"), said, &has));
    }
    let words = found(&RANGE)?;
    let what =
        format!("the Service address {} is outside of the range of this cluster, {}", &words[1], &words[2]);
    Some(
        Finding::new(&TAKEN, what)
            .evidence(line(said))
            .remedy("use an address of that range: the range itself is fixed when the API server starts"),
    )
}

/// Whether a Service has this address in the cluster.
fn has_cluster_address(service: &Object, address: &str) -> bool {
    let spec = &service.data["spec"];
    spec["clusterIP"] == address || list(&spec["clusterIPs"]).any(|one| one == address)
}

fn held(inquiry: &Inquiry<'_>, what: &str, said: &str, has: &dyn Fn(&Object) -> bool) -> Finding {
    let holders: Vec<String> = holders(inquiry, has).iter().map(ToString::to_string).collect();
    let finding = if holders.is_empty() {
        // A deleted Service's address is free again after a while.
        Finding::new(&TAKEN, format!("{what} is taken"))
    } else {
        let holders = holders.join(", ");
        Finding::new(&TAKEN, format!("{what} is taken by {holders}")).remedy(format!(
            "give this Service another one, or delete {holders} first, if this Service replaces it"
        ))
    };
    finding.evidence(line(said))
}
