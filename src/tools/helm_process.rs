//! Helm at work: it ends with the run that started it, and the release says which process holds
//! it, so that a later run knows a killed Helm from a living one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, getppid, test_kill_process};

use crate::failure::{Failure, Result};

/// The label of a release that names the process of the Helm that works on it.
pub const HELM_PROCESS: &str = "bootstrapper-process";

/// The longest value of a label.
const LONGEST: usize = 63;

/// What this program is started with to become Helm, and to make that revision of a release.
pub(super) fn tied(revision: u64, program: OsString, arguments: Vec<OsString>) -> Vec<OsString> {
    let words = ["run-helm".to_owned(), std::process::id().to_string(), revision.to_string()];
    words.into_iter().map(OsString::from).chain([program]).chain(arguments).collect()
}

/// Becomes Helm, as [`tied`] asks for: returns only if that fails. `parent` is the process that
/// asked.
pub fn run_helm(parent: u32, revision: u64, command: &[OsString]) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::internal("there is no Helm to run"));
    };
    end_with_parent()?;
    let is_orphan = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) != Some(parent);
    if is_orphan {
        return Err(Failure::internal("the run that wanted Helm has ended"));
    }
    let label = format!("--labels={HELM_PROCESS}={}", label(revision, std::process::id(), &host()));
    let error = Command::new(program).args(arguments).arg(label).exec();
    Err(Failure::step(format!("{} cannot be run", program.display())).caused_by(&error))
}

/// Gently: a Helm that is asked to end marks its release as failed, and nobody has to wait. What
/// counts as the parent is the thread that started it: one of the runtime's, which live as long as
/// the run.
#[cfg(target_os = "linux")]
fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| Failure::internal("Helm cannot be tied to its run").because(error.to_string()))
}

/// No other system can do that: a Helm that outlives its run is known by its process.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> Result<()> {
    Ok(())
}

/// Whether the Helm that made a revision has ended, as its label says; none if that cannot be told
/// from here. Later revisions inherit the label, of whoever makes them: it counts for one only.
pub fn helm_has_ended(value: &str, revision: u64) -> Option<bool> {
    let mut parts = value.splitn(3, '.');
    let of_revision: u64 = parts.next()?.parse().ok()?;
    let process: u32 = parts.next()?.parse().ok()?;
    (of_revision == revision && value == label(revision, process, &host())).then_some(())?;
    let process = Pid::from_raw(process.try_into().ok()?)?;
    Some(test_kill_process(process) == Err(rustix::io::Errno::SRCH))
}

/// The revision, the process, and its host as far as it fits.
fn label(revision: u64, process: u32, host: &str) -> String {
    let fitting = host.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' });
    let whole: String = format!("{revision}.{process}.").chars().chain(fitting).take(LONGEST).collect();
    whole.trim_end_matches(['-', '.']).to_owned()
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_machine_is_known_to_live_or_not() {
        let of = |process: u32, host: &str| helm_has_ended(&label(7, process, host), 7);
        assert_eq!(of(std::process::id(), &host()), Some(false));
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert_eq!(of(ended.id(), &host()), Some(true));
        assert_eq!(of(ended.id(), "elsewhere.test"), None);
        assert_eq!(helm_has_ended(&label(7, ended.id(), &host()), 8), None, "inherited");
        assert_eq!(helm_has_ended("nothing", 7), None);
    }

    #[test]
    fn a_label_holds_any_host() {
        for host in ["a", "x_y.z-", "---", "", &"long.".repeat(30), "größe"] {
            let label = label(12, 4_194_304, host);
            assert!(
                label.len() <= LONGEST && label.ends_with(|one: char| one.is_ascii_alphanumeric()),
                "{label}"
            );
        }
    }
}
