//! The state of sandboxes: a folder each, in the user's state folder.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private;
use bootstrapper_tools::{Environment, state_folder};

/// A running sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its name.
    pub name: String,
    /// Its admin kubeconfig.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
    /// The environment with the mirror of the internet.
    pub environment: Environment,
    /// The machines of a real network, and the process that holds each one's namespaces; none if the
    /// network is simulated.
    pub machines: BTreeMap<String, u32>,
    /// What is simulated, one line each.
    pub stand_ins: Vec<String>,
    /// The log of all requests to its API server.
    pub audit_log: PathBuf,
}

impl Sandbox {
    /// Whether its network is real.
    pub fn is_network_real(&self) -> bool {
        !self.machines.is_empty()
    }

    /// The command prefix to run a program on one of its machines.
    pub fn entering(&self, machine: &str) -> Result<[String; 6]> {
        let names: Vec<&str> = self.machines.keys().map(String::as_str).collect();
        let holder = self.machines.get(machine).ok_or_else(|| {
            Failure::input(format!("sandbox {} has no machine `{machine}`", self.name)).hint(
                match names.as_slice() {
                    [] => "needs --network real".to_owned(),
                    names => format!("it has {}", names.join(", ")),
                },
            )
        })?;
        Ok(["nsenter", "--target", &holder.to_string(), "--net", "--mount", "--"].map(str::to_owned))
    }
}

/// Whether a sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Running,
    /// Its supervisor crashed; the next `up` or `down` cleans it up.
    Crashed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Crashed => "crashed",
        })
    }
}

/// A sandbox in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub state: State,
    /// Its admin kubeconfig.
    pub kubeconfig: PathBuf,
}

/// The files of a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn of(name: &str) -> Result<Self> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Failure::input(format!("invalid sandbox name `{name}`")));
        }
        Ok(Self(root()?.join(name)))
    }

    /// Creates it for its owner only: it contains credentials. The owner of a parent folder could replace it,
    /// so that must be the same user.
    pub(super) fn make(&self) -> Result<()> {
        let root = self.0.parent().unwrap_or(&self.0);
        for folder in [root, &self.0] {
            let failed = || Failure::step(format!("cannot use {} for a sandbox", folder.display()));
            DirBuilder::new()
                .recursive(true)
                .mode(OWNER_ONLY)
                .create(folder)
                .map_err(|error| failed().caused_by(&error))?;
            let found = folder.symlink_metadata().map_err(|error| failed().caused_by(&error))?;
            if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
                return Err(failed()
                    .because("it belongs to another user")
                    .hint("set BOOTSTRAPPER_STATE_DIR to a folder of your own"));
            }
            if found.mode() & !OWNER_ONLY & 0o777 != 0 {
                std::fs::set_permissions(folder, Permissions::from_mode(OWNER_ONLY))
                    .map_err(|error| failed().caused_by(&error))?;
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Its supervisor holds this lock while it runs; the system releases it, however the process exits.
    pub(super) fn lock_file(&self) -> std::io::Result<File> {
        private_file().create(true).truncate(false).open(self.path("supervisor.lock"))
    }

    pub(super) fn is_running(&self) -> bool {
        self.path("supervisor.lock").exists() && self.lock_file().is_ok_and(|file| file.try_lock().is_err())
    }

    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::step(format!("cannot read {}", path.display())).caused_by(&error))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::step(format!("{} is corrupt", path.display())).caused_by(&error))
    }

    /// Writes a file atomically.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path(name);
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot write {}", path.display())).caused_by(error)
        };
        let text = serde_json::to_string_pretty(value).map_err(|error| failed(&error))?;
        private::replace(&path, text.as_bytes()).map_err(|error| failed(&error))
    }
}

/// The mode of all folders of a sandbox, regardless of umask.
pub(super) const OWNER_ONLY: u32 = 0o700;

/// Opens files for writing that only their owner can open, regardless of umask.
pub(super) fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

/// Writes such a file.
pub(super) fn write_private(file: &Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    let mut file = private_file().create(true).truncate(true).open(file)?;
    file.write_all(content.as_ref())
}

pub(super) const SANDBOX_FILE: &str = "sandbox.json";
pub(super) const OPTIONS_FILE: &str = "options.json";
pub(super) const PROGRAMS_FILE: &str = "programs.json";

/// The line with which a supervisor reports that the sandbox is up.
pub(super) const READY: &str = "ready";

/// `$BOOTSTRAPPER_STATE_DIR`, otherwise the user's state folder.
fn root() -> Result<PathBuf> {
    state_folder().map(|root| root.join("sandboxes")).ok_or_else(|| {
        Failure::input("no folder to store a sandbox in: HOME is not set").hint("set BOOTSTRAPPER_STATE_DIR")
    })
}

/// Every existing sandbox.
pub fn list() -> Result<Vec<Listed>> {
    let mut names: Vec<String> = std::fs::read_dir(root()?)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.into_iter().filter_map(|name| listed(&name).transpose()).collect()
}

fn listed(name: &str) -> Result<Option<Listed>> {
    let folder = Folder::of(name)?;
    let state = if folder.is_running() { State::Running } else { State::Crashed };
    Ok(Some(Listed { name: name.to_owned(), state, kubeconfig: folder.path("kubeconfig") }))
}

/// A running sandbox.
pub fn load(name: &str) -> Result<Sandbox> {
    let folder = Folder::of(name)?;
    if folder.is_running() && folder.path(SANDBOX_FILE).exists() {
        return folder.read(SANDBOX_FILE);
    }
    Err(Failure::input(format!("sandbox `{name}` is not running"))
        .hint(format!("create it: bootstrapper sandbox up {name}")))
}

/// Removes a folder, if it exists.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::step(format!("cannot remove {}", folder.display())).caused_by(&error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn a_folder_that_others_could_enter_is_closed_and_one_that_leads_elsewhere_refused() {
        let state = tempfile::tempdir().unwrap();
        let root = state.path().join("sandboxes");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, Permissions::from_mode(0o777)).unwrap();
        let folder = Folder(root.join("infra"));
        folder.make().unwrap();
        folder.write("options.json", &true).unwrap();
        assert_eq!((mode(&root), mode(&folder.0), mode(&folder.path("options.json"))), (0o700, 0o700, 0o600));

        std::os::unix::fs::symlink(state.path(), root.join("apps")).unwrap();
        let refused = Folder(root.join("apps")).make().unwrap_err();
        assert!(format!("{refused:?}").contains("belongs to another user"), "{refused:?}");
    }
}
