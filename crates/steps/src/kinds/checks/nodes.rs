//! Are there nodes, and do they lie where the cluster declares?

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Findings, Subject, problem};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, Selection};
use bootstrapper_gitops::addresses;

pub(super) async fn check(subject: &Subject) -> Result<Findings> {
    let nodes = subject.cluster.list(&Selection::of("v1", "Node")).await?;
    let none = nodes.is_empty().then(|| {
        problem("no node has joined the cluster").hint("join at least one node: nothing can run without one")
    });
    let declared = subject.declared.settings.get("POD_CIDR").and_then(|ranges| addresses::read(ranges));
    let outside = declared.and_then(|ranges| {
        let (node, address) = nodes.iter().find_map(|node| outside(node, &ranges))?;
        let declared: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        let declared = declared.join(", ");
        let failure =
            problem(format!("node {node} has pod addresses {address}, outside of the declared {declared}"))
                .hint("correct POD_CIDR, or check --context: this may be another cluster");
        Some(match subject.declared.setting_location("POD_CIDR") {
            Some(location) => failure.at(location),
            None => failure,
        })
    });
    Ok([none, outside].into_iter().collect::<Vec<Option<Failure>>>().into_iter().collect())
}

/// A node's pod range, if it lies outside of `declared`.
fn outside(node: &Object, declared: &[IpNet]) -> Option<(String, String)> {
    let ranges = node.data["spec"]["podCIDRs"].as_array()?;
    let wrong = ranges.iter().filter_map(|range| range.as_str()).find(|range| {
        range.parse::<IpNet>().is_ok_and(|range| {
            let mut same = declared.iter().filter(|one| same_family(range.addr(), one.addr())).peekable();
            same.peek().is_some() && !same.any(|one| one.contains(&range))
        })
    })?;
    Some((node.metadata.name.clone().unwrap_or_default(), wrong.to_owned()))
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}
