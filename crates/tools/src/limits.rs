//! What a program may take at most: memory, processor time, the size of what it writes, time.
//!
//! Memory, processor time and sizes are limits of the operating system, which the guard takes on
//! before it starts the program (`setrlimit`). Memory counts what a program can write to
//! (`RLIMIT_DATA`): programs in Go reserve far more addresses than they use.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use bootstrapper_core::failure::{Failure, Result};

const MIB: u64 = 1024 * 1024;
/// Less than a gigabyte, and several times what large repositories take.
const MEMORY: u64 = 900 * MIB;
const OUTPUT: u64 = 64 * MIB;

/// What a program fetches may be larger than what it says.
const FILE_PER_OUTPUT: u64 = 4;

/// Variables by which a person chooses other limits.
const MEMORY_VARIABLE: &str = "BOOTSTRAPPER_CHILD_MEMORY";
const OUTPUT_VARIABLE: &str = "BOOTSTRAPPER_CHILD_OUTPUT";
const TIME_VARIABLE: &str = "BOOTSTRAPPER_CHILD_TIME";

/// The garbage collector of Go works harder as a program comes near this share of its memory.
const SOFT_PERCENT: u64 = 80;

/// Limits of a program that the operating system enforces; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Seconds of processor time.
    pub cpu: u64,
    /// Bytes of each file that it writes, its output too.
    pub file: u64,
}

/// How long a kind of call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Builds or renders what is at hand, and may fetch some of it.
    Build,
    /// Fetches one thing.
    Fetch,
    /// Asks for something that is at hand.
    Ask,
    /// Waits for a cluster: the engine ends it.
    Cluster,
    /// Waits for a person, who may have to unlock something.
    Person,
    /// Does what the person wants: its step ends it.
    Own,
}

impl Work {
    /// From start to end; none if something else ends it.
    pub(super) fn time(self) -> Option<Duration> {
        let usual = match self {
            Self::Build | Self::Person => Duration::from_mins(5),
            Self::Fetch => Duration::from_mins(2),
            Self::Ask => Duration::from_mins(1),
            Self::Cluster | Self::Own => return None,
        };
        Some(chosen_time().unwrap_or(usual))
    }

    /// Seconds of processor time. What waits takes none.
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
    /// Those of a call.
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

    /// Bytes of what it says.
    pub(super) fn output(self) -> u64 {
        self.file / FILE_PER_OUTPUT
    }

    /// Takes them on, for this process and those that it starts from now on.
    pub(super) fn take_on(self) {
        lower(Resource::Data, self.memory, 0);
        // The signal at the lower limit lets a program say what it did; the higher one kills.
        lower(Resource::Cpu, self.cpu, 5);
        lower(Resource::Fsize, self.file, 0);
    }

    /// When the garbage collector of Go is to work harder.
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

/// A limit that a program came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Memory,
    Cpu,
    Output,
    Time,
}

/// What stands in each failure of a limit.
pub(super) const STOPPED: &str = "and was stopped";

/// What Go says of a limit, at the end of a program or before its stack.
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

/// What the guard says of a program that a signal ended: 128 and its number.
const SIGNALS: [(i32, Exceeded); 2] = [(128 + 24, Exceeded::Cpu), (128 + 25, Exceeded::Output)];

impl Exceeded {
    /// Which limit a failed program came to, by its exit code and what it said; none if another
    /// reason is as good.
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

    /// The failure of a call, `shown`, that came to this limit as it worked on `subject`.
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
