//! What a supervisor that was killed leaves of its network: processes, which hold the namespaces, and
//! control groups. Nothing else outlives them.

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

/// How long agents may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Ends what is left of one sandbox: agents first, which take down what they have built, then the
/// rest of what runs on nodes, then what is pinned there, then what holds their namespaces.
pub(crate) async fn end(folder: &Path) -> Result<()> {
    let agents = || process::named(folder, "cilium-agent");
    for agent in agents() {
        process::signal(agent.cast_signed(), Signal::TERM);
    }
    let are_gone = || async { if agents().next().is_none() { Ok(()) } else { Err(()) } };
    let patiently = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(1000);
    // One that hangs is killed with the rest.
    let _ = tokio::time::timeout(GRACE, are_gone.retry(patiently)).await;
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

/// Lets go of the BPF objects that are pinned in a namespace, while its devices are still there. The
/// mount is the namespace's own.
pub(super) async fn unpin(holder: u32) {
    let _ = tokio::process::Command::new("nsenter")
        .args(["--target", &holder.to_string(), "--mount", "--", "umount", "--lazy", "/sys/fs/bpf"])
        .output()
        .await;
}

/// Ends what is left of sandboxes whose supervisors are gone, of whatever state folder; their folders.
pub(crate) async fn collect() -> Result<Vec<PathBuf>> {
    let (living, dead): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        process::owners().into_iter().partition(|folder| Folder(folder.clone()).is_running());
    for folder in &dead {
        end(folder).await?;
    }
    // Those of which nothing runs any more.
    let kept: BTreeSet<String> = living.iter().map(|folder| cgroup::name_of(folder)).collect();
    for group in cgroup::all() {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !kept.contains(&name) {
            cgroup::remove(&group).await?;
        }
    }
    Ok(dead.into_iter().collect())
}
