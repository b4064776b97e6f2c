//! Executes the queries of `diagnosis`.

mod case;
mod gather;
mod requests;
mod symptoms;

pub use case::Case;
pub use gather::{Budget, Examination};
pub use symptoms::{Scope, examine};
