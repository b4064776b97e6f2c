//! The two orders of a bootstrap, as pure models.
//!
//! [`Order`] is Flux's: when it applies the objects of a Kustomization, when it installs a release, and when
//! each is ready. [`Bootstrap`] is that of the task files, which ends where Flux starts. Rules ask one
//! question: is this guaranteed to exist before that starts? [`Kinds`] answers it for CRDs.

mod addresses;
mod bootstrap;
mod charts;
mod graph;
mod kinds;
mod moment;
mod names;
mod needs;
mod plugin;
mod value;

pub use addresses::is_known_to_provide;
pub use bootstrap::{Bootstrap, ScheduledStep};
pub use charts::{
    DNS, FLUX_INSTANCE, FLUX_ITSELF, FLUX_OPERATOR, NETWORK_PLUGINS, charts_known_otherwise, has_webhook_for,
    is_before_flux,
};
pub use graph::{Order, Relation};
pub use kinds::{Kind, Kinds, Provider};
pub use moment::{LinkKind, Moment};
pub use names::names_data;
pub use needs::needs;
pub use plugin::{Cilium, encrypts_with_ipsec, network_plugin};
pub use value::{at, is_true};
