//! The guard: a process between the run and a program, which ensures that nothing of the program outlives the
//! run, even if the run is killed, including processes that the program has started.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getppid, kill_process, kill_process_group, wait};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::helm_process::helm_mark;
use super::limits::Limits;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::{self, Lease};

/// How long a program may take to terminate: Helm marks its release as failed.
const GRACE: Duration = Duration::from_secs(4);

/// The path of this executable, once set. Users of the library run programs without a guard.
static GUARD: OnceLock<PathBuf> = OnceLock::new();

/// From now on, guards every started program with `this` executable.
pub fn guard_programs_with(this: PathBuf) {
    let _ = GUARD.set(this);
}

/// The guard's command line, which is started instead of the program. For a Helm operation it contains the
/// revision.
pub(super) fn guarded(
    revision: Option<u64>,
    limits: Limits,
    program: &Path,
    mut arguments: Vec<OsString>,
) -> (PathBuf, Vec<OsString>) {
    let Some(guard) = GUARD.get() else {
        arguments.extend(revision.map(helm_mark));
        return (program.to_owned(), arguments);
    };
    let mut words: Vec<OsString> = vec!["guard".into(), std::process::id().to_string().into()];
    words.extend(revision.map(|revision| format!("--revision={revision}").into()));
    words.push(format!("--limits={limits}").into());
    words.extend(private::run_folders().into_iter().flat_map(|folder| ["--private".into(), folder.into()]));
    words.extend(["--".into(), program.into()]);
    words.extend(arguments);
    (guard.clone(), words)
}

/// The arguments of a guard.
#[derive(Debug)]
pub struct Guarded {
    /// The process that started it.
    pub parent: u32,
    /// The revision that Helm creates.
    pub revision: Option<u64>,
    /// The limits.
    pub limits: Limits,
    /// The temporary folders of that process: the last user deletes them.
    pub folders: Vec<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Runs a program for [`guarded`], and returns its exit code. When the parent process exits, or this process
/// gets a signal, it terminates the program, and after a while kills what is left.
pub async fn guard(guarded: Guarded) -> Result<ExitCode> {
    let Guarded { parent, revision, limits, folders, mut command } = guarded;
    if command.is_empty() {
        return Err(Failure::internal("no command to guard"));
    }
    let program = command.remove(0);
    // Keeps the folders: the run may delete them before this process has started.
    let leases: Vec<Lease> = folders.iter().filter_map(|folder| Lease::take(folder).ok()).collect();
    let unguarded =
        |error: std::io::Error| Failure::step(format!("cannot run {}", program.display())).caused_by(&error);
    let mut asked = signal(SignalKind::terminate()).map_err(unguarded)?;
    adopt_grandchildren().and_then(|()| end_with_parent()).map_err(|error| unguarded(error.into()))?;
    if !is_child_of(parent) {
        leases.into_iter().for_each(Lease::end);
        return Err(Failure::internal("the run that wanted this program has ended"));
    }
    limits.apply();
    let mut started = std::process::Command::new(&program);
    started.args(command).args(revision.map(helm_mark)).process_group(0);
    let mut child = Command::from(started).spawn().map_err(unguarded)?;
    let ended = tokio::select! {
        ended = child.wait() => ended,
        _ = asked.recv() => end(&mut child).await,
        () = parent_ended(parent) => end(&mut child).await,
    };
    end_the_rest();
    leases.into_iter().for_each(Lease::end);
    Ok(exit_code(ended.map_err(unguarded)?))
}

/// Terminates the program's process group, and kills it after a while.
async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let tell = |signal| group.map(|group| kill_process_group(group, signal));
    tell(Signal::TERM);
    if let Ok(ended) = tokio::time::timeout(GRACE, child.wait()).await {
        return ended;
    }
    tell(Signal::KILL);
    child.wait().await
}

/// Kills processes that the program has left behind: orphans become children of this process.
fn end_the_rest() {
    loop {
        let orphans = children();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill_process(orphan, Signal::KILL);
        }
        // Their own children then become this process's.
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    let threads =
        std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(std::result::Result::ok);
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).ok();
    let listed: String = threads.filter_map(of).collect();
    listed.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

#[cfg(target_os = "linux")]
fn adopt_grandchildren() -> rustix::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// The kernel tracks the thread that started this process: a runtime thread, which lives as long as the run.
#[cfg(target_os = "linux")]
fn end_with_parent() -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
}

/// Other systems have neither subreapers nor parent death signals: this polls instead.
#[cfg(not(target_os = "linux"))]
fn children() -> Vec<Pid> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn adopt_grandchildren() -> rustix::io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> rustix::io::Result<()> {
    Ok(())
}

/// The parent may have exited before this process registered for the signal; on systems without the signal,
/// every exit is detected this way.
async fn parent_ended(parent: u32) {
    while is_child_of(parent) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn is_child_of(parent: u32) -> bool {
    getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) == Some(parent)
}

/// As in a shell, a signal becomes 128 plus its number.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
