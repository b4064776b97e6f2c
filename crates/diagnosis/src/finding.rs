//! The findings of rules.

use serde::Serialize;

use bootstrapper_core::object::{Object, ObjectRef};

/// A failure code: an entry of the catalogue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Code {
    /// `BS-POD-001`. Never reused for another failure.
    pub code: &'static str,
    /// A short description.
    pub title: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// How to recognize it.
    pub tell: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

/// A fault of an object.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) code: &'static Code,
    /// The cause, in one line, which follows the object's name.
    pub(super) cause: String,
    /// The evidence.
    pub(super) evidence: Vec<String>,
    /// Advice for this case; the catalogue's advice follows it.
    pub(super) remedy: Vec<String>,
    /// It is in progress, not wrong: no action is needed.
    pub(super) transient: bool,
    /// It is wrong regardless of what the object waits for. Most findings are only consequences
    /// of that.
    pub(super) stands: bool,
    /// The object that it is about, if it is not the inspected one.
    pub(super) about: Option<String>,
}

impl Finding {
    pub(super) fn new(code: &'static Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
            evidence: Vec::new(),
            remedy: Vec::new(),
            transient: false,
            stands: false,
            about: None,
        }
    }

    pub(super) fn evidence(mut self, fact: impl Into<String>) -> Self {
        let fact = fact.into();
        if !fact.is_empty() && !self.evidence.contains(&fact) {
            self.evidence.push(fact);
        }
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }

    /// Marks it as in progress.
    pub(super) fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Marks it as independent of what the object waits for.
    pub(super) fn stands(mut self) -> Self {
        self.stands = true;
        self
    }

    pub(super) fn about(mut self, object: impl std::fmt::Display) -> Self {
        self.about = Some(object.to_string());
        self
    }
}

/// The result of inspecting one object: its own faults, and what it waits for.
#[derive(Debug, Default)]
pub(super) struct Insight {
    pub(super) findings: Vec<Finding>,
    pub(super) waits_for: Vec<ObjectRef>,
}

impl Insight {
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    pub(super) fn waits_for(objects: impl IntoIterator<Item = ObjectRef>) -> Self {
        Self { findings: Vec::new(), waits_for: objects.into_iter().collect() }
    }

    /// Also waits for these objects.
    pub(super) fn and_for<'a>(mut self, objects: impl IntoIterator<Item = &'a Object>) -> Self {
        self.waits_for.extend(objects.into_iter().map(ObjectRef::of));
        self
    }

    pub(super) fn join(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        self.waits_for.extend(other.waits_for);
        self
    }

    /// Marks its findings as independent of what the object waits for.
    pub(super) fn stands(mut self) -> Self {
        self.findings = self.findings.into_iter().map(Finding::stands).collect();
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.waits_for.is_empty()
    }

    /// This, or the other if this is empty.
    pub(super) fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_empty() { other() } else { self }
    }
}

impl From<Finding> for Insight {
    fn from(finding: Finding) -> Self {
        Self { findings: vec![finding], waits_for: Vec::new() }
    }
}

impl From<Option<Finding>> for Insight {
    fn from(finding: Option<Finding>) -> Self {
        Self { findings: finding.into_iter().collect(), waits_for: Vec::new() }
    }
}
