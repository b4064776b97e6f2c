//! A program of a sandbox: runs in its own process group, writes to a log file, and has a mark in its
//! environment that identifies it if its supervisor crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use rustix::process::{Pid, Signal, kill_process};

use super::state::private_file;
use bootstrapper_core::failure::{Failure, Result};

/// The environment variable with the state folder of the process's sandbox.
pub(super) const MARK: &str = "BOOTSTRAPPER_SANDBOX";

/// The grace period of a program before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// How to start a program.
#[derive(Debug, Clone)]
pub(super) struct ProcessSpec {
    /// Its name for display.
    pub(super) name: String,
    /// The executable.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Its environment, in addition to the mark, PATH and HOME.
    pub(super) environment: BTreeMap<String, String>,
    /// Its working directory.
    pub(super) directory: PathBuf,
    /// The log file that its output is appended to.
    pub(super) log: PathBuf,
    /// The state folder of its sandbox.
    pub(super) sandbox: PathBuf,
}

/// A started program. Dropping it kills its process group.
pub(super) struct Process {
    name: String,
    child: Box<dyn ChildWrapper>,
}

impl ProcessSpec {
    /// Starts it.
    pub(super) fn start(&self) -> Result<Process> {
        let failed =
            |error: &std::io::Error| Failure::step(format!("cannot start {}", self.name)).caused_by(error);
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

    /// Waits until it exits.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .map_err(|error| Failure::step(format!("cannot wait for {}", self.name)).caused_by(&error))
    }

    /// Terminates it, and kills it after the grace period.
    pub(super) async fn stop(&mut self) {
        // SIGTERM as a number, because the wrapper only accepts numbers.
        let _ = self.child.signal(rustix::process::Signal::TERM.as_raw());
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills it with all its children.
    pub(super) async fn kill(&mut self) {
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }
}

fn append_to(path: &Path) -> std::io::Result<std::fs::File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    private_file().create(true).append(true).open(path)
}

fn inherited() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Every process of this user with a mark, and its sandbox. Other users may set any environment: their
/// namespaces are not entered, and the folders in it not touched.
fn marked() -> impl Iterator<Item = (i32, PathBuf)> {
    let own = rustix::process::geteuid().as_raw();
    marked_by_anybody().filter(move |(pid, _)| user_of(*pid) == Some(own))
}

/// The effective user of a process. The owner of its folder in `/proc` may be root regardless.
fn user_of(pid: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

fn marked_by_anybody() -> impl Iterator<Item = (i32, PathBuf)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    processes.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let prefix = format!("{MARK}=").into_bytes();
        let mut variables = environment.split(|byte| *byte == 0);
        let folder = variables.find_map(|variable| variable.strip_prefix(prefix.as_slice()))?;
        Some((pid, PathBuf::from(std::ffi::OsStr::from_bytes(folder))))
    })
}

/// The sandboxes with running processes.
pub(super) fn owners() -> BTreeSet<PathBuf> {
    marked().map(|(_, folder)| folder).collect()
}

/// Kills every process with the mark of this sandbox, including routers, which run as their own user.
pub(super) fn kill_marked(sandbox: &Path) {
    for (pid, _) in marked_by_anybody().filter(|(_, folder)| folder == sandbox) {
        signal(pid, Signal::KILL);
    }
}

/// Signals a process. A missing one is no error.
pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes of a program with the mark of this sandbox.
pub(super) fn named(sandbox: &Path, program: &str) -> impl Iterator<Item = u32> {
    marked()
        .filter(move |(pid, folder)| folder == sandbox && name(*pid) == program)
        .filter_map(|(pid, _)| pid.try_into().ok())
}

/// The processes of a program in the network namespace of another process.
pub(super) fn in_namespace_of(holder: u32, program: &str) -> impl Iterator<Item = i32> {
    let network = |pid: i64| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let wanted = network(holder.into());
    let is_there = move |pid: i32| wanted.is_some() && network(pid.into()) == wanted;
    marked().map(|(pid, _)| pid).filter(move |pid| name(*pid) == program && is_there(*pid))
}

fn name(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
