//! The progress of downloads: one line for every tenth.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

const MIB: u64 = 1024 * 1024;

/// How many names of downloads a line has.
const NAMES: usize = 3;

/// Receives lines for a person.
pub(super) type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The progress of all downloads.
pub(super) struct Progress<'a> {
    say: Say<'a>,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parts: Vec<Part>,
    said_tenths: u64,
}

/// A download.
struct Part {
    name: String,
    expected: u64,
    received: u64,
    is_done: bool,
}

/// The progress of one download.
pub(super) struct Meter<'a> {
    progress: &'a Progress<'a>,
    index: usize,
}

impl<'a> Progress<'a> {
    pub(super) fn new(say: Say<'a>) -> Self {
        Self { say, began: Instant::now(), state: Mutex::default() }
    }

    /// Adds a download of about that many MiB.
    pub(super) fn part(&'a self, name: impl Into<String>, about_mib: u64) -> Meter<'a> {
        let mut state = self.state();
        let expected = about_mib * MIB;
        state.parts.push(Part { name: name.into(), expected, received: 0, is_done: false });
        Meter { progress: self, index: state.parts.len() - 1 }
    }

    /// The first line.
    pub(super) fn begin(&self) {
        let state = self.state();
        let mib = state.expected() / MIB;
        (self.say)(&format!(
            "downloading programs and charts (only once): {} files and images, about {mib} MiB",
            state.parts.len()
        ));
    }

    /// Whether anything of the first `count` downloads has been received.
    pub(super) fn has_received(&self, count: usize) -> bool {
        self.state().parts.iter().take(count).any(|part| part.received > 0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let tenths = state.percent() / 10;
        if tenths > state.said_tenths {
            state.said_tenths = tenths;
            let line = state.line(self.began.elapsed().as_secs());
            drop(state);
            (self.say)(&line);
        }
    }
}

impl Meter<'_> {
    /// Its size, once a server has said so.
    pub(super) fn expects(&self, bytes: u64) {
        self.progress.update(|state| {
            let part = &mut state.parts[self.index];
            part.expected = bytes.max(part.received);
        });
    }

    /// More of it has arrived.
    pub(super) fn received(&self, bytes: u64) {
        self.progress.update(|state| {
            let part = &mut state.parts[self.index];
            part.received += bytes;
            part.expected = part.expected.max(part.received);
        });
    }

    /// What had arrived is of no use.
    pub(super) fn lost(&self, bytes: u64) {
        let mut state = self.progress.state();
        let part = &mut state.parts[self.index];
        part.received = part.received.saturating_sub(bytes);
    }

    /// It is complete.
    pub(super) fn done(&self) {
        self.progress.update(|state| {
            let part = &mut state.parts[self.index];
            part.is_done = true;
            part.expected = part.received;
        });
    }
}

impl State {
    fn expected(&self) -> u64 {
        self.parts.iter().map(|part| part.expected).sum()
    }

    fn received(&self) -> u64 {
        self.parts.iter().map(|part| part.received).sum()
    }

    /// 100 only at the end: sizes may be estimates.
    fn percent(&self) -> u64 {
        if self.parts.iter().all(|part| part.is_done) {
            return 100;
        }
        (100 * self.received() / self.expected().max(1)).min(99)
    }

    fn line(&self, seconds: u64) -> String {
        let (received, expected) = (self.received(), self.expected());
        let left = expected.saturating_sub(received);
        let seconds_left = seconds * (left / 1024) / (received / 1024).max(1);
        let time = if seconds_left > 0 { format!(", about {seconds_left} s left") } else { String::new() };
        format!(
            "  downloaded {} %: {} of {} MiB{time}{}",
            self.percent(),
            received / MIB,
            expected / MIB,
            self.missing()
        )
    }

    /// What is not complete.
    fn missing(&self) -> String {
        let names: Vec<&str> =
            self.parts.iter().filter(|part| !part.is_done).map(|part| part.name.as_str()).collect();
        match names.split_at_checked(NAMES) {
            _ if names.is_empty() => String::new(),
            Some((shown, more)) if !more.is_empty() => {
                format!("; missing: {} and {} more", shown.join(", "), more.len())
            }
            _ => format!("; missing: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_percentage_bytes_and_what_is_missing() {
        let lines = Mutex::new(Vec::new());
        let say = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let progress = Progress::new(&say);
        let parts: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| progress.part(name, 10)).into();
        progress.begin();
        assert!(!progress.has_received(5));
        parts[0].expects(10 * MIB);
        parts[0].received(3 * MIB);
        parts[0].received(7 * MIB);
        assert!(progress.has_received(1));
        parts[0].done();
        parts[1].received(20 * MIB);
        parts[1].lost(20 * MIB);
        parts[1].received(20 * MIB);
        for part in &parts[1..] {
            part.received(MIB);
            part.done();
        }
        let said = lines.lock().unwrap().clone();
        assert_eq!(said[0], "downloading programs and charts (only once): 5 files and images, about 50 MiB");
        let without_time =
            |line: &str| line.split(", about").next().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(without_time(&said[1]), "  downloaded 20 %: 10 of 50 MiB");
        assert!(said[1].ends_with("; missing: a, b, c and 2 more"), "{said:?}");
        assert_eq!(without_time(said.last().unwrap()), "  downloaded 100 %: 34 of 34 MiB");
        assert!(!said.last().unwrap().contains("missing"), "{said:?}");
    }
}
