//! The single router of a site: this sandbox's own, or that of another one while it runs.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::address::Plan;
use super::kernel_routes;
use super::lan::Lan;
use super::namespace::Namespace;
use super::neighbour::{self, Neighbour};
use super::router::Router;
use crate::options::SandboxOptions;
use crate::programs::Programs;
use crate::router_spec::RouterSpec;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// How often the other sandbox's router is checked: there is no event for its exit.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The requirements of a router, and the current one.
pub(super) struct Routing {
    folder: Folder,
    options: SandboxOptions,
    spec: RouterSpec,
    plan: Plan,
    nodes: Vec<(String, IpAddr)>,
    programs: Programs,
    router: RwLock<Arc<Router>>,
}

impl Routing {
    /// Joins another sandbox of the same site, if there is one, otherwise starts a router.
    pub(super) async fn begin(
        folder: &Folder,
        options: &SandboxOptions,
        spec: &RouterSpec,
        programs: &Programs,
        lan: &Lan,
    ) -> Result<Self> {
        let plan = Plan::of(options, spec)?;
        let nodes = options.nodes()?;
        let router = match neighbour::living(options, spec)?.into_iter().next() {
            Some(other) => joined(folder, lan, &plan, &other, spec, &nodes).await?,
            None => Router::start(folder, lan, &plan, spec, &nodes, programs).await?,
        };
        Ok(Self {
            folder: folder.clone(),
            options: options.clone(),
            spec: spec.clone(),
            plan,
            nodes,
            programs: programs.clone(),
            router: RwLock::new(Arc::new(router)),
        })
    }

    /// The current router.
    pub(super) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a router while the sandbox runs; calls `changed` when it is another one.
    pub(super) async fn keep(&self, lan: &Lan, changed: impl Fn()) {
        loop {
            let router = self.router();
            if router.is_own() {
                if !router.forwards() {
                    kernel_routes::follow(&router).await;
                }
                return std::future::pending().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if router.machine.namespace.is_held() {
                continue;
            }
            match self.another(lan).await {
                Ok(Some(router)) => {
                    *self.router.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(router);
                    changed();
                }
                Ok(None) => {}
                Err(failure) => tracing::error!(%failure, "the sandbox network has no router"),
            }
        }
    }

    /// Among the remaining sandboxes, the first by name starts a router, and the others join it when it runs.
    async fn another(&self, lan: &Lan) -> Result<Option<Router>> {
        let first = neighbour::living(&self.options, &self.spec)?.into_iter().next();
        match first.filter(|other| other.name < self.options.name) {
            None => Router::start(&self.folder, lan, &self.plan, &self.spec, &self.nodes, &self.programs)
                .await
                .map(Some),
            Some(other) if other.router_is_there() => {
                let (folder, plan) = (&self.folder, &self.plan);
                joined(folder, lan, plan, &other, &self.spec, &self.nodes).await.map(Some)
            }
            Some(_) => Ok(None),
        }
    }
}

async fn joined(
    folder: &Folder,
    lan: &Lan,
    plan: &Plan,
    other: &Neighbour,
    spec: &RouterSpec,
    nodes: &[(String, IpAddr)],
) -> Result<Router> {
    lan.join(&Namespace::of_another(folder, super::LAN, other.lan), plan).await?;
    let spec = RouterSpec { program: other.program, ..spec.clone() };
    Router::join(folder, other.router, &spec, nodes).await
}
