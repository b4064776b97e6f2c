//! Another sandbox whose cluster declares the same site: they are plugged together, so that there is
//! one network and one router, as where the clusters stand for real.

use super::address::RouterSpec;
use super::lan::LAN;
use super::router::ROUTER;
use crate::failure::Result;
use crate::sandbox::options::SandboxOptions;
use crate::sandbox::state::{Folder, OPTIONS_FILE, Sandbox, list, load};

/// The processes that name its cable and its router to the system.
pub(super) struct Neighbour {
    pub(super) lan: u32,
    pub(super) router: u32,
}

/// Finds one that runs.
pub(super) fn find(options: &SandboxOptions, router: &RouterSpec) -> Result<Option<Neighbour>> {
    for listed in list()?.into_iter().filter(|listed| listed.name != options.name) {
        let Ok(other) = load(&listed.name) else { continue };
        let declared: SandboxOptions = Folder::of(&listed.name)?.read(OPTIONS_FILE)?;
        if is_same_site(options, router, &declared) {
            return Ok(of(&other));
        }
    }
    Ok(None)
}

fn is_same_site(options: &SandboxOptions, router: &RouterSpec, other: &SandboxOptions) -> bool {
    let same_router = |other: &RouterSpec| (other.address, other.asn) == (router.address, router.asn);
    options.node_cidr == other.node_cidr && other.router.as_ref().is_some_and(same_router)
}

fn of(other: &Sandbox) -> Option<Neighbour> {
    Some(Neighbour { lan: *other.machines.get(LAN)?, router: *other.machines.get(ROUTER)? })
}
