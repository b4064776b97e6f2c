//! A throwaway cluster on this machine: a real control plane, simulated nodes, and a mirror of the part of the
//! internet that a bootstrap needs. `docs/design/sandbox.md` describes what is real and what is simulated.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod agnhost;
mod certificates;
mod control_plane;
mod fault;
mod kubelet;
mod lifecycle;
mod network;
mod networked;
mod nodes;
mod options;
mod ports;
mod process;
mod program;
mod programs;
mod router_spec;
mod site;
mod sources;
mod state;
mod supervisor;
mod upstream;
mod vault;

pub use fault::{Fault, heal, inject_fault};
pub use lifecycle::{collect, down, programs, refresh, up};
pub use network::{Missing, missing};
pub use options::{ArtifactSpec, GitSpec, SandboxOptions, SourceSpec};
pub use program::{is_called_by_name, main};
pub use programs::{FoundPrograms, ListedProgram, ProgramOrigin, ProgramSources};
pub use router_spec::{RouterProgram, RouterSpec};
pub use state::{Listed, Sandbox, State, list, load};
