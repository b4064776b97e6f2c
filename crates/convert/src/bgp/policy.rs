//! A policy, as written.

use super::fields::{Fields, Problems};
use super::nodes::number;
use super::peer::Neighbor;
use bootstrapper_core::yaml::written::Node;

/// The converted kind.
pub(super) const OLD_KIND: &str = "CiliumBGPPeeringPolicy";

const OLD_VERSION: &str = "cilium.io/v2alpha1";

pub(super) struct Policy {
    /// The comments of its first two fields.
    pub(super) api_version: Node,
    pub(super) kind: Node,
    pub(super) metadata: Node,
    pub(super) name: String,
    pub(super) spec: Node,
    pub(super) node_selector: Option<Node>,
    /// The YAML list of routers, for its comments.
    pub(super) list: Node,
    pub(super) routers: Vec<Router>,
}

/// A virtual router.
pub(super) struct Router {
    /// The YAML node, for its comments.
    pub(super) own: Node,
    pub(super) asn: Node,
    pub(super) exports_pods: Option<Node>,
    pub(super) pools: Option<Node>,
    pub(super) services: Option<Node>,
    pub(super) addresses: Option<Node>,
    /// The YAML list of neighbors, for its comments.
    pub(super) list: Node,
    pub(super) neighbors: Vec<Neighbor>,
}

impl Policy {
    pub(super) fn read(root: Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open("the policy", root, problems)?;
        let api_version = fields.require("apiVersion", problems)?;
        if api_version.as_text() != Some(OLD_VERSION) {
            problems.refuse(
                api_version.mark,
                format!("{OLD_KIND} does not exist in this version"),
                "use cilium.io/v2alpha1",
            );
        }
        let kind = fields.require("kind", problems)?;
        let metadata = fields.require("metadata", problems)?;
        let Some(name) = metadata.get("name").and_then(Node::as_text).map(str::to_owned) else {
            problems.refuse(
                metadata.mark,
                "the policy has no name",
                "set metadata.name: the new objects are named after it",
            );
            return None;
        };
        let spec = fields.require("spec", problems)?;
        fields.close(problems);

        let mut fields = Fields::open("the spec", spec.clone(), problems)?;
        let node_selector = fields.take("nodeSelector");
        let list = fields.require("virtualRouters", problems)?;
        fields.close(problems);
        let items = Fields::items(list.clone(), problems);
        let routers = items.into_iter().filter_map(|item| Router::read(item, problems)).collect();
        Some(Self { api_version, kind, metadata, name, spec, node_selector, list, routers })
    }
}

impl Router {
    fn read(own: Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open("the virtual router", own.clone(), problems)?;
        let asn = fields.require("localASN", problems)?;
        if asn.as_text() == Some("0") {
            problems.refuse(
                asn.mark,
                "localASN is 0, which the new kind rejects",
                "set its actual AS number",
            );
        }
        let exports_pods = fields.take("exportPodCIDR").filter(|node| exports(node, problems));
        let (pools, services) = (fields.take("podIPPoolSelector"), fields.take("serviceSelector"));
        let addresses = fields.take("serviceAdvertisements");
        let list = fields.require("neighbors", problems)?;
        fields.close(problems);
        let items = Fields::items(list.clone(), problems);
        let neighbors = items.into_iter().filter_map(|item| Neighbor::read(item, problems)).collect();
        Some(Self { own, asn: number(asn), exports_pods, pools, services, addresses, list, neighbors })
    }
}

fn exports(node: &Node, problems: &mut Problems) -> bool {
    match node.as_text() {
        Some("true") => true,
        Some("false") => false,
        _ => {
            problems.refuse(
                node.mark,
                "before substitution, it is unknown whether exportPodCIDR is set",
                "write true or false literally: it decides whether there is an advertisement",
            );
            false
        }
    }
}
