//! The three answers to "is it ready?", and the facts behind them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::object::{Object, ObjectRef};

/// Whether something is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "because", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Ready,
    /// It may yet become ready: these facts are still missing.
    NotYet(Vec<Reason>),
    /// It cannot become ready unless somebody changes something: these facts say so.
    Never(Vec<Reason>),
}

/// One fact that keeps something from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Reason {
    /// The object that the fact is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The condition or field of the object that states it: `Ready`, `status.phase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The fact, in a few words, without the object's name.
    pub text: String,
}

/// How many of several things are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Progress {
    /// How many are ready.
    pub ready: usize,
    /// How many there are.
    pub total: usize,
}

/// What one look at the cluster says of a step: the verdict, and everything that follows from the same
/// look. It travels whole: to the screen, and to the diagnosis.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether it is ready.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How far it is, if it is made of several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a person should know although it is ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Whether `act` has something to do again: the wait ends, and the step is observed anew.
    #[serde(skip)]
    pub due: bool,
    /// The objects that the verdict was made from.
    #[serde(skip)]
    pub observed: Vec<Arc<Object>>,
}

impl Reason {
    /// A fact that is stated by a condition or field.
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

    /// The same, about `object`. Reasons that name an object already keep it.
    #[must_use]
    pub fn of(self, object: &ObjectRef) -> Self {
        self.map(|reason| Reason { object: reason.object.or_else(|| Some(object.clone())), ..reason })
    }

    /// Puts `part: ` before every fact: a part of the object that it is about.
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

    /// Both must be ready. Never outweighs not yet; reasons of the weightier verdict are kept,
    /// those of equals are joined.
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
    /// All must be ready; nothing at all is ready.
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        verdicts.into_iter().fold(Self::Ready, Self::and)
    }
}

impl Readiness {
    /// Ready, and nothing more to say.
    pub fn ready() -> Self {
        Verdict::Ready.into()
    }
}

impl From<Verdict> for Readiness {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, progress: None, remarks: Vec::new(), due: false, observed: Vec::new() }
    }
}
