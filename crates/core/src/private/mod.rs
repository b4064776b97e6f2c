//! Folders and files that only their owner can open: the one place that makes temporary ones.
//!
//! Every folder is 0700 and every file 0600 from creation, whatever the umask. A temporary folder is
//! locked (`flock`) by the processes that use it, and removed by the last of them; what a killed
//! process left is recognized by its free lock, and removed by its guard or the next run. See
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

/// Others get no right to anything that this process or its children create, and neither leaves its
/// memory on disk when it crashes.
pub fn restrict() {
    umask(Mode::RWXG | Mode::RWXO);
    // Lowering a limit needs no right.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
