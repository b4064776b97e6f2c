//! A program of a sandbox: runs in a process group of its own, writes to a log file, and carries a
//! mark in its environment by which it is found again should its supervisor be killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};

use crate::failure::{Failure, Result};

/// The environment variable that names the sandbox a process belongs to: its state folder.
pub(super) const MARK: &str = "BOOTSTRAPPER_SANDBOX";

/// How long a program may take to end when asked, before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// How a program is started.
#[derive(Debug, Clone)]
pub(super) struct ProcessSpec {
    /// What it is called, for people.
    pub(super) name: String,
    /// The executable.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Its whole environment, beside the mark, PATH and HOME.
    pub(super) environment: BTreeMap<String, String>,
    /// Where it runs.
    pub(super) directory: PathBuf,
    /// Where its output is appended to.
    pub(super) log: PathBuf,
    /// The state folder of its sandbox.
    pub(super) sandbox: PathBuf,
}

/// A program that was started. Dropping it kills its group.
pub(super) struct Process {
    name: String,
    child: Box<dyn ChildWrapper>,
}

impl ProcessSpec {
    /// Starts it.
    pub(super) fn start(&self) -> Result<Process> {
        let failed = |error: &std::io::Error| {
            Failure::step(format!("{} cannot be started", self.name)).caused_by(error)
        };
        let log = append_to(&self.log).map_err(|error| failed(&error))?;
        let same = log.try_clone().map_err(|error| failed(&error))?;
        let mut command = CommandWrap::with_new(&self.program, |command| {
            command
                .args(&self.arguments)
                .env_clear()
                .envs(inherited())
                .envs(&self.environment)
                .env(MARK, &self.sandbox)
                .current_dir(&self.directory)
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(same)
                .kill_on_drop(true);
        });
        command.wrap(ProcessGroup::leader());
        let child = command.spawn().map_err(|error| failed(&error))?;
        Ok(Process { name: self.name.clone(), child })
    }
}

impl Process {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends when it does.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .map_err(|error| Failure::step(format!("{} cannot be waited for", self.name)).caused_by(&error))
    }

    /// Asks it to end, and kills it if it does not.
    pub(super) async fn stop(&mut self) {
        // SIGTERM, by number: the wrapper takes numbers only.
        let _ = self.child.signal(rustix::process::Signal::TERM.as_raw());
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills it and all that it started.
    pub(super) async fn kill(&mut self) {
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }
}

fn append_to(path: &Path) -> std::io::Result<std::fs::File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).open(path)
}

fn inherited() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}
