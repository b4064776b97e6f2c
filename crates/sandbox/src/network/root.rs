//! The root file system of a machine or a pod: this machine's files, copy-on-write.

use super::cgroup::Cgroup;
use super::namespace::Namespace;
use crate::programs::Programs;
use bootstrapper_core::failure::Result;

/// Sets up a namespace's root, with every program of the sandbox in `/usr/bin` and the other files of Cilium's
/// images.
pub(super) async fn set_up(namespace: &Namespace, cgroup: &Cgroup, programs: &Programs) -> Result<()> {
    let files = programs.assets.cilium.display().to_string();
    let mut arguments = vec![cgroup.path().display().to_string(), files];
    for (name, path) in programs.all() {
        arguments.extend([name.to_owned(), path.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    namespace.script(include_str!("root.sh"), &arguments).await.map(drop)
}
