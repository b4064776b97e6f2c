//! What a repository needs before its first use of this program: contexts, Secrets without a provider, and
//! replacements for its existing bootstrap. Pure: takes declarations and files, returns `bootstrapper.yaml` and
//! a table.

mod contexts;
mod cover;
mod mise;
mod probable_source;
mod scripts;
mod secrets;
mod write;

pub use contexts::{Context, context_of};
pub use cover::{Cover, Row, rows};
pub use mise::is_mise;
pub use probable_source::{KnownFile, ProbableSource, probable_source};
pub use scripts::{Command, commands};
pub use secrets::{NeededSecret, needed_secrets};
pub use write::{ClusterProposal, config_text};
