//! What the programs that a run starts are given.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::needles::AGE;

/// What each program that gets markers in its environment needs. A program of the person's own gets what
/// theirs do.
pub(super) const NEEDED: [(&str, &[&str]); 5] = [
    ("sops", &[AGE, "cloud"]),
    ("op", &["op session"]),
    ("own", &["op session", "cloud"]),
    ("plugin", &["op session", "cloud"]),
    ("plugin.sh", &["op session", "cloud"]),
];

/// A program that others stand behind: it notes what it and its guard were given, lets another user look, and
/// goes on as itself.
pub(super) fn noting(name: &str, root: &Path, goes_on: &str) -> String {
    format!(
        "note={root}/noted/{name}-$$
for process in $$ $PPID; do
  echo process; tr '\\0' '\\n' < /proc/$process/cmdline
  echo environment; tr '\\0' '\\n' < /proc/$process/environ
done > $note.new 2> /dev/null
mv $note.new $note
was=$(cat {root}/passes 2> /dev/null || echo 0)
until [ ! -e {root}/watched ] || [ \"$(cat {root}/passes)\" -ge $((was + 2)) ]; do :; done
{goes_on}
",
        root = root.display()
    )
}

/// A process that a run started, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) words: String,
    pub(super) environment: String,
}

impl Process {
    /// What it is called here: a guard, and a shell that stands before a program, are that program.
    pub(super) fn name(&self) -> &str {
        if self.environment.lines().any(|line| line.starts_with("BOOTSTRAPPER_CLUSTER=")) {
            return "own";
        }
        let known = ["plugin.sh", "sops", "op", "helm", "kustomize", "git"];
        let words = || self.words.lines().map(|word| word.rsplit('/').next().unwrap_or_default());
        known.into_iter().find(|name| words().any(|word| word == *name)).unwrap_or("another program")
    }

    /// One of the programs by which a stand-in takes note, or a process that has ended meanwhile.
    pub(super) fn is_the_tests(&self) -> bool {
        let program = self.words.lines().next().unwrap_or_default().rsplit('/').next();
        program.is_none_or(|name| matches!(name, "" | "cat" | "mv" | "tr"))
    }

    /// The run itself has what the test gave it.
    pub(super) fn is_the_run(&self) -> bool {
        let mut words = self.words.lines().skip_while(|word| !word.ends_with("/bootstrapper"));
        words.next().is_some() && !matches!(words.next(), Some("guard" | "post-render"))
    }
}

/// Finds the processes of a trial, all the time.
pub(super) struct Poll {
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<BTreeSet<Process>>>,
}

/// Marks the processes of this test.
pub(super) const TRIAL: &str = "BOOTSTRAPPER_TRIAL";

impl Poll {
    pub(super) fn start(trial: &str) -> Self {
        let ends = Arc::<AtomicBool>::default();
        let (end, mark) = (Arc::clone(&ends), format!("{TRIAL}={trial}"));
        let looks = move || {
            let mut seen = BTreeSet::new();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let mut next = runtime.block_on(async { tokio::time::interval(Duration::from_millis(20)) });
            while !end.load(Ordering::SeqCst) {
                seen.extend(processes(&mark).into_iter().filter(|one| !one.is_the_run()));
                runtime.block_on(next.tick());
            }
            seen
        };
        Self { ends, thread: Some(std::thread::spawn(looks)) }
    }

    pub(super) fn end(mut self) -> BTreeSet<Process> {
        self.ends.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

pub(super) fn processes(mark: &str) -> Vec<Process> {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let marked = |process: fs::DirEntry| {
        let read = |file| {
            let bytes = fs::read(process.path().join(file)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', "\n"))
        };
        // What becomes another program just now shows the environment of the one and the words of the other, or
        // half of them: it is what it is if its words are the same before and after, and whole.
        let words = || read("cmdline").filter(|words| words.ends_with('\n'));
        let before = words()?;
        let environment = read("environ")?;
        environment.lines().any(|line| line == mark).then_some(())?;
        let is_the_same = words()? == before;
        is_the_same.then_some(Process { words: before, environment })
    };
    all.filter_map(marked).collect()
}
