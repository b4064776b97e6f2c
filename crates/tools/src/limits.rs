//! Limits for programs: memory, CPU time, output size, time.
//!
//! The operating system enforces memory, CPU time and sizes; the guard sets them before it starts the program
//! (`setrlimit`). Memory is writable memory (`RLIMIT_DATA`): Go programs reserve far more address space than
//! they use.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use bootstrapper_core::failure::{Failure, Result};

const MIB: u64 = 1024 * 1024;
/// Less than a gigabyte, and several times what large repositories need.
const MEMORY: u64 = 900 * MIB;
const OUTPUT: u64 = 64 * MIB;

/// Files may be larger than output.
const FILE_PER_OUTPUT: u64 = 4;

/// Variables that override the limits.
const MEMORY_VARIABLE: &str = "BOOTSTRAPPER_CHILD_MEMORY";
const OUTPUT_VARIABLE: &str = "BOOTSTRAPPER_CHILD_OUTPUT";
const TIME_VARIABLE: &str = "BOOTSTRAPPER_CHILD_TIME";

/// Go's garbage collector becomes more aggressive at this share of the memory limit.
const SOFT_PERCENT: u64 = 80;

/// Limits that the operating system enforces; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Seconds of CPU time.
    pub cpu: u64,
    /// Bytes per written file, including its output.
    pub file: u64,
}

/// The kind of a call, which determines its time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Builds or renders local input, and may fetch some.
    Build,
    /// Fetches one thing.
    Fetch,
    /// Queries something local.
    Ask,
    /// Waits for a cluster: the engine ends it.
    Cluster,
    /// Waits for a person, who may have to unlock something.
    Person,
    /// A user's command: its step ends it.
    Own,
}

impl Work {
    /// The wall-clock limit; none if something else ends it.
    pub(super) fn time(self) -> Option<Duration> {
        let usual = match self {
            Self::Build | Self::Person => Duration::from_mins(5),
            Self::Fetch => Duration::from_mins(2),
            Self::Ask => Duration::from_mins(1),
            Self::Cluster | Self::Own => return None,
        };
        Some(chosen_time().unwrap_or(usual))
    }

    /// Seconds of CPU time. Waiting programs use none.
    fn cpu(self) -> u64 {
        let usual = match self {
            Self::Build | Self::Ask => 30,
            Self::Fetch | Self::Person => 60,
            Self::Cluster => 300,
            Self::Own => return 0,
        };
        chosen_time().map_or(usual, |time| time.as_secs().max(1))
    }
}

impl Limits {
    /// The limits of a call.
    pub(super) fn of(work: Work) -> Self {
        let size = |variable: &str, usual: u64| {
            std::env::var(variable).ok().and_then(|text| parse_size(&text)).unwrap_or(usual)
        };
        if work == Work::Own {
            return Self::default();
        }
        Self {
            memory: size(MEMORY_VARIABLE, MEMORY),
            cpu: work.cpu(),
            file: size(OUTPUT_VARIABLE, OUTPUT).saturating_mul(FILE_PER_OUTPUT),
        }
    }

    /// Bytes of output.
    pub(super) fn output(self) -> u64 {
        self.file / FILE_PER_OUTPUT
    }

    /// Sets them for this process and its future children.
    pub(super) fn apply(self) {
        lower(Resource::Data, self.memory, 0);
        // The signal at the soft limit lets a program report what it did; the hard limit kills it.
        lower(Resource::Cpu, self.cpu, 5);
        lower(Resource::Fsize, self.file, 0);
    }

    /// The value of `GOMEMLIMIT`.
    pub(super) fn go_memory(self) -> Option<String> {
        (self.memory > 0).then(|| (self.memory / 100 * SOFT_PERCENT).to_string())
    }
}

fn lower(resource: Resource, limit: u64, more: u64) {
    if limit == 0 {
        return;
    }
    let set = getrlimit(resource);
    let within = |limit: u64, set: Option<u64>| Some(set.map_or(limit, |set| limit.min(set)));
    let maximum = within(limit.saturating_add(more), set.maximum);
    let _ = setrlimit(resource, Rlimit { current: within(limit, maximum), maximum });
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.memory, self.cpu, self.file)
    }
}

impl FromStr for Limits {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Option<Vec<u64>> = text.split(',').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[memory, cpu, file]) => Ok(Self { memory, cpu, file }),
            _ => Err(Failure::internal(format!("invalid limits `{text}`"))),
        }
    }
}

/// Bytes: `2GiB`, `512MiB`, `1000000`.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1024,
        "m" | "mb" | "mi" | "mib" => MIB,
        "g" | "gb" | "gi" | "gib" => 1024 * MIB,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn chosen_time() -> Option<Duration> {
    let span: jiff::SignedDuration = std::env::var(TIME_VARIABLE).ok()?.parse().ok()?;
    Duration::try_from(span).ok()
}

/// A limit that a program exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Memory,
    Cpu,
    Output,
    Time,
}

/// Contained in each error about a limit.
pub(super) const STOPPED: &str = "and was stopped";

/// Go's messages about limits, at the end of the output or before its stack trace.
const WORDS: [(&str, Exceeded); 8] = [
    ("fatal error: runtime: out of memory", Exceeded::Memory),
    ("fatal error: runtime: cannot allocate memory", Exceeded::Memory),
    ("fatal error: out of memory", Exceeded::Memory),
    ("runtime: out of memory", Exceeded::Memory),
    ("runtime: failed to create new OS thread", Exceeded::Memory),
    ("SIGXCPU: ", Exceeded::Cpu),
    ("SIGXFSZ: ", Exceeded::Output),
    (": file too large", Exceeded::Output),
];

/// The guard's exit code for a signal: 128 plus its number.
const SIGNALS: [(i32, Exceeded); 2] = [(128 + 24, Exceeded::Cpu), (128 + 25, Exceeded::Output)];

impl Exceeded {
    /// The limit that a failed program exceeded, from its exit code and output; none if there are other
    /// plausible reasons.
    pub(super) fn by(code: Option<i32>, stderr: &str) -> Option<Self> {
        let by_signal = SIGNALS.iter().find(|(signal, _)| code == Some(*signal));
        let mut starts = stderr.lines().map(str::trim_start);
        let mut by_words = || {
            starts.find_map(|line| {
                WORDS.iter().find(|(words, _)| match words.strip_prefix(':') {
                    Some(_) => line.ends_with(words),
                    None => line.starts_with(words),
                })
            })
        };
        by_signal.map(|(_, limit)| *limit).or_else(|| by_words().map(|(_, limit)| *limit))
    }

    /// The failure of a call, `shown`, that exceeded this limit while processing `subject`.
    pub(super) fn failure(self, shown: &str, subject: Option<&str>, work: Work) -> Failure {
        let limits = Limits::of(work);
        let (what, variable, example) = match self {
            Self::Memory => {
                (format!("uses more than {} of memory", size(limits.memory)), MEMORY_VARIABLE, "4GiB")
            }
            Self::Cpu => (format!("uses more than {} s of CPU time", limits.cpu), TIME_VARIABLE, "10m"),
            Self::Output => (format!("writes more than {}", size(limits.output())), OUTPUT_VARIABLE, "1GiB"),
            Self::Time => {
                let seconds = work.time().unwrap_or_default().as_secs();
                (format!("takes longer than {seconds} s"), TIME_VARIABLE, "10m")
            }
        };
        let subject = subject.map(|subject| format!(": {subject}")).unwrap_or_default();
        Failure::step(format!("{shown} failed"))
            .because(format!("{shown} {what}, {STOPPED}{subject}"))
            .hint(format!("if its input is correct, raise the limit: {variable}={example}"))
    }
}

fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1024 * MIB) {
        format!("{} GiB", bytes / (1024 * MIB))
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_to_the_guard_as_they_were() {
        let limits = Limits { memory: 1, cpu: 2, file: 3 };
        assert_eq!(limits.to_string().parse::<Limits>().unwrap(), limits);
        for wrong in ["", "1,2", "1,2,3,4", "a,b,c", "-1,2,3"] {
            assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let table = [
            ("2GiB", Some(2048 * MIB)),
            ("512 MiB", Some(512 * MIB)),
            ("7", Some(7)),
            ("1Gi", Some(1024 * MIB)),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for wrong in ["", "GiB", "much", "-1", "1.5GiB", "99999999999GiB", "1é"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_known_by_what_a_program_says_at_its_end() {
        let table = [
            (Some(2), "x\nfatal error: runtime: out of memory\n\ngoroutine 1", Some(Exceeded::Memory)),
            (Some(2), "fatal error: runtime: cannot allocate memory", Some(Exceeded::Memory)),
            (Some(2), "SIGXCPU: cpu time limit exceeded\nPC=0x1", Some(Exceeded::Cpu)),
            (Some(152), "", Some(Exceeded::Cpu)),
            (Some(153), "", Some(Exceeded::Output)),
            (Some(1), "Error: write /tmp/x: file too large", Some(Exceeded::Output)),
            (Some(1), "Error: the chart says fatal error: runtime: out of memory", None),
            (Some(1), "Error: not found", None),
        ];
        for (code, stderr, limit) in table {
            assert_eq!(Exceeded::by(code, stderr), limit, "{stderr}");
        }
    }
}
