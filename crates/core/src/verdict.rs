//! Readiness: three possible verdicts, and the reasons for them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::object::{Object, ObjectRef};

/// Whether something is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "because", rename_all = "kebab-case")]
pub enum Verdict {
    /// Ready.
    Ready,
    /// Not ready yet, for these reasons.
    NotYet(Vec<Reason>),
    /// It can never become ready without a change, for these reasons.
    Never(Vec<Reason>),
}

/// One reason why something is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Reason {
    /// The object that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The condition or field of the object: `Ready`, `status.phase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The reason in a few words, without the object's name.
    pub text: String,
}

/// How many of several things are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Progress {
    /// How many are ready.
    pub ready: usize,
    /// How many there are in total.
    pub total: usize,
}

/// The readiness of a step from one observation: the verdict, and everything derived from the same
/// observation. The report and the diagnosis both use it.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether it is ready.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The progress, if it has several parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Remarks that are worth showing although it is ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Whether `act` has something to do again: the wait ends, and the step is observed again.
    #[serde(skip)]
    pub due: bool,
    /// The objects that the verdict is based on.
    #[serde(skip)]
    pub observed: Vec<Arc<Object>>,
}

impl Reason {
    /// A reason from a condition or field.
    pub fn in_field(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { object: None, field: Some(field.into()), text: text.into() }
    }
}

impl<T: Into<String>> From<T> for Reason {
    fn from(text: T) -> Self {
        Self { object: None, field: None, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ready", self.ready, self.total)
    }
}

impl Verdict {
    /// Not ready yet, for one reason.
    pub fn not_yet(reason: impl Into<Reason>) -> Self {
        Self::NotYet(vec![reason.into()])
    }

    /// Never ready, for one reason.
    pub fn never(reason: impl Into<Reason>) -> Self {
        Self::Never(vec![reason.into()])
    }

    /// Whether it is [`Verdict::Ready`].
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// The reasons; none if ready.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Ready => &[],
            Self::NotYet(reasons) | Self::Never(reasons) => reasons,
        }
    }

    /// The reasons, each as one text.
    pub fn texts(&self) -> Vec<String> {
        self.reasons().iter().map(Reason::to_string).collect()
    }

    /// The same, about `object`. Reasons that already have an object keep it.
    #[must_use]
    pub fn of(self, object: &ObjectRef) -> Self {
        self.map(|reason| Reason { object: reason.object.or_else(|| Some(object.clone())), ..reason })
    }

    /// Prefixes every reason with `part: `: a part of its object.
    #[must_use]
    pub fn about(self, part: &impl fmt::Display) -> Self {
        self.map(|reason| Reason { text: format!("{part}: {}", reason.text), ..reason })
    }

    fn map(self, change: impl Fn(Reason) -> Reason) -> Self {
        match self {
            Self::Ready => Self::Ready,
            Self::NotYet(reasons) => Self::NotYet(reasons.into_iter().map(change).collect()),
            Self::Never(reasons) => Self::Never(reasons.into_iter().map(change).collect()),
        }
    }

    /// Both must be ready. Never overrides not yet; keeps the reasons of the more severe verdict, and joins
    /// those of equal ones.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never(mut a), Self::Never(b)) => {
                a.extend(b);
                Self::Never(a)
            }
            (never @ Self::Never(_), _) | (_, never @ Self::Never(_)) => never,
            (Self::NotYet(mut a), Self::NotYet(b)) => {
                a.extend(b);
                Self::NotYet(a)
            }
            (not_yet @ Self::NotYet(_), _) | (_, not_yet @ Self::NotYet(_)) => not_yet,
            (Self::Ready, Self::Ready) => Self::Ready,
        }
    }
}

impl FromIterator<Verdict> for Verdict {
    /// All must be ready; an empty set is ready.
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        verdicts.into_iter().fold(Self::Ready, Self::and)
    }
}

impl Readiness {
    /// Ready, without remarks.
    pub fn ready() -> Self {
        Verdict::Ready.into()
    }
}

impl From<Verdict> for Readiness {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, progress: None, remarks: Vec::new(), due: false, observed: Vec::new() }
    }
}
