//! Free ports on loopback. Each process allocates them from its own block, because several sandboxes may start
//! concurrently: a free port must not be taken by another one.

use std::fs::{DirBuilder, File};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use bootstrapper_core::failure::{Failure, Result};

/// The range of ports: below the ephemeral ports of outgoing connections, so that none is taken between the
/// check and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The maximum number of ports of a sandbox.
const BLOCK: u16 = 60;

/// A free port on loopback.
pub(super) fn free_port() -> Result<u16> {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    let next = || PORTS.start + (block() * BLOCK + ASKED.fetch_add(1, Ordering::Relaxed) % count) % count;
    std::iter::repeat_with(next)
        .take(usize::from(count))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| Failure::step("no free port").because(format!("ports {PORTS:?} are in use")))
}

/// The number of this process's block: locked while it runs, if files can be locked.
fn block() -> u16 {
    static HELD: OnceLock<(u16, Option<File>)> = OnceLock::new();
    let blocks = (PORTS.end - PORTS.start) / BLOCK;
    let first = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or_default();
    let (block, _) = HELD.get_or_init(|| {
        let locked =
            (0..blocks).map(|step| (first + step) % blocks).find_map(|block| Some((block, lock(block)?)));
        locked.map_or((first, None), |(block, file)| (block, Some(file)))
    });
    *block
}

/// None if another process holds the block.
fn lock(block: u16) -> Option<File> {
    let folder = folder()?;
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join(block.to_string())).ok()?;
    file.try_lock().ok().map(|()| file)
}

/// A folder that only this user can write to; none if another user created it first.
fn folder() -> Option<PathBuf> {
    let own = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("bootstrapper-ports-{own}"));
    let _ = DirBuilder::new().mode(0o700).create(&folder);
    let metadata = folder.symlink_metadata().ok()?;
    (metadata.is_dir() && metadata.uid() == own && metadata.mode() & 0o777 == 0o700).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_only_if_it_is_free() {
        let given: Vec<u16> = (0..100).map(|_| free_port().unwrap()).collect();
        let held = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        assert!(given.iter().all(|port| PORTS.contains(port)));
        let mut distinct = given.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), given.len());
        assert!(!given.contains(&held.local_addr().unwrap().port()));
    }

    #[test]
    fn a_locked_port_block_is_not_shared() {
        let held = lock(199);
        assert!(held.is_none() || lock(199).is_none());
        drop(held);
        assert!(lock(199).is_some() || folder().is_none());
    }
}
