//! The objects that replace a policy.

use super::advertisements::advertised;
use super::dedup::Dedup;
use super::fields::Problems;
use super::names::{Names, label, slug};
use super::nodes::{relisted, remapped, rewritten};
use super::policy::Policy;
use bootstrapper_core::yaml::written::{Node, Scalar, Value};

const NEW_VERSION: &str = "cilium.io/v2";
/// The label by which a peer config selects its advertisement.
const LABEL: &str = "advertise";
/// The limit of the new kind.
const MOST_INSTANCES: usize = 16;

/// The objects so far: later policies of the stream reference them, too.
#[derive(Default)]
pub(super) struct Objects {
    advertisements: Dedup,
    peers: Dedup,
}

impl Objects {
    /// The names of new objects that already exist in the stream.
    pub(super) fn reserve_names_of(&mut self, root: &Node) {
        let text = |node: Option<&Node>| node.and_then(Node::as_text).unwrap_or_default().to_owned();
        let name = text(root.get("metadata").and_then(|metadata| metadata.get("name")));
        match text(root.get("kind")).as_str() {
            "CiliumBGPAdvertisement" => self.advertisements.names.take(&name),
            "CiliumBGPPeerConfig" => self.peers.names.take(&name),
            _ => {}
        }
    }

    /// The objects that replace the policy.
    pub(super) fn of_policy(&mut self, policy: &Policy, problems: &mut Problems) -> Vec<Node> {
        if policy.routers.len() > MOST_INSTANCES {
            problems.refuse(
                policy.list.mark,
                format!(
                    "the policy has more than {MOST_INSTANCES} virtual routers, the maximum of the new kind"
                ),
                "split it, each policy with its own nodeSelector",
            );
        }
        let (known_advertisements, known_peers) = (self.advertisements.len(), self.peers.len());
        let labels = self.advertised(policy, problems);
        let configs = self.configured(policy, &labels, problems);
        let mut objects = vec![cluster_config(policy, configs)];
        for (name, spec) in self.peers.since(known_peers) {
            objects.push(object("CiliumBGPPeerConfig", metadata(policy, name, false), spec.clone()));
        }
        for (name, items) in self.advertisements.since(known_advertisements) {
            let spec = Node::map([("advertisements", items.clone())]);
            objects.push(object("CiliumBGPAdvertisement", metadata(policy, name, true), spec));
        }
        objects
    }

    /// The advertisement of each neighbor of each router; none if nothing is advertised.
    fn advertised(&mut self, policy: &Policy, problems: &mut Problems) -> Vec<Option<String>> {
        let mut specs = Vec::new();
        let mut has_one = Vec::new();
        for router in &policy.routers {
            for neighbor in &router.neighbors {
                let items = advertised(router, &neighbor.attributes, problems);
                has_one.push(!items.is_empty());
                if !items.is_empty() {
                    specs.push((neighbor.name(), Node::list(items)));
                }
            }
        }
        let mut names = self.advertisements.keep(&label(&policy.name), specs).into_iter();
        has_one.into_iter().map(|has_one| has_one.then(|| names.next()).flatten()).collect()
    }

    /// The peer config of each neighbor of each router.
    fn configured(
        &mut self,
        policy: &Policy,
        advertisements: &[Option<String>],
        problems: &mut Problems,
    ) -> Vec<String> {
        let neighbors = policy.routers.iter().flat_map(|router| &router.neighbors);
        let specs = neighbors.zip(advertisements).map(|(neighbor, advertisement)| {
            (neighbor.name(), neighbor.config(advertisement.as_deref(), problems))
        });
        let specs = specs.collect();
        self.peers.keep(&label(&policy.name), specs)
    }
}

fn cluster_config(policy: &Policy, configs: Vec<String>) -> Node {
    let mut configs = configs.into_iter();
    let mut instance_names = Names::default();
    let instances = policy.routers.iter().map(|router| {
        let mut peer_names = Names::default();
        let peers = router
            .neighbors
            .iter()
            .zip(configs.by_ref())
            .map(|(neighbor, config)| neighbor.peer(&peer_names.unique(&neighbor.name()), &config));
        let peers = peers.collect();
        let asn = router.asn.as_text().unwrap_or_default();
        let name = instance_names.unique(&format!("instance-{}", slug(asn)));
        remapped(
            &router.own,
            [
                ("name", Node::text(&name)),
                ("localASN", router.asn.clone()),
                ("peers", relisted(&router.list, peers)),
            ],
        )
    });
    let mut spec: Vec<(&str, Node)> = Vec::new();
    spec.extend(policy.node_selector.clone().map(|selector| ("nodeSelector", selector)));
    spec.push(("bgpInstances", relisted(&policy.list, instances.collect())));
    Node::map([
        ("apiVersion", rewritten(&policy.api_version, Scalar::text(NEW_VERSION))),
        ("kind", rewritten(&policy.kind, Scalar::text("CiliumBGPClusterConfig"))),
        ("metadata", policy.metadata.clone()),
        ("spec", remapped(&policy.spec, spec)),
    ])
}

fn object(kind: &str, metadata: Node, spec: Node) -> Node {
    Node::map([
        ("apiVersion", Node::text(NEW_VERSION)),
        ("kind", Node::text(kind)),
        ("metadata", metadata),
        ("spec", spec),
    ])
}

/// All replacements get the policy's labels and annotations: something may select or order by them.
fn metadata(policy: &Policy, name: &str, is_selected: bool) -> Node {
    let mut entries = vec![("name", Node::text(name))];
    let own = |key| match policy.metadata.get(key).map(Node::bare) {
        Some(Node { value: Value::Map(entries, style), .. }) => (entries, style),
        _ => (Vec::new(), bootstrapper_core::yaml::written::Style::Block),
    };
    let (mut labels, style) = own("labels");
    if is_selected {
        labels.retain(|(key, _)| key.text != LABEL);
        labels.push((Scalar::plain(LABEL), Node::text(name)));
    }
    if !labels.is_empty() {
        entries.push(("labels", Node::new(Value::Map(labels, style))));
    }
    let (annotations, style) = own("annotations");
    if !annotations.is_empty() {
        entries.push(("annotations", Node::new(Value::Map(annotations, style))));
    }
    Node::map(entries)
}
