//! The three answers to "is it ready?".

use serde::Serialize;

/// Whether something is ready. A reason names the object and the fact, in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "because", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Ready,
    /// It may yet become ready: these facts are still missing.
    NotYet(Vec<String>),
    /// It will not become ready without somebody's help: these facts say so.
    Never(Vec<String>),
}

impl Verdict {
    /// Not ready yet, for one reason.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self::NotYet(vec![reason.into()])
    }

    /// Never ready, for one reason.
    pub fn never(reason: impl Into<String>) -> Self {
        Self::Never(vec![reason.into()])
    }

    /// Whether it is [`Verdict::Ready`].
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// The reasons; none if ready.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Ready => &[],
            Self::NotYet(reasons) | Self::Never(reasons) => reasons,
        }
    }

    /// Puts `subject: ` before every reason.
    #[must_use]
    pub fn about(self, subject: &impl std::fmt::Display) -> Self {
        let name = |reasons: Vec<String>| reasons.into_iter().map(|r| format!("{subject}: {r}")).collect();
        match self {
            Self::Ready => Self::Ready,
            Self::NotYet(reasons) => Self::NotYet(name(reasons)),
            Self::Never(reasons) => Self::Never(name(reasons)),
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
