//! A new cluster: a copy of an existing one's folder with its own settings. Pure: takes the existing
//! clusters, returns values, problems and files.

mod check;
mod copy;
mod free;
mod peers;
mod propose;

pub use check::{Subject, name_problem, problems};
pub use copy::{Copied, NewFile, copy_file, copy_of_config};
pub use peers::entries_for;
pub use propose::{Proposed, Value, propose};
