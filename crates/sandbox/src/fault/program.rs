//! Faults of a node's agent.

use rustix::process::Signal;

use crate::process::{in_namespace_of, signal};
use crate::state::Sandbox;
use bootstrapper_core::failure::{Failure, Result};

const AGENT: &str = "cilium-agent";

pub(super) fn kill_agent(sandbox: &Sandbox, machine: &str) -> Result<()> {
    signal_agent(sandbox, machine, Signal::KILL)
}

pub(super) fn stop_agent(sandbox: &Sandbox, machine: &str) -> Result<()> {
    signal_agent(sandbox, machine, Signal::STOP)
}

/// An agent that is being restarted need not be resumed.
pub(super) fn wake_agent(sandbox: &Sandbox, machine: &str) {
    let _ = signal_agent(sandbox, machine, Signal::CONT);
}

fn signal_agent(sandbox: &Sandbox, machine: &str, what: Signal) -> Result<()> {
    let holder = sandbox.machines.get(machine).copied().unwrap_or_default();
    let found: Vec<i32> = in_namespace_of(holder, AGENT).collect();
    if found.is_empty() {
        return Err(Failure::step(format!("{AGENT} is not running on {machine}")));
    }
    for pid in found {
        signal(pid, what);
    }
    Ok(())
}
