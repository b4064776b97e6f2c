//! What a repository needs that never saw this program: contexts, Secrets that nobody makes, and what its present
//! bootstrap does. Pure: declarations and files go in, `bootstrapper.yaml` and a table come out.

mod contexts;
mod cover;
mod homes;
mod mise;
mod scripts;
mod secrets;
mod write;

pub use contexts::{Context, context_of};
pub use cover::{Cover, Row, rows};
pub use homes::{Home, KnownFile, home_of};
pub use mise::is_mise;
pub use scripts::{Command, commands};
pub use secrets::{NeededSecret, needed_secrets};
pub use write::{ClusterProposal, config_text};
