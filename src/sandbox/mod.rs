//! A throwaway cluster on this machine: a real control plane, simulated nodes, and the part of the
//! internet that a bootstrap reaches for. `docs/design/sandbox.md` says what is real and what
//! stands in.

mod certificates;
mod control_plane;
mod lifecycle;
mod nodes;
mod options;
mod process;
mod programs;
mod state;
mod supervisor;
mod upstream;

pub use lifecycle::{down, programs, up};
pub use options::{GitSpec, SandboxOptions};
pub use state::{Listed, Sandbox, State, list, load};
pub use supervisor::serve;
