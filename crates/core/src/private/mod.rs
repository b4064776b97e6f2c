//! Folders and files that only their owner can open: the only module that creates temporary ones.
//!
//! Every folder has mode 0700 and every file 0600 from creation, whatever the umask. The processes that use a
//! temporary folder lock it (`flock`), and the last of them deletes it; folders of killed processes are
//! recognized by their free lock, and deleted by the guard or the next run. See
//! `docs/design/private-folders.md`.

mod exposure;
mod file;
mod folder;
mod lease;
mod place;

pub use file::{anonymous, replace};
pub use folder::{Folder, remove_all, run_folders};
pub use lease::Lease;
pub use place::{nest_in, secure};

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Other users get no permissions on files that this process or its children create, and core dumps are
/// disabled.
pub fn restrict() {
    umask(Mode::RWXG | Mode::RWXO);
    // Lowering a limit needs no privilege.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
