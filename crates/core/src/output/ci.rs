//! Our own commands to a CI runner: foldable groups of lines. All other text that looks like a command is neutralized.

use std::time::{SystemTime, UNIX_EPOCH};

use super::streams::write_err;
use super::{one_line, shown};

/// A CI runner with foldable groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

impl Runner {
    /// The runner of this process, by the variables that each sets; none outside of them.
    pub fn here() -> Option<Self> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| value == "true");
        match () {
            () if is_set("GITHUB_ACTIONS") => Some(Self::GitHub),
            () if is_set("GITLAB_CI") => Some(Self::GitLab),
            () => None,
        }
    }

    /// Begins a group, on stderr.
    pub fn begin_group(self, name: &str) {
        write_err(self.begin(name, now()).as_bytes());
    }

    /// Ends the group with this name.
    pub fn end_group(self, name: &str) {
        write_err(self.end(name, now()).as_bytes());
    }

    fn begin(self, name: &str, now: u64) -> String {
        let title = shown(&one_line(name));
        match self {
            Self::GitHub => format!("::group::{}\n", title.replace('%', "%25")),
            Self::GitLab => format!("\x1b[0Ksection_start:{now}:{}\r\x1b[0K{title}\n", id(name)),
        }
    }

    fn end(self, name: &str, now: u64) -> String {
        match self {
            Self::GitHub => "::endgroup::\n".to_owned(),
            Self::GitLab => format!("\x1b[0Ksection_end:{now}:{}\r\x1b[0K\n", id(name)),
        }
    }
}

/// A section's name may consist of letters, numbers and a few others.
fn id(name: &str) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() { one } else { '_' };
    format!("bootstrapper_{}", name.chars().map(plain).collect::<String>())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_that_of_the_runner_and_its_name_is_no_command() {
        assert_eq!(Runner::GitHub.begin("core\n::set-env x", 7), "::group::core\\n::set-env x\n");
        assert_eq!(Runner::GitHub.end("core", 7), "::endgroup::\n");
        assert_eq!(
            Runner::GitLab.begin("a b\x1b[2J", 7),
            "\x1b[0Ksection_start:7:bootstrapper_a_b__2J\r\x1b[0Ka b\\x1b[2J\n"
        );
        assert_eq!(Runner::GitLab.end("a b", 9), "\x1b[0Ksection_end:9:bootstrapper_a_b\r\x1b[0K\n");
    }
}
