//! Records the process of a Helm operation in the release, so that a later run can distinguish a killed Helm
//! from a running one.

use std::ffi::OsString;

use rustix::process::{Pid, test_kill_process};

/// The label of a release with the process of its Helm operation.
pub const HELM_PROCESS: &str = "bootstrapper-process";

/// The maximum length of a label value.
const LONGEST: usize = 63;

/// The argument with which Helm labels the revision that it creates: the process is its guard, this process.
pub(super) fn helm_mark(revision: u64) -> OsString {
    format!("--labels={HELM_PROCESS}={}", label(revision, std::process::id(), &host())).into()
}

/// Whether the Helm process that created a revision has exited, according to its label; none if that cannot
/// be determined here. Later revisions inherit the label, so it is valid only for the revision in it.
pub fn helm_has_exited(value: &str, revision: u64) -> Option<bool> {
    let mut parts = value.splitn(3, '.');
    let of_revision: u64 = parts.next()?.parse().ok()?;
    let process: u32 = parts.next()?.parse().ok()?;
    (of_revision == revision && value == label(revision, process, &host())).then_some(())?;
    let process = Pid::from_raw(process.try_into().ok()?)?;
    Some(test_kill_process(process) == Err(rustix::io::Errno::SRCH))
}

/// The revision, the process id, and the host name as far as it fits.
fn label(revision: u64, process: u32, host: &str) -> String {
    let fitting = host.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' });
    let whole: String = format!("{revision}.{process}.").chars().chain(fitting).take(LONGEST).collect();
    whole.trim_end_matches(['-', '.']).to_owned()
}

/// The host name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_machine_is_known_to_live_or_not() {
        let of = |process: u32, host: &str| helm_has_exited(&label(7, process, host), 7);
        assert_eq!(of(std::process::id(), &host()), Some(false));
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert_eq!(of(ended.id(), &host()), Some(true));
        assert_eq!(of(ended.id(), "elsewhere.test"), None);
        assert_eq!(helm_has_exited(&label(7, ended.id(), &host()), 8), None, "inherited");
        assert_eq!(helm_has_exited("nothing", 7), None);
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
