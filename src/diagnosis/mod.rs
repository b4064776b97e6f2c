//! From evidence to the root cause. Pure: what was gathered in, one cause out.

mod evidence;
mod flux;
mod pods;
mod services;

pub use evidence::Evidence;

use crate::engine::Cause;

/// The deepest cause that the evidence supports: a rule that knows more comes first.
pub fn explain(evidence: &Evidence) -> Option<Cause> {
    pods::explain(evidence)
        .or_else(|| flux::explain(evidence))
        .or_else(|| services::explain(evidence))
        .or_else(|| evidence.last_warning())
}
