//! What became of all trials: for people, and for the test.

use std::fmt::Write as _;
use std::time::Duration;

use super::common;
use super::trials::{Outcome, Undisturbed};

pub(crate) struct Table {
    usual: Duration,
    rows: Vec<(String, Vec<Outcome>)>,
}

impl Table {
    pub(crate) fn new(undisturbed: &Undisturbed) -> Self {
        Self { usual: undisturbed.took, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, fault: &str, outcomes: Vec<Outcome>) {
        let row = (fault.to_owned(), outcomes);
        eprintln!("{}", self.line(&row));
        for outcome in row.1.iter().filter(|outcome| !outcome.is_well()) {
            eprintln!("  {}: {:#?}", outcome.at, outcome.differences);
        }
        self.rows.push(row);
    }

    fn line(&self, (fault, outcomes): &(String, Vec<Outcome>)) -> String {
        let all = outcomes.len();
        let converged = outcomes.iter().filter(|outcome| outcome.runs.is_some()).count();
        let equal = outcomes.iter().filter(|outcome| outcome.is_well()).count();
        let runs = outcomes.iter().filter_map(|outcome| outcome.runs).max().unwrap_or_default();
        let worst = outcomes.iter().map(|outcome| outcome.took.saturating_sub(self.usual)).max();
        let worst = worst.unwrap_or_default().as_secs_f64();
        format!("| {fault} | {converged}/{all} | {equal}/{all} | {runs} | {worst:.1} s |")
    }

    /// Writes `docs/reliability.md`.
    pub(crate) fn write(&self) {
        let mut text = format!(
            "# Reliability

A small repository (namespace, Secret, CRD, objects of four kinds, a Helm release) is bootstrapped on a real control plane, through a
proxy that does what the table says. A run that fails is run again, up to five times in all. The end state is equal if every object, its
owners and its fields are those of a bootstrap that nobody disturbed, the release stands as it does there, no revision is there twice or
pending, no run that lives holds the lock, no process is left, and one more run writes nothing.

`RELIABILITY=all cargo test --test reliability -- --nocapture` plays all of it and writes this table; a sample is part of the suite.
Undisturbed, a bootstrap took {:.1} s.

| fault | converged | end state equal | runs, at most | worst extra time |
| --- | --- | --- | --- | --- |
",
            self.usual.as_secs_f64()
        );
        for row in &self.rows {
            let _ = writeln!(text, "{}", self.line(row));
        }
        std::fs::write(common::root().join("docs/reliability.md"), text).unwrap();
    }

    pub(crate) fn require_all(&self) {
        let ill = self.rows.iter().flat_map(|(_, outcomes)| outcomes).filter(|outcome| !outcome.is_well());
        assert_eq!(ill.count(), 0, "told above");
    }
}

impl Outcome {
    pub(crate) fn is_well(&self) -> bool {
        self.runs.is_some() && self.differences.is_empty()
    }
}
