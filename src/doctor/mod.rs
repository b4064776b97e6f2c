//! Asks a cluster what `diagnosis` wants to know, and nothing more.

mod gather;
mod symptoms;

pub use gather::{Budget, Examination, explain};
pub use symptoms::{Scope, examine};
