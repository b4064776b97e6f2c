//! A program of a sandbox: runs in a process group of its own, writes to a log file, and carries a
//! mark in its environment by which it is found again should its supervisor be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use rustix::process::{Pid, Signal, kill_process};

use super::state::private_file;
use bootstrapper_core::failure::{Failure, Result};

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

    /// Ends when it does.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .map_err(|error| Failure::step(format!("cannot wait for {}", self.name)).caused_by(&error))
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
    private_file().create(true).append(true).open(path)
}

fn inherited() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Every process of this user that carries a mark, and the sandbox that it names. Others may write into
/// their environments what they like: their namespaces are not entered, and the folders that they name
/// not touched.
fn marked() -> impl Iterator<Item = (i32, PathBuf)> {
    let own = rustix::process::geteuid().as_raw();
    marked_by_anybody().filter(move |(pid, _)| user_of(*pid) == Some(own))
}

/// The effective user of a process. The owner of its folder in `/proc` is root, whoever it is, if it wants.
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

/// The sandboxes of which processes run.
pub(super) fn owners() -> BTreeSet<PathBuf> {
    marked().map(|(_, folder)| folder).collect()
}

/// Kills every process that carries the mark of this sandbox: routers go on as a user of their own.
pub(super) fn kill_marked(sandbox: &Path) {
    for (pid, _) in marked_by_anybody().filter(|(_, folder)| folder == sandbox) {
        signal(pid, Signal::KILL);
    }
}

/// Signals a process. One that is gone is no error.
pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes of a program that carry the mark of this sandbox.
pub(super) fn named(sandbox: &Path, program: &str) -> impl Iterator<Item = u32> {
    marked()
        .filter(move |(pid, folder)| folder == sandbox && name(*pid) == program)
        .filter_map(|(pid, _)| pid.try_into().ok())
}

/// The processes of a program that are on the network of another process.
pub(super) fn in_namespace_of(holder: u32, program: &str) -> impl Iterator<Item = i32> {
    let network = |pid: i64| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let wanted = network(holder.into());
    let is_there = move |pid: i32| wanted.is_some() && network(pid.into()) == wanted;
    marked().map(|(pid, _)| pid).filter(move |pid| name(*pid) == program && is_there(*pid))
}

fn name(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
