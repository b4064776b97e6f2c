//! Whether an object is ready. Pure functions of objects: no I/O, and the clock is a parameter.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod builtin;
pub mod cilium;
mod conditions;
mod expressions;
mod flux;
mod gateway;
mod heartbeat;
mod kstatus;
mod probe;
mod reporting;
mod rules;
mod webhooks;

pub use bootstrapper_core::verdict::{Reason, Verdict};
pub use conditions::{Condition, condition, number, text};
pub use expressions::{CustomRules, Expressions, RuleTexts};
pub use flux::has_taken_over;
pub use heartbeat::{Silence, heartbeats, silent};
pub use kstatus::{Status, status};
pub use probe::{Probe, flux_controllers, flux_runs};
pub use rules::verdict;
pub use webhooks::{WebhookService, ready_endpoints, webhook_services};
