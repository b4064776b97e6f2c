//! Why something is not ready.

use serde::Serialize;

use crate::failure::Location;
use crate::object::ObjectRef;

/// The root cause of something that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// A stable code, `BS-CIL-003`; none where no rule matched.
    pub code: Option<String>,
    /// One line: the object, and its problem.
    pub cause: String,
    /// The evidence.
    pub evidence: Vec<String>,
    /// The path from the symptom to the cause's object, if they differ.
    pub chain: Vec<String>,
    /// The objects that it blocks.
    pub blocks: Vec<String>,
    /// Objects that may declare the cause's object, the nearest first.
    #[serde(skip)]
    pub origins: Vec<ObjectRef>,
    /// Where it is declared in the repository, if that is known.
    pub declared_in: Option<Location>,
    /// How to fix it.
    pub remedy: Vec<String>,
    /// Slow, not wrong: it may resolve by itself.
    pub transient: bool,
}

impl Cause {
    /// Whether it is the same cause, although its text may contain another duration or count.
    pub fn is_same(&self, before: &Self) -> bool {
        let identity = |cause: &Self| {
            (cause.code.clone(), cause.chain.clone(), cause.origins.first().cloned(), cause.transient)
        };
        identity(self) == identity(before)
    }
}

/// Whether both lists have the same causes.
pub fn are_same(causes: &[Cause], before: &[Cause]) -> bool {
    causes.len() == before.len() && causes.iter().zip(before).all(|(cause, before)| cause.is_same(before))
}
