//! Stands between a run and a program that it starts, so that nothing of that program outlives the run:
//! not when the run is killed, and neither what the program itself has started.

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

/// How long a program may take to end once it is asked to: Helm marks its release as failed.
const GRACE: Duration = Duration::from_secs(4);

/// This program, once it has said where it is. Whoever uses its library runs programs unguarded.
static GUARD: OnceLock<PathBuf> = OnceLock::new();

/// From now on each program that is started is guarded by `this` program.
pub fn guard_programs_with(this: PathBuf) {
    let _ = GUARD.set(this);
}

/// What is started instead of a program, for it to be guarded. Helm at work on a release says which
/// revision it makes.
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

/// What the guard of a program needs to know of it.
#[derive(Debug)]
pub struct Guarded {
    /// The process that wants it.
    pub parent: u32,
    /// The revision of a release that it makes.
    pub revision: Option<u64>,
    /// What it may take.
    pub limits: Limits,
    /// The temporary folders of that process: whoever uses them last removes them.
    pub folders: Vec<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Runs a program as [`guarded`] asks for, to its end and with its exit code. When the process that
/// asked ends, or asks this one to, the program is asked to end, and what is left of it after a while
/// is killed.
pub async fn guard(guarded: Guarded) -> Result<ExitCode> {
    let Guarded { parent, revision, limits, folders, mut command } = guarded;
    if command.is_empty() {
        return Err(Failure::internal("no command to guard"));
    }
    let program = command.remove(0);
    // The run may remove them before this process is there.
    let leases: Vec<Lease> = folders.iter().filter_map(|folder| Lease::take(folder).ok()).collect();
    let unguarded =
        |error: std::io::Error| Failure::step(format!("cannot run {}", program.display())).caused_by(&error);
    let mut asked = signal(SignalKind::terminate()).map_err(unguarded)?;
    adopt_grandchildren().and_then(|()| end_with_parent()).map_err(|error| unguarded(error.into()))?;
    if !is_child_of(parent) {
        leases.into_iter().for_each(Lease::end);
        return Err(Failure::internal("the run that wanted this program has ended"));
    }
    limits.take_on();
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

/// Asks the program and its group to end, and insists after a while.
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

/// Kills what the program has left behind: its orphans are this process's children.
fn end_the_rest() {
    loop {
        let orphans = children();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill_process(orphan, Signal::KILL);
        }
        // Their own children become this process's in turn.
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

/// What counts as the parent is the thread that started this process: one of the runtime's, which live
/// as long as the run.
#[cfg(target_os = "linux")]
fn end_with_parent() -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
}

/// No other system hands orphans over, or tells of a parent's end: that is looked for.
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

/// A parent that ended before this process could ask to be told; and all of them where none is told.
async fn parent_ended(parent: u32) {
    while is_child_of(parent) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn is_child_of(parent: u32) -> bool {
    getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) == Some(parent)
}

/// A shell's way to tell of a signal: 128 and its number.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
