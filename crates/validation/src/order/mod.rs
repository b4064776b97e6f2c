//! The two orders of a bootstrap, as pure models.
//!
//! [`Order`] is Flux's: when it applies what a Kustomization brings, when it installs a release, and
//! when each is ready. [`Bootstrap`] is that of the task files, which ends where Flux begins. Rules
//! ask one question: is this surely there before that begins? [`Kinds`] answers it for CRDs.

mod bootstrap;
mod charts;
mod graph;
mod kinds;
mod moment;

pub(super) use bootstrap::{Bootstrap, ScheduledStep};
pub use charts::charts_known_otherwise;
pub(super) use charts::is_answered_by_a_webhook;
pub(super) use graph::{Order, Relation};
pub(super) use kinds::{Kind, Kinds, Provider};
pub(super) use moment::{Because, Moment};
