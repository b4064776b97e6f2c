//! The requests of a repository for data on the user's machine: environment variables, files, vaults, keys,
//! kubeconfig contexts, commands. One list, approved once per repository, and again when it changes. Nothing of
//! it is read before approval.

mod approvals;
mod command;
mod personal_file;
mod request;
mod requests;
mod sources;
mod store;

pub use approvals::{Approvals, Given};
pub use command::{command_request, same_command};
pub use personal_file::{read_file, resolve, resolve_personal};
pub use request::{Request, RequestKind, digest_of, shown};
pub use requests::{command_words, context_request, keys_request, requests};
pub use sources::value_requests;
pub use store::Store;
