//! The one error type: what failed, on which object, why, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::words::one_line;

/// What kind of trouble a [`Failure`] is. Decides the exit code, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A step could not be done, or never will be ready.
    Step,
    /// The command line, a task file or the GitOps repository says something impossible.
    Input,
    /// A check before the first write found something wrong.
    Preflight,
    /// The cluster cannot be reached, or refuses the credentials.
    Connection,
    /// The cluster that answers is not the one that was named.
    WrongCluster,
    /// A deadline passed while something was still not ready.
    Deadline,
    /// Another run holds the cluster.
    Locked,
    /// The repository asks for something of this machine that nobody has agreed to.
    NotAgreed,
    /// A person stopped the run.
    Cancelled,
    /// A defect of this program.
    Internal,
}

impl FailureKind {
    /// The documented exit code (`docs/exit-codes.md`). 2 is the command line's own (clap).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Step => 1,
            Self::Input => 3,
            Self::Preflight => 4,
            Self::Connection => 5,
            Self::WrongCluster => 6,
            Self::Deadline => 7,
            Self::Locked => 8,
            Self::NotAgreed => 9,
            Self::Internal => 70,
            Self::Cancelled => 130,
        }
    }
}

/// Whether trying the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// It will fail the same way.
    #[default]
    Useless,
    /// It may pass, after the usual backoff.
    MayHelp,
    /// The server named the time to wait (`Retry-After`).
    After(Duration),
}

/// A place in a file, for a person to open. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file, relative to the repository where that is possible.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        write!(f, "{}:{}:{}", one_line(&file), self.line, self.column)
    }
}

/// Why something did not work, told to the person who has to mend it.
///
/// Never put a secret's value into any of its texts: they reach terminals, logs and the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// What kind of trouble it is.
    pub kind: FailureKind,
    /// What failed, on which object: one lower-case sentence without a full stop.
    pub what: String,
    /// Why, from the nearest cause to the deepest.
    pub because: Vec<String>,
    /// What a person can do, most promising first.
    pub hints: Vec<String>,
    /// Where the cause was declared.
    pub location: Option<Location>,
    /// Whether trying again can help.
    #[serde(skip)]
    pub retry: Retry,
}

/// The result of anything that can fail.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of `kind`; add causes, hints and a location with the methods below.
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

    /// A step that could not be done.
    pub fn step(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Step, what)
    }

    /// Something impossible on the command line, in a task file or in the repository.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Input, what)
    }

    /// A defect of this program.
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

    /// Adds an error and all the causes beneath it, each once.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| error.source());
        // Many libraries print their source as part of themselves.
        let quoting: Vec<(String, String)> =
            chain().filter_map(|error| Some((error.to_string(), without_quotes(error)?))).collect();
        for error in chain() {
            let text = quoting
                .iter()
                .fold(error.to_string(), |text, (quoting, plain)| text.replace(quoting.as_str(), plain));
            // Many libraries print their source as part of themselves: say each thing once.
            if !self.because.iter().any(|said| said.contains(&text)) {
                self.because.push(text);
            }
        }
        self
    }

    /// The first of several, which names the others too; none if there is none.
    pub fn first_of(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let first = failures.next()?;
        Some(failures.fold(first, |first, other| {
            let place = other.location.map(|at| format!("{at}: ")).unwrap_or_default();
            first.hint(format!("also: {place}{}", other.what))
        }))
    }

    /// Adds something that a person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says where the cause was declared.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Says whether trying again can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Display for Failure {
    /// One line: what, then the causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for cause in &self.because {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// What an error says without what it quotes, if it quotes what may be secret: a reader of YAML shows the
/// lines around a mistake.
fn without_quotes(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let yaml = error
        .downcast_ref::<serde_saphyr::Error>()
        .or_else(|| error.downcast_ref::<Box<serde_saphyr::Error>>().map(AsRef::as_ref));
    yaml.map(place_of)
}

/// Where a reader of YAML stopped, without what is written there.
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
