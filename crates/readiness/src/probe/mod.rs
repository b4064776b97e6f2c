//! Probes: conditions that depend on several objects.

mod agents;
mod bgp;
mod clustermesh;
mod flux;
mod gateway;
mod nodes;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

pub use flux::{flux_controllers, flux_runs};

use super::conditions::text;
use super::heartbeat::{heartbeats, silent};
use super::{Verdict, cilium};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::verdict::Progress;

/// A condition of a cluster, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Every node has a ready Cilium agent, and the operator is ready.
    CiliumAgents,
    /// Every declared BGP session is established, and routes are advertised.
    CiliumBgp,
    /// The operator has accepted Cilium's GatewayClass.
    CiliumGateway,
    /// The ClusterMesh API server is ready and has an address.
    CiliumClustermesh,
    /// Every node is ready and schedulable.
    Nodes,
    /// Flux's controllers are ready.
    FluxControllers,
}

const ALL: [(Probe, &str); 6] = [
    (Probe::CiliumAgents, "cilium.agents"),
    (Probe::CiliumBgp, "cilium.bgp"),
    (Probe::CiliumGateway, "cilium.gateway"),
    (Probe::CiliumClustermesh, "cilium.clustermesh"),
    (Probe::Nodes, "nodes"),
    (Probe::FluxControllers, "flux.controllers"),
];

/// Objects by the index of the selection that matched them.
type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(probe, _)| probe == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        ALL.iter().find(|(_, known)| *known == name).map(|(probe, _)| *probe).ok_or_else(|| {
            let names = ALL.map(|(_, name)| name).join(", ");
            de::Error::custom(format!("unknown probe `{name}`; known probes: {names}"))
        })
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A fact of a cluster, by name.", "enum": ALL.map(|(_, name)| name)})
    }
}

impl Probe {
    /// The selections that it needs; [`Probe::judge`] gets the objects by index.
    pub fn watches(&self) -> Vec<Selection> {
        let nodes = Selection::of("v1", "Node");
        match self {
            Self::CiliumAgents => vec![
                nodes,
                cilium::agents(),
                cilium::agent_sets(),
                cilium::operators(),
                Selection::of("apiextensions.k8s.io/v1", "CustomResourceDefinition")
                    .labelled(agents::SCHEMA_VERSION),
            ],
            Self::CiliumBgp => vec![
                Selection::of("cilium.io/v2", "CiliumBGPClusterConfig"),
                Selection::of("cilium.io/v2", "CiliumBGPNodeConfig"),
                Selection::of("cilium.io/v2", "CiliumNode"),
                cilium::agents(),
                Selection::of("cilium.io/v2", "CiliumBGPPeerConfig"),
                Selection::of("cilium.io/v2", "CiliumBGPAdvertisement"),
            ],
            Self::CiliumGateway => vec![Selection::of("gateway.networking.k8s.io/v1", "GatewayClass")],
            Self::CiliumClustermesh => vec![cilium::mesh_servers(), cilium::mesh_services()],
            Self::Nodes => vec![nodes, heartbeats()],
            Self::FluxControllers => vec![flux_controllers()],
        }
    }

    /// How many of the probed objects are ready, if it is about several of one kind.
    pub fn progress(&self, seen: &Seen, verdict: &Verdict) -> Option<Progress> {
        match self {
            Self::Nodes => {
                let total = seen.get(&0).map_or(0, Vec::len);
                let unready: BTreeSet<_> =
                    verdict.reasons().iter().filter_map(|reason| reason.object.as_ref()).collect();
                (total > 1).then(|| Progress { ready: total.saturating_sub(unready.len()), total })
            }
            Self::CiliumAgents
            | Self::CiliumBgp
            | Self::CiliumGateway
            | Self::CiliumClustermesh
            | Self::FluxControllers => None,
        }
    }

    /// Evaluates the observed objects, at the time `now`.
    pub fn judge(&self, seen: &Seen, now: Timestamp) -> Verdict {
        let of = |index: usize| seen.get(&index).map_or(&[][..], Vec::as_slice);
        match self {
            Self::CiliumAgents => {
                agents::Agents { nodes: of(0), pods: of(1), sets: of(2), operators: of(3), crds: of(4) }
                    .verdict()
            }
            Self::CiliumBgp => bgp::Bgp {
                configs: of(0),
                nodes: of(1),
                members: of(2),
                agents: of(3),
                peer_configs: of(4),
                advertisements: of(5),
            }
            .verdict(),
            Self::CiliumGateway => gateway::verdict_at(of(0), now),
            Self::CiliumClustermesh => clustermesh::verdict_of(of(0), of(1)),
            Self::Nodes => nodes::verdict_of(of(0), &silent(of(1).iter().map(AsRef::as_ref))),
            Self::FluxControllers => flux_runs(of(0), true),
        }
    }
}

fn name(object: &Object) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

fn node_ref(name: &str) -> ObjectRef {
    ObjectRef::cluster_scoped("v1", "Node", name)
}

/// The agents' pods by node.
fn by_node(pods: &[Arc<Object>]) -> BTreeMap<&str, &Arc<Object>> {
    pods.iter().map(|pod| (text(&pod.data["spec"]["nodeName"]), pod)).collect()
}
