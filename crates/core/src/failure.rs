//! The one error type: what failed, on which object, why, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::words::one_line;

/// The kind of a [`Failure`]. Determines only the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A step failed, or can never become ready.
    Step,
    /// The command line, a task file or the GitOps repository is invalid.
    Input,
    /// A preflight check failed before the first write.
    Preflight,
    /// The cluster is unreachable, or rejects the credentials.
    Connection,
    /// The cluster is not the named one.
    WrongCluster,
    /// Timed out: something was still not ready.
    Deadline,
    /// Another run holds the lock.
    Locked,
    /// The repository requests something from this machine that is not approved.
    NotApproved,
    /// Interrupted by the user.
    Cancelled,
    /// A bug in this program.
    Internal,
}

impl FailureKind {
    /// The documented exit code (`docs/exit-codes.md`). clap uses 2 for an invalid command line.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Step => 1,
            Self::Input => 3,
            Self::Preflight => 4,
            Self::Connection => 5,
            Self::WrongCluster => 6,
            Self::Deadline => 7,
            Self::Locked => 8,
            Self::NotApproved => 9,
            Self::Internal => 70,
            Self::Cancelled => 130,
        }
    }
}

/// Whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// It would fail in the same way.
    #[default]
    Useless,
    /// It may succeed, after the usual backoff.
    MayHelp,
    /// The server requested a delay (`Retry-After`).
    After(Duration),
}

/// A location in a file. Lines and columns start at 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file, relative to the repository if possible.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        write!(f, "{}:{}:{}", one_line(&file), self.line, self.column)
    }
}

/// An error, for the person who has to fix it.
///
/// Never put a secret value into any of its texts: they are printed, logged and stored in the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The kind of error.
    pub kind: FailureKind,
    /// What failed, on which object: one lower-case phrase without a full stop.
    pub what: String,
    /// The causes, the nearest first.
    pub because: Vec<String>,
    /// Hints, the most promising first.
    pub hints: Vec<String>,
    /// The location of the cause.
    pub location: Option<Location>,
    /// Whether a retry can help.
    #[serde(skip)]
    pub retry: Retry,
}

/// The result of any fallible operation.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Creates a failure of `kind`; add causes, hints and a location with the methods below.
    pub fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            because: Vec::new(),
            hints: Vec::new(),
            location: None,
            retry: Retry::Useless,
        }
    }

    /// A failed step.
    pub fn step(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Step, what)
    }

    /// An invalid command line, task file or repository.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Input, what)
    }

    /// A bug in this program.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, what)
            .hint("this is a bug in bootstrapper: please report it with this text")
    }

    /// Adds the next deeper cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.because.push(cause.to_string());
        self
    }

    /// Adds an error and all of its sources, each once.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| error.source());
        // Many libraries include the source in their own message.
        let quoting: Vec<(String, String)> =
            chain().filter_map(|error| Some((error.to_string(), without_quotes(error)?))).collect();
        for error in chain() {
            let text = quoting
                .iter()
                .fold(error.to_string(), |text, (quoting, plain)| text.replace(quoting.as_str(), plain));
            // Do not repeat a source that the message already contains.
            if !self.because.iter().any(|said| said.contains(&text)) {
                self.because.push(text);
            }
        }
        self
    }

    /// The first of several failures, with the others as hints; none if the list is empty.
    pub fn first_of(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let first = failures.next()?;
        Some(failures.fold(first, |first, other| {
            let place = other.location.map(|at| format!("{at}: ")).unwrap_or_default();
            first.hint(format!("also: {place}{}", other.what))
        }))
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the location.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Sets whether a retry can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Display for Failure {
    /// One line: what failed, then the causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for cause in &self.because {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The message of an error without quoted input that may be secret: YAML parsers show the lines around a
/// mistake.
fn without_quotes(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let yaml = error
        .downcast_ref::<serde_saphyr::Error>()
        .or_else(|| error.downcast_ref::<Box<serde_saphyr::Error>>().map(AsRef::as_ref));
    yaml.map(place_of)
}

/// The location of a YAML error, without the quoted content.
fn place_of(error: &serde_saphyr::Error) -> String {
    match error.location() {
        Some(place) => format!("invalid YAML at line {}, column {}", place.line(), place.column()),
        None => "invalid YAML".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_repeats_its_source_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("connect: {source}")]
        struct Outer {
            source: std::io::Error,
        }
        let error = Outer { source: std::io::Error::other("refused") };
        let failure = Failure::step("apply failed").caused_by(&error);
        assert_eq!(failure.to_string(), "apply failed: connect: refused");
    }
}
