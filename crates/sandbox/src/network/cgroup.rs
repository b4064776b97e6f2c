//! Control groups (version 2) of a sandbox: each node has one, and all its processes run there. It lets
//! ClusterIPs reach processes, and kills a node at once.

use std::path::{Path, PathBuf};

use crate::state::Folder;
use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};

const PREFIX: &str = "bootstrapper-";

/// A control group of the sandbox.
#[derive(Debug, Clone)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates the group of a node.
    pub(super) fn make(folder: &Folder, node: &str) -> Result<Self> {
        let root = mount_point().ok_or_else(|| Failure::step("cgroup v2 is not mounted"))?;
        let path = root.join(name_of(&folder.0)).join(node);
        std::fs::create_dir_all(&path)
            .map_err(|error| Failure::step(format!("cannot create {}", path.display())).caused_by(&error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The command prefix to run a program in it.
    pub(super) fn entering(&self) -> Vec<String> {
        let script = "echo $$ >\"$1\"; shift; exec \"$@\"";
        ["sh", "-euc", script, "sh", &self.0.join("cgroup.procs").display().to_string()]
            .map(str::to_owned)
            .into()
    }

    /// Kills all processes in it.
    pub(super) fn kill(&self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
    }
}

/// Where control groups are mounted, next to those of version 1 or alone.
pub(super) fn mount_point() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, path, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

/// The name of a sandbox's group, from its folder.
pub(super) fn name_of(folder: &Path) -> String {
    format!("{PREFIX}{}", short_sha256(folder.as_os_str().as_encoded_bytes(), 12))
}

/// The groups of all sandboxes, from any state folder.
pub(super) fn all() -> Vec<PathBuf> {
    let groups = mount_point().and_then(|root| std::fs::read_dir(root).ok());
    groups
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)))
        .collect()
}

/// Kills all processes in a group and its subgroups, and removes the groups when they are empty.
pub(super) async fn remove(group: &Path) -> Result<()> {
    let _ = std::fs::write(group.join("cgroup.kill"), "1");
    let remove = || async {
        let folders = walkdir::WalkDir::new(group).contents_first(true).into_iter().filter_map(Result::ok);
        for folder in folders.filter(|entry| entry.file_type().is_dir()) {
            std::fs::remove_dir(folder.path())?;
        }
        Ok::<_, std::io::Error>(())
    };
    // A group is busy until its last process is reaped.
    let policy = backon::ConstantBuilder::default()
        .with_delay(std::time::Duration::from_millis(20))
        .with_max_times(250);
    backon::Retryable::retry(remove, policy)
        .await
        .map_err(|error| Failure::step(format!("cannot remove {}", group.display())).caused_by(&error))
}
