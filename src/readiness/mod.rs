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

pub use expressions::Expressions;
pub use flux::has_taken_over;
pub use probe::Probe;
pub use rules::verdict;
pub use verdict::Verdict;
