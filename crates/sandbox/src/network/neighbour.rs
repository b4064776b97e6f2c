//! Other sandboxes whose clusters declare the same site: they are connected, so that there is one network and
//! one router, as in the real site.

use super::lan::LAN;
use super::namespace::is_held;
use super::router::ROUTER;
use crate::options::SandboxOptions;
use crate::router_spec::{RouterProgram, RouterSpec};
use crate::state::{Folder, OPTIONS_FILE, list, load};
use bootstrapper_core::failure::Result;

/// Another sandbox, and the processes that hold its cable's and its router's namespaces.
pub(super) struct Neighbour {
    pub(super) name: String,
    pub(super) lan: u32,
    pub(super) router: u32,
    pub(super) program: RouterProgram,
}

impl Neighbour {
    /// Its router may belong to a third sandbox that was deleted.
    pub(super) fn router_is_there(&self) -> bool {
        is_held(self.router)
    }
}

/// The running ones, by name.
pub(super) fn living(options: &SandboxOptions, router: &RouterSpec) -> Result<Vec<Neighbour>> {
    let mut neighbours = Vec::new();
    for listed in list()?.into_iter().filter(|listed| listed.name != options.name) {
        let Ok(other) = load(&listed.name) else { continue };
        let declared: SandboxOptions = Folder::of(&listed.name)?.read(OPTIONS_FILE)?;
        if !is_same_site(options, router, &declared) {
            continue;
        }
        if let (Some(lan), Some(router)) = (other.machines.get(LAN), other.machines.get(ROUTER)) {
            let program = declared.router.map(|router| router.program).unwrap_or_default();
            neighbours.push(Neighbour { name: listed.name, lan: *lan, router: *router, program });
        }
    }
    Ok(neighbours)
}

fn is_same_site(options: &SandboxOptions, router: &RouterSpec, other: &SandboxOptions) -> bool {
    let same_router = |other: &RouterSpec| (other.address, other.asn) == (router.address, router.asn);
    let networks = |options: &SandboxOptions| (options.node_cidr.clone(), options.node_subnets.clone());
    networks(options) == networks(other) && other.router.as_ref().is_some_and(same_router)
}
