//! What a rule finds.

use serde::Serialize;

use bootstrapper_core::object::{Object, ObjectRef};

/// A failure that is known by name: an entry of the catalogue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Code {
    /// `BS-POD-001`. Never given to another failure.
    pub code: &'static str,
    /// What is the matter, in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// How to tell that it is this.
    pub tell: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Something that is the matter with an object.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) code: &'static Code,
    /// What, in one line, to be read after the object's name.
    pub(super) cause: String,
    /// The facts that say so.
    pub(super) evidence: Vec<String>,
    /// What to do here; the catalogue's advice comes after it.
    pub(super) remedy: Vec<String>,
    /// It is slow, not wrong: nobody has to do anything.
    pub(super) passes: bool,
    /// It is wrong whatever becomes of what the object waits for. Most findings are only what follows
    /// from that.
    pub(super) stands: bool,
    /// The object that it is about, if it is not the one that was looked at.
    pub(super) about: Option<String>,
}

impl Finding {
    pub(super) fn new(code: &'static Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
            evidence: Vec::new(),
            remedy: Vec::new(),
            passes: false,
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

    /// It may pass by itself.
    pub(super) fn passes(mut self) -> Self {
        self.passes = true;
        self
    }

    /// Counts beside what is only slow.
    pub(super) fn stands(mut self) -> Self {
        self.stands = true;
        self
    }

    pub(super) fn about(mut self, object: impl std::fmt::Display) -> Self {
        self.about = Some(object.to_string());
        self
    }
}

/// What one object tells: what is the matter with it by itself, and what it waits for.
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

    /// Whose findings count beside what is only slow.
    pub(super) fn stands(mut self) -> Self {
        self.findings = self.findings.into_iter().map(Finding::stands).collect();
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.waits_for.is_empty()
    }

    /// This, or if it says nothing, the other.
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
