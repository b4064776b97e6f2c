//! Checks whether the nodes of a network have the same MTU. A packet above a link's MTU is dropped silently:
//! within a network nobody sends an ICMP error.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures::future::join_all;
use ipnet::IpNet;
use serde_json::Value;

use super::agents::{Agents, node_of};
use super::{Member, Outcome};
use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::cilium::ask_agent;
use bootstrapper_core::object::{Object, ObjectRef};

/// A node's link to the network of its own address.
#[derive(Debug, Clone, PartialEq)]
struct Link {
    node: String,
    device: String,
    network: IpNet,
    mtu: u64,
}

/// One outcome for each network with several nodes.
pub(super) async fn sizes(member: &Member, agents: &Agents) -> Vec<Outcome> {
    let asked =
        agents.with_heartbeats().map(async |agent| (node_of(agent), ask(&member.cluster, agent).await));
    let (mut links, mut unknown) = (Vec::new(), Vec::new());
    for (node, answer) in join_all(asked).await {
        match answer {
            Ok(link) => links.push(link),
            // An agent that is not ready is reported with its sessions.
            Err(_) if agents.on(node).is_none() => {}
            Err(why) => unknown.push(format!("{node}: {why}")),
        }
    }
    let outcome = |from: usize, to: String, problem: Option<String>| Outcome {
        cluster: member.name.clone(),
        check: "packet size of links",
        from: format!("{from} nodes"),
        to,
        problem,
        remark: None,
        milliseconds: None,
    };
    let networks = by_network(links).into_iter().filter(|(_, links)| links.len() > 1);
    let networks = networks.map(|(network, links)| outcome(links.len(), network.to_string(), odd(&links)));
    let unknown = unknown.first().map(|why| outcome(unknown.len(), String::new(), Some(why.clone())));
    networks.chain(unknown).collect()
}

async fn ask(cluster: &Cluster, agent: &Object) -> Result<Link, String> {
    let command = ["ip", "-json", "address", "show"];
    let told = ask_agent(cluster, &ObjectRef::of(agent), &command).await;
    let told = told.map_err(|failure| failure.to_string())?;
    let own = agent.data["status"]["hostIP"].as_str().and_then(|address| address.parse().ok());
    let link = own.and_then(|own| link(node_of(agent), own, &told.stdout));
    link.ok_or_else(|| format!("`{}` does not tell which link it is on", command.join(" ")))
}

/// The link with the node's own address.
fn link(node: &str, own: IpAddr, told: &str) -> Option<Link> {
    let devices: Vec<Value> = serde_json::from_str(told).ok()?;
    devices.iter().find_map(|device| {
        let addresses = device["addr_info"].as_array()?;
        let address = addresses.iter().find(|address| address["local"] == own.to_string())?;
        let length = address["prefixlen"].as_u64()?.try_into().ok()?;
        Some(Link {
            node: node.to_owned(),
            device: device["ifname"].as_str()?.to_owned(),
            network: IpNet::new(own, length).ok()?.trunc(),
            mtu: device["mtu"].as_u64()?,
        })
    })
}

fn by_network(links: Vec<Link>) -> BTreeMap<IpNet, Vec<Link>> {
    let mut networks: BTreeMap<IpNet, Vec<Link>> = BTreeMap::new();
    for link in links {
        networks.entry(link.network).or_default().push(link);
    }
    networks
}

/// Which link has an unusual MTU; of two, the smaller one.
fn odd(links: &[Link]) -> Option<String> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for link in links {
        *counts.entry(link.mtu).or_default() += 1;
    }
    let (usual, _) = counts.into_iter().max_by_key(|(mtu, count)| (*count, *mtu))?;
    let odd: Vec<&Link> = links.iter().filter(|link| link.mtu != usual).collect();
    let Link { node, device, mtu, .. } = odd.first()?;
    let several = if odd.len() > 1 { format!(" (and {} more)", odd.len() - 1) } else { String::new() };
    Some(format!(
        "{node}{several}: its {device} takes packets of up to {mtu} bytes, and the others' {usual}: larger ones get lost; give all nodes of a network the same MTU"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_on_the_link_that_has_its_address() {
        let told = r#"[
            {"ifname": "lo", "mtu": 65536, "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
            {"ifname": "eth0", "mtu": 1280, "addr_info": [{"local": "fe80::1", "prefixlen": 64}, {"local": "10.25.11.31", "prefixlen": 24}]},
            {"ifname": "cilium_host", "mtu": 1500}
        ]"#;
        let found = link("a", "10.25.11.31".parse().unwrap(), told).unwrap();
        assert_eq!((found.device.as_str(), found.mtu), ("eth0", 1280));
        assert_eq!(found.network, "10.25.11.0/24".parse().unwrap());
        assert_eq!(link("a", "10.25.11.32".parse().unwrap(), told), None);
        assert_eq!(link("a", "10.25.11.31".parse().unwrap(), "sh: ip: not found"), None);
    }

    #[test]
    fn the_odd_one_is_named_within_its_network_only() {
        let link = |node: &str, network: &str, mtu| Link {
            node: node.into(),
            device: "eth0".into(),
            network: network.parse().unwrap(),
            mtu,
        };
        let (here, there) = ("10.0.0.0/24", "10.0.1.0/24");
        let told = odd(&[link("a", here, 9000), link("b", here, 1500), link("c", here, 9000)]).unwrap();
        assert!(
            told.starts_with("b: its eth0") && told.contains("up to 1500") && told.contains("9000"),
            "{told}"
        );
        let told = odd(&[link("a", here, 1500), link("b", here, 1280)]).unwrap();
        assert!(told.starts_with("b: "), "{told}");
        let networks = by_network(vec![link("a", here, 9000), link("b", there, 1500), link("c", here, 9000)]);
        assert!(networks.values().all(|links| odd(links).is_none()));
        assert_eq!(networks.len(), 2);
    }
}
