//! What became of all trials: for people, and for the test.

use std::fmt::Write as _;
use std::time::Duration;

use super::common;
use super::trials::Outcome;

/// The trials of one kind of bootstrap: a chapter of `docs/reliability.md`.
pub(crate) struct Table {
    chapter: &'static str,
    usual: Duration,
    rows: Vec<(String, Vec<Outcome>)>,
}

const TEXT: &str = "docs/reliability.md";

impl Table {
    /// Of bootstraps that take so long when nobody disturbs them.
    pub(crate) fn new(chapter: &'static str, usual: Duration) -> Self {
        Self { chapter, usual, rows: Vec::new() }
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

    /// Writes the rows into its chapter.
    pub(crate) fn write(&self) {
        let file = common::root().join(TEXT);
        let text = std::fs::read_to_string(&file).unwrap();
        let mut chapters: Vec<String> = text.split("\n## ").map(str::to_owned).collect();
        let own = chapters.iter_mut().find(|chapter| chapter.starts_with(self.chapter));
        let own = own.unwrap_or_else(|| panic!("{TEXT} has no chapter {:?}", self.chapter));
        let (told, _) = own.split_once("Undisturbed").unwrap_or((own, ""));
        let mut rewritten = format!(
            "{told}Undisturbed, a bootstrap took {:.1} s.

| fault | converged | end state equal | maximum runs | maximum extra time |
| --- | --- | --- | --- | --- |
",
            self.usual.as_secs_f64()
        );
        for row in &self.rows {
            let _ = writeln!(rewritten, "{}", self.line(row));
        }
        *own = rewritten;
        std::fs::write(file, chapters.join("\n## ")).unwrap();
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
