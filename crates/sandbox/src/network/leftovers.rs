//! Cleans up the network of a killed supervisor: processes, which hold the namespaces, and control groups.
//! Nothing else remains.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use rustix::process::Signal;

use super::cgroup;
use super::namespace::HOLDER;
use crate::process;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// The grace period of agents.
const GRACE: Duration = Duration::from_secs(5);

/// Stops the processes of one sandbox: agents first, so that they remove their datapath, then everything else
/// on nodes, then pinned BPF objects, then the processes that hold the namespaces.
pub(crate) async fn end(folder: &Path) -> Result<()> {
    let agents = || process::named(folder, "cilium-agent");
    for agent in agents() {
        process::signal(agent.cast_signed(), Signal::TERM);
    }
    let are_gone = || async { if agents().next().is_none() { Ok(()) } else { Err(()) } };
    let policy = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(1000);
    // An agent that hangs is killed with the rest.
    let _ = tokio::time::timeout(GRACE, are_gone.retry(policy)).await;
    if let Some(root) = cgroup::mount_point() {
        let group = root.join(cgroup::name_of(folder));
        if group.is_dir() {
            cgroup::remove(&group).await?;
        }
    }
    let holders: Vec<u32> = process::named(folder, HOLDER).collect();
    for holder in holders {
        unpin(holder).await;
    }
    process::kill_marked(folder);
    Ok(())
}

/// Unpins the BPF objects in a namespace while its devices still exist. The mount belongs to the namespace.
pub(super) async fn unpin(holder: u32) {
    let _ = tokio::process::Command::new("nsenter")
        .args(["--target", &holder.to_string(), "--mount", "--", "umount", "--lazy", "/sys/fs/bpf"])
        .output()
        .await;
}

/// Cleans up sandboxes whose supervisors have crashed, from any state folder; returns their folders.
pub(crate) async fn collect() -> Result<Vec<PathBuf>> {
    let (living, dead): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        process::owners().into_iter().partition(|folder| Folder(folder.clone()).is_running());
    for folder in &dead {
        end(folder).await?;
    }
    // Sandboxes without running processes.
    let kept: BTreeSet<String> = living.iter().map(|folder| cgroup::name_of(folder)).collect();
    for group in cgroup::all() {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !kept.contains(&name) {
            cgroup::remove(&group).await?;
        }
    }
    Ok(dead.into_iter().collect())
}
