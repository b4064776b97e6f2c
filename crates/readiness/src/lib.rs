//! Is an object ready? Pure functions of objects: no I/O, no clock that is not passed in.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod builtin;
mod cilium;
mod conditions;
mod expressions;
mod flux;
mod gateway;
mod heartbeat;
mod kstatus;
mod lag;
mod own_rules;
mod policies;
mod probe;
mod reporting;
mod rules;
mod webhooks;

pub use bootstrapper_core::verdict::{Reason, Verdict};
pub use conditions::{Condition, condition, number, text};
pub use expressions::{Expressions, Texts};
pub use flux::has_taken_over;
pub use heartbeat::{Silence, heartbeats, silent};
pub use kstatus::{Status, status};
pub use lag::{PEERS_OF_AGENT, as_agent_tells, sessions_down};
pub use own_rules::OwnRules;
pub use policies::{nodes_with_policy, sessions};
pub use probe::Probe;
pub use rules::verdict;
pub use webhooks::{Called, called_by, ready_endpoints};
