//! Is an object ready? Pure functions of objects: no I/O, no clock that is not passed in.

mod builtin;
mod cilium;
mod conditions;
mod expressions;
mod flux;
mod gateway;
mod probe;
mod rules;
mod verdict;

pub(crate) use conditions::{condition, number, text};
pub use expressions::Expressions;
pub use probe::Probe;
pub use rules::verdict;
pub use verdict::Verdict;
