//! Asks a cluster what `diagnosis` wants to know, and nothing more.

mod case;
mod gather;
mod requests;
mod symptoms;

pub use case::Case;
pub use gather::{Budget, Examination};
pub use symptoms::{Scope, examine};
