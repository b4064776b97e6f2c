//! The holder of a cluster's lock, as in its Lease: `alice@laptop/4711/9f3c2a1b/2026-11-28T16:02:11Z`.

use std::fmt;

use rustix::process::{Pid, test_kill_process};

use bootstrapper_core::digest::sha256;
use bootstrapper_core::masking::masked;
use bootstrapper_tools::host;

/// A run of a user on a machine; or another text in the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder(String);

/// The parts of a holder's identity.
struct Parts<'a> {
    person: &'a str,
    process: Pid,
    machine: &'a str,
}

impl Holder {
    /// This process, in the run `run`.
    pub(super) fn here(run: &str) -> Self {
        let run = masked(run);
        Self(format!("{}/{}/{}/{run}", here(), std::process::id(), machine()))
    }

    /// Parses an identity; none if it is empty.
    pub(super) fn of(identity: Option<&str>) -> Option<Self> {
        identity.filter(|identity| !identity.is_empty()).map(|identity| Self(identity.to_owned()))
    }

    pub(super) fn identity(&self) -> &str {
        &self.0
    }

    /// Whether it is an exited process of this machine. Processes of other containers and of an earlier boot
    /// do not count as this machine's: their state cannot be determined from here.
    pub(super) fn is_dead_local_process(&self) -> bool {
        self.parts().is_some_and(|parts| {
            parts.machine == machine() && test_kill_process(parts.process) == Err(rustix::io::Errno::SRCH)
        })
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let mut parts = self.0.splitn(4, '/');
        let (person, process, machine) = (parts.next()?, parts.next()?, parts.next()?);
        let process = Pid::from_raw(process.parse().ok()?)?;
        Some(Parts { person, process, machine })
    }
}

impl fmt::Display for Holder {
    /// For display: `alice@laptop (process 4711)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Some(Parts { person, process, .. }) => {
                write!(f, "{person} (process {})", process.as_raw_nonzero())
            }
            None => write!(f, "`{}`", self.0),
        }
    }
}

/// The user and host of this process: `alice@laptop`.
pub fn here() -> String {
    format!("{}@{}", user(), host())
}

/// The user of this process.
fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let named = named.filter(|name| !name.is_empty() && !name.contains('/'));
    named.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()))
}

/// The scope of process ids: one boot of a machine, and one container on it.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let processes = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let mut digest = sha256(format!("{boot} {} {}", processes.display(), host()));
    digest.truncate(8);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_tells_who_and_where() {
        let holder = Holder::of(Some("alice@laptop/4711/9f3c2a1b/2026-11-28T16:02:11Z")).unwrap();
        assert_eq!(holder.to_string(), "alice@laptop (process 4711)");
        assert_eq!(Holder::of(Some("flux-0_abc/x")).unwrap().to_string(), "`flux-0_abc/x`");
        assert_eq!(Holder::of(Some("")), None);
        assert_eq!(Holder::of(None), None);
    }

    #[test]
    fn only_a_process_of_this_very_machine_is_known_to_be_dead() {
        let of = |process: u32, machine: &str| Holder(format!("a@b/{process}/{machine}/run"));
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert!(of(ended.id(), &machine()).is_dead_local_process());
        assert!(!of(ended.id(), "another").is_dead_local_process());
        assert!(!of(std::process::id(), &machine()).is_dead_local_process());
        assert!(!Holder::here("run").is_dead_local_process());
        assert!(!Holder("nothing".to_owned()).is_dead_local_process());
    }
}
