//! A machine on the cable: a namespace with its own root file system and control group.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cgroup::Cgroup;
use super::leftovers;
use super::namespace::Namespace;
use super::root;
use crate::process::ProcessSpec;
use crate::programs::Programs;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// A machine.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) namespace: Namespace,
    pub(super) cgroup: Cgroup,
    folder: Folder,
}

impl Machine {
    /// Creates it, without connecting it.
    pub(super) async fn make(folder: &Folder, name: &str, programs: &Programs) -> Result<Self> {
        let namespace = Namespace::hold(folder, name).await?;
        let cgroup = Cgroup::make(folder, name)?;
        root::set_up(&namespace, &cgroup, programs).await?;
        Ok(Self { name: name.to_owned(), namespace, cgroup, folder: folder.clone() })
    }

    /// A machine of another sandbox.
    pub(super) fn of_another(folder: &Folder, name: &str, id: u32) -> Result<Self> {
        let (namespace, cgroup) = (Namespace::of_another(folder, name, id), Cgroup::make(folder, name)?);
        Ok(Self { name: name.to_owned(), namespace, cgroup, folder: folder.clone() })
    }

    /// The command prefix to run a program on it: on its own network, or on that of a pod.
    pub(super) fn entering(&self, within: &Namespace) -> Vec<String> {
        let mut words = self.cgroup.entering();
        words.extend(within.entering());
        words
    }

    /// A process on it.
    pub(super) fn process(
        &self,
        name: String,
        within: &Namespace,
        words: &[String],
        environment: BTreeMap<String, String>,
        log: PathBuf,
    ) -> ProcessSpec {
        let mut all = self.entering(within);
        all.extend(words.iter().cloned());
        ProcessSpec {
            name,
            program: all.remove(0).into(),
            arguments: all,
            environment,
            directory: self.folder.0.clone(),
            log,
            sandbox: self.folder.0.clone(),
        }
    }

    /// Stops all processes on it.
    pub(super) async fn end(&self) {
        self.cgroup.kill();
        leftovers::unpin(self.namespace.id()).await;
        self.namespace.end().await;
    }
}
