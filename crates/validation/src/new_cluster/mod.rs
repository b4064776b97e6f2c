//! A further cluster: the folder of one that is there, with settings of its own. Pure: what is there
//! goes in, values, problems and files come out.

mod check;
mod copy;
mod free;
mod peers;
mod propose;

pub use check::{Subject, name_problem, problems};
pub use copy::{Copied, NewFile, copy_file, copy_of_config};
pub use peers::entries_for;
pub use propose::{Proposed, Value, propose};
