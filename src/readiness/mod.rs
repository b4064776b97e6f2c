//! Is an object ready? Pure functions of objects: no I/O, no clock that is not passed in.

mod builtin;
mod cilium;
mod conditions;
mod expressions;
mod flux;
mod gateway;
mod kstatus;
mod own_rules;
mod probe;
mod reporting;
mod rules;
mod verdict;

pub(crate) use conditions::{Condition, condition, number, text};
pub use expressions::{Expressions, Texts};
pub use kstatus::{Status, status};
pub use own_rules::OwnRules;
pub use probe::Probe;
pub use rules::verdict;
pub use verdict::Verdict;
