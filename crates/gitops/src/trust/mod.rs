//! The requests of a repository to the user's machine: environment variables, files, vaults,
//! keys, kubeconfig contexts, commands. One list, approved once per repository, and again
//! when it changes. Nothing of it is read before that.

mod agreed;
mod command;
mod personal_file;
mod request;
mod requests;
mod store;

pub use agreed::{Agreed, Given};
pub use command::{command_request, same_command};
pub use personal_file::{read_file, resolve};
pub use request::{Request, RequestKind, digest_of, shown};
pub use requests::{command_words, context_request, requests, source_request};
pub use store::Store;
