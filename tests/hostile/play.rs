//! Plays inputs, a few at a time, and says what went wrong.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::common::programs;
use crate::input::Input;
use crate::world::{TREASURE, World};

/// What takes longer hangs, on however busy a machine.
const HANGS: Duration = Duration::from_mins(1);

/// What takes longer is told: on a quiet machine it hangs, too.
const SLOW: Duration = Duration::from_secs(10);

/// Those of `docs/exit-codes.md`, without the defect's.
const EXIT_CODES: [i32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// The most that is worth reading of what an input makes the program say.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) calls: usize,
    pub(crate) slowest: (Duration, String),
    pub(crate) slow: usize,
    pub(crate) faults: Vec<String>,
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
                        let (took, fault) = call(world, root.path(), verb);
                        let mut outcome = outcome.lock().unwrap();
                        outcome.calls += 1;
                        if took > outcome.slowest.0 {
                            outcome.slowest = (took, format!("{} of {}", verb[0], input.name));
                        }
                        if took > SLOW {
                            eprintln!("{} ({}): {:.1} s", input.name, verb.join(" "), took.as_secs_f64());
                            outcome.slow += 1;
                        }
                        if let Some(fault) = fault {
                            // At once, too: a play may take minutes.
                            eprintln!("{} ({}): {fault}", input.name, verb.join(" "));
                            outcome.faults.push(format!("{} ({}): {fault}", input.name, verb.join(" ")));
                        }
                        if input.calls_nobody && world.calls() != before {
                            outcome.faults.push(format!("{} ({}): it called", input.name, verb.join(" ")));
                        }
                        if world.was_set_off() {
                            outcome.faults.push(format!(
                                "{} ({}): something ran",
                                input.name,
                                verb.join(" ")
                            ));
                            let _ = std::fs::remove_file(world.set_off());
                        }
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap()
}

fn call(world: &World, root: &std::path::Path, verb: &[&str]) -> (Duration, Option<String>) {
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
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > HANGS {
            let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    let said = format!("{}{}", read(out), read(err));
    let fault = match status {
        None => Some(format!("it hangs; it said: {}", last(&said))),
        Some(status) if status.signal().is_some() || said.contains("panicked") => {
            Some(format!("{status}: {}", last(&said)))
        }
        Some(status) if !EXIT_CODES.contains(&status.code().unwrap_or(-1)) => {
            Some(format!("{status}: {}", last(&said)))
        }
        _ if said.contains(TREASURE) => Some("it shows what lies outside".to_owned()),
        _ if said.len() > MOST_OUTPUT => Some(format!("it says {} bytes", said.len())),
        // A return before a line's end does nothing.
        _ if said.replace("\r\n", "\n").chars().any(|one| {
            one == '\u{1b}' || one == '\u{202e}' || (one.is_control() && !"\n\t".contains(one))
        }) =>
        {
            Some(format!("it lets control characters through: {:?}", last(&said)))
        }
        _ => None,
    };
    (took, fault)
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
