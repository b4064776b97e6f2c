//! One run of the program, and what it tells while it runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::common;

/// A run that goes on.
pub(crate) struct Run {
    child: Child,
    began: Instant,
    events: UnboundedReceiver<Value>,
    /// What failed last, by its own word.
    failure: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none if it was killed.
    pub(crate) code: Option<i32>,
    /// How long it took.
    pub(crate) took: Duration,
    /// What failed last.
    pub(crate) failure: String,
}

/// Marks the processes of a trial.
const MARK: &str = "BOOTSTRAPPER_TRIAL";

/// The program in a trial; what it says to people goes into a file.
pub(crate) fn program(trial: &str, state: &Path, said: &Path) -> Command {
    let usual = std::env::var_os("PATH").unwrap();
    let path = [common::programs().to_owned()].into_iter().chain(std::env::split_paths(&usual));
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrapper"));
    command
        .args(["--progress", "json"])
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("BOOTSTRAPPER_STATE_DIR", state)
        .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
        .env("BOOTSTRAPPER_TRUST", "1")
        .env(MARK, trial)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(said).unwrap());
    command
}

/// The processes of a trial's runs that are there: id and program.
pub(crate) fn processes_of(trial: &str) -> Vec<(u32, String)> {
    let mark = format!("{MARK}={trial}");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let marked = |process: std::fs::DirEntry| {
        let read = |file| std::fs::read(process.path().join(file)).ok();
        let environment = read("environ")?;
        let has_mark = environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes());
        let id = process.file_name().to_string_lossy().parse().ok()?;
        let program = String::from_utf8_lossy(&read("comm")?).trim().to_owned();
        has_mark.then_some((id, program))
    };
    processes.filter_map(marked).collect()
}

/// Returns once no process of a trial is left.
pub(crate) async fn none_is_left_of(trial: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    let gone = async {
        while !processes_of(trial).is_empty() {
            looks.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), gone).await;
    assert!(waited.is_ok(), "{trial}: processes outlive their run: {:?}", processes_of(trial));
}

impl Run {
    /// Starts a [`program`].
    pub(crate) fn start(mut program: Command) -> Self {
        let mut child = program.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        Self { child, began: Instant::now(), events, failure: String::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it tells next; none once it is over.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let event = self.events.recv().await?;
        if !event["failure"].is_null() {
            self.failure = format!("{}: {}", event["step"], event["failure"]);
        }
        Some(event)
    }

    /// Returns as soon as an event is so; whether one was.
    pub(crate) async fn comes_to(&mut self, is_so: impl Fn(&Value) -> bool) -> bool {
        while let Some(event) = self.next().await {
            if is_so(&event) {
                return true;
            }
        }
        false
    }

    /// Runs to the end; what is stuck is killed, and has no exit code.
    pub(crate) async fn ends(mut self, timeout: Duration) -> Ended {
        let told = tokio::time::timeout(timeout, self.comes_to(|_| false)).await;
        if told.is_err() {
            self.child.kill().unwrap();
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, took: self.began.elapsed(), failure: self.failure }
    }
}

/// Kills a process at once.
pub(crate) fn kill(id: u32) {
    let _ = Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status();
}
