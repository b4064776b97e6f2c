//! Whether there are nodes, and whether their addresses are in the declared ranges.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Findings, Subject, problem};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, Selection};
use bootstrapper_gitops::{Distribution, addresses};

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
    let mut findings: Findings = [none, outside].into_iter().collect();
    let (runs, contradiction) = runs(&nodes, subject.distribution);
    findings.look(contradiction);
    let misfits = runs.into_iter().flat_map(|runs| misfits(subject, runs));
    misfits.for_each(|misfit| findings.look(Some(misfit)));
    findings.join(super::leftovers::check(subject, &nodes).await?);
    Ok(findings)
}

/// The distribution of the nodes, as they report or else as declared; and whether the two contradict.
fn runs(nodes: &[Object], declared: Option<Distribution>) -> (Option<Distribution>, Option<Failure>) {
    let observed: Vec<_> =
        nodes.iter().filter_map(|node| Some((node, Distribution::of_node(node)?))).collect();
    let contradiction =
        declared.and_then(|declared| {
            let (node, runs) = observed.iter().find(|(_, runs)| *runs != declared)?;
            let name = node.metadata.name.as_deref().unwrap_or_default();
            let what =
                format!("node {name} runs {}, but bootstrapper.yaml says {}", runs.name(), declared.name());
            Some(problem(what).hint(
                "correct `distribution` of the cluster, or check --context: this may be another cluster",
            ))
        });
    (observed.first().map(|(_, runs)| *runs).or(declared), contradiction)
}

/// Declared settings of the network plugin that do not work on such nodes.
fn misfits(subject: &Subject, runs: Distribution) -> impl Iterator<Item = Failure> {
    let unfit = runs.unfit(&subject.declared.releases).into_iter().filter(|unfit| unfit.stops_network);
    unfit.map(move |unfit| {
        let failure = problem(format!("{}: {} does not fit {}", unfit.release, unfit.value, runs.name()))
            .because(unfit.why)
            .hint(format!("set {} to {}", unfit.value, unfit.fits));
        match subject.declared.place(&unfit.release, &format!("spec.values.{}", unfit.value)) {
            Some(location) => failure.at(location),
            None => failure,
        }
    })
}

/// A node's pod range, if it is outside `declared`.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nodes_run_is_compared_with_what_is_declared() {
        let node = |image: &str| -> Object {
            let info = json!({"osImage": image, "kubeletVersion": "v1.36.3"});
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": {"nodeInfo": info}})).unwrap()
        };
        let (talos, plain) = ([node("Talos (v1.13.0)")], [node("Debian GNU/Linux 13 (trixie)")]);
        let (kubeadm, is_talos) = (Some(Distribution::Kubeadm), Some(Distribution::Talos));
        let of = |nodes: &[Object], declared| {
            let (runs, contradiction) = runs(nodes, declared);
            (runs, contradiction.map(|failure| failure.what))
        };
        assert_eq!(of(&talos, None), (is_talos, None));
        assert_eq!(of(&talos, is_talos), (is_talos, None));
        assert_eq!(of(&plain, kubeadm), (kubeadm, None));
        assert_eq!(of(&plain, None), (None, None));
        let said = "node a runs Talos, but bootstrapper.yaml says kubeadm".to_owned();
        assert_eq!(of(&talos, kubeadm), (is_talos, Some(said)));
    }
}
