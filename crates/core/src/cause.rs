//! Why something is not ready.

use serde::Serialize;

use crate::failure::Location;
use crate::object::ObjectRef;

/// The root cause of something that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// A stable code, `BS-CIL-003`; none where no rule matched.
    pub code: Option<String>,
    /// One line: which object, and what is the matter with it.
    pub cause: String,
    /// The facts that say so.
    pub evidence: Vec<String>,
    /// From what is waited for to the object of the cause, if they are not the same.
    pub chain: Vec<String>,
    /// What waits for it.
    pub blocks: Vec<String>,
    /// By what the object of the cause may be declared, the nearest first.
    #[serde(skip)]
    pub origins: Vec<ObjectRef>,
    /// Where it is declared in the repository, as far as that is at hand.
    pub declared_in: Option<Location>,
    /// What to do.
    pub remedy: Vec<String>,
    /// It is slow, not wrong: it may pass by itself.
    pub passes: bool,
}

impl Cause {
    /// Whether it is the same, though it may be told in other words by now: for how long, how often.
    pub fn is_still(&self, before: &Self) -> bool {
        let identity = |cause: &Self| {
            (cause.code.clone(), cause.chain.clone(), cause.origins.first().cloned(), cause.passes)
        };
        identity(self) == identity(before)
    }
}

/// Whether causes are those of before.
pub fn are_still(causes: &[Cause], before: &[Cause]) -> bool {
    causes.len() == before.len() && causes.iter().zip(before).all(|(cause, before)| cause.is_still(before))
}
