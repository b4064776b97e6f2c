//! The real network of a sandbox: real Cilium agents, a real BGP router, and pods with connectivity, all in
//! separate namespaces. `docs/design/real-network.md` describes it and its limits.
//!
//! A [`lan::Lan`] has the cables that connect machines, each of which is a [`machine::Machine`]: the API
//! server's address, the [`router::Router`], and the [`node::Node`]s. Nothing has a name on the host, so
//! everything disappears with its last process; [`leftovers`] finds those.

mod address;
mod cgroup;
mod cni;
mod daemon;
mod forward;
mod frr;
mod gobgp;
mod kernel_routes;
mod lan;
mod leftovers;
mod machine;
mod namespace;
mod neighbour;
mod node;
mod place;
mod requirements;
mod root;
mod router;
mod routing;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, Weak};

pub(super) use lan::LAN;
use lan::Lan;
pub(super) use leftovers::{collect, end};
pub(super) use node::Node;
pub(super) use place::Place;
pub use requirements::{Missing, missing};
pub(super) use router::{ROUTER, Router};
use routing::Routing;

use super::options::SandboxOptions;
use super::programs::Programs;
use super::router_spec::RouterSpec;
use super::state::{Folder, SANDBOX_FILE, Sandbox};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// The virtual site of a sandbox, with all its machines.
pub(super) struct Network {
    folder: Folder,
    lan: Lan,
    routing: Routing,
    nodes: BTreeMap<String, Arc<Node>>,
    /// Where running pods are, by namespace and name.
    places: RwLock<HashMap<(String, String), Weak<Place>>>,
}

impl Network {
    /// Creates it: cables, router, nodes. The API server's declared address is forwarded to `api_port` on this
    /// machine's loopback.
    pub(super) async fn build(
        folder: &Folder,
        options: &SandboxOptions,
        router: &RouterSpec,
        programs: &Programs,
        api_port: u16,
    ) -> Result<Self> {
        let plan = address::Plan::of(options, router)?;
        let lan = Lan::create(folder, &plan).await?;
        lan.serve_api_server(&plan, api_port).await?;
        let machines = options.nodes()?;
        let routing = Routing::begin(folder, options, router, programs, &lan).await?;
        let made =
            machines.iter().map(|(name, address)| Node::make(folder, &lan, &plan, name, *address, programs));
        let nodes = futures::future::try_join_all(made).await?;
        let nodes = nodes.into_iter().map(|node| (node.name().to_owned(), Arc::new(node))).collect();
        Ok(Self { folder: folder.clone(), lan, routing, nodes, places: RwLock::default() })
    }

    /// A node.
    pub(super) fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name)
    }

    /// Its machines, by name, and the process that holds each one's namespaces.
    pub(super) fn machines(&self) -> BTreeMap<String, u32> {
        let router = self.routing.router();
        let nodes = self.nodes.values().map(|node| &node.machine);
        let machines = nodes.chain([&router.machine]);
        let named = machines.map(|machine| (machine.name.clone(), machine.namespace.id()));
        named.chain([(LAN.to_owned(), self.lan.id())]).collect()
    }

    /// Keeps the site's router running while the sandbox runs.
    pub(super) async fn keep_router(&self) {
        let announce = || -> Result<()> {
            let known: Sandbox = self.folder.read(SANDBOX_FILE)?;
            self.folder.write(SANDBOX_FILE, &Sandbox { machines: self.machines(), ..known })
        };
        let changed = || {
            if let Err(failure) = announce() {
                tracing::error!(%failure, "cannot announce the new router");
            }
        };
        self.routing.keep(&self.lan, changed).await;
    }

    /// The place of a running pod.
    pub(super) fn place(&self, namespace: &str, pod: &str) -> Option<Arc<Place>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(&(namespace.to_owned(), pod.to_owned()))?.upgrade()
    }

    /// Registers the place of a running pod.
    pub(super) fn remember(&self, pod: &Object, place: &Arc<Place>) {
        self.places.write().unwrap_or_else(PoisonError::into_inner).insert(key(pod), Arc::downgrade(place));
    }

    /// Unregisters a pod.
    pub(super) fn forget(&self, pod: &Object) {
        self.places.write().unwrap_or_else(PoisonError::into_inner).remove(&key(pod));
    }

    /// Stops all its processes; nothing else remains.
    pub(super) async fn end(&self) {
        for node in self.nodes.values() {
            node.machine.end().await;
        }
        self.routing.router().end().await;
        self.lan.end().await;
    }
}

/// The default gateway of each node.
pub(super) fn gateways(options: &SandboxOptions, router: &RouterSpec) -> Result<BTreeMap<String, String>> {
    let plan = address::Plan::of(options, router)?;
    let nodes = options.nodes()?.into_iter();
    Ok(nodes.map(|(name, address)| (name, plan.gateway_of(address).to_string())).collect())
}

fn key(pod: &Object) -> (String, String) {
    let id = ObjectRef::of(pod);
    (id.namespace.unwrap_or_default(), id.name)
}
