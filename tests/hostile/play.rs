//! Plays inputs, a few at a time, and says what went wrong.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::common::programs;
use crate::input::Input;
use crate::world::{TREASURE, World};

/// What waits for longer hangs, on however busy a machine.
const MOST_WAITING: Duration = Duration::from_mins(1);

/// What computes for longer hangs, however long it has to wait for a processor: the program and all that it
/// starts together.
const MOST_COMPUTING: Duration = Duration::from_secs(10);

/// Those of `docs/exit-codes.md`, without the defect's.
const EXIT_CODES: [i32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// The most that is worth reading of what an input makes the program say.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) calls: usize,
    pub(crate) panics: usize,
    pub(crate) hangs: usize,
    pub(crate) leaks: usize,
    /// What computed for longest.
    pub(crate) slowest: (Duration, String),
    /// What took longest from start to end.
    pub(crate) longest: (Duration, String),
    /// What took the most memory, in KiB.
    pub(crate) largest: (i64, String),
    pub(crate) faults: Vec<String>,
}

/// How a call went wrong.
enum Fault {
    Panic(String),
    Hang(String),
    Leak(String),
    Other(String),
}

struct Played {
    computed: Duration,
    took: Duration,
    faults: Vec<Fault>,
}

impl Outcome {
    fn add(&mut self, call: &str, played: Played) {
        self.calls += 1;
        if played.computed > self.slowest.0 {
            self.slowest = (played.computed, call.to_owned());
        }
        if played.took > self.longest.0 {
            self.longest = (played.took, call.to_owned());
        }
        // The most of all that have ended: whoever raises it took that much.
        let memory = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        if memory > self.largest.0 {
            self.largest = (memory, call.to_owned());
        }
        for fault in played.faults {
            let (count, what) = match fault {
                Fault::Panic(what) => (Some(&mut self.panics), what),
                Fault::Hang(what) => (Some(&mut self.hangs), what),
                Fault::Leak(what) => (Some(&mut self.leaks), what),
                Fault::Other(what) => (None, what),
            };
            if let Some(count) = count {
                *count += 1;
            }
            // At once, too: a play may take minutes.
            eprintln!("{call}: {what}");
            self.faults.push(format!("{call}: {what}"));
        }
    }
}

pub(crate) fn all(world: &World, inputs: &[Input]) -> Outcome {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    programs();
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(input) = inputs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let root = tempfile::tempdir().unwrap();
                    input.write(root.path());
                    for verb in input.verbs {
                        let before = world.calls();
                        let mut played = call(world, root.path(), verb);
                        if input.calls_nobody && world.calls() != before {
                            played.faults.push(Fault::Leak("it called".to_owned()));
                        }
                        if world.was_set_off() {
                            played.faults.push(Fault::Leak("something ran".to_owned()));
                            let _ = std::fs::remove_file(world.set_off());
                        }
                        let name = format!("{} of {}", verb.join(" "), input.name);
                        outcome.lock().unwrap().add(&name, played);
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap()
}

fn call(world: &World, root: &std::path::Path, verb: &[&str]) -> Played {
    let path = std::env::join_paths(
        [programs().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("bootstrapper"));
    let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command
        .args(verb)
        .current_dir(root)
        .env("BOOTSTRAPPER_REPO", root)
        .env("PATH", path.unwrap())
        .env("HOME", world.home())
        .env("HOSTILE_PASSWORD", TREASURE)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .process_group(0);
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let is_over = || {
        let state = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT);
        !matches!(state.unwrap(), WaitStatus::StillAlive)
    };
    while !is_over() && began.elapsed() <= MOST_WAITING {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = is_over();
    if !ended {
        let _ = killpg(pid, Signal::SIGKILL);
        while !is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let took = began.elapsed();
    // It has ended, and is still there to be asked.
    let computed = processor_time(pid);
    let status = child.wait().unwrap();
    let said = format!("{}{}", read(out), read(err));
    let mut faults = Vec::new();
    if !ended || computed > MOST_COMPUTING {
        faults.push(Fault::Hang(format!(
            "it hangs: computes for {:.1} s in {:.1} s; it said: {}",
            computed.as_secs_f64(),
            took.as_secs_f64(),
            last(&said)
        )));
    }
    let is_documented = EXIT_CODES.contains(&status.code().unwrap_or(-1));
    if said.contains("panicked") || ended && (status.signal().is_some() || !is_documented) {
        faults.push(Fault::Panic(format!("{status}: {}", last(&said))));
    }
    if said.contains(TREASURE) {
        faults.push(Fault::Leak("it shows what lies outside".to_owned()));
    }
    if said.len() > MOST_OUTPUT {
        faults.push(Fault::Other(format!("it says {} bytes", said.len())));
    }
    // A return before a line's end does nothing.
    let is_obeyed =
        |one: char| one == '\u{1b}' || one == '\u{202e}' || (one.is_control() && !"\n\t".contains(one));
    if said.replace("\r\n", "\n").chars().any(is_obeyed) {
        faults.push(Fault::Other(format!("it lets control characters through: {:?}", last(&said))));
    }
    Played { computed, took, faults }
}

/// What a process that has ended computed, with all its children that were waited for (`proc(5)`: `utime`,
/// `stime`, `cutime` and `cstime`).
fn processor_time(pid: Pid) -> Duration {
    const PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / PER_SECOND)
}

fn read(mut file: std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last(text: &str) -> String {
    let from = text.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
