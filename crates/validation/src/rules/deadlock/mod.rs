//! Bootstrap deadlocks: an object waits for something that is installed only after it.
//!
//! Every rule here uses the models of `order`; `docs/design/deadlock-rules.md` describes them.

pub(super) mod addresses;
pub(super) mod announcements;
pub(super) mod certificates;
pub(super) mod claims;
pub(super) mod crds;
pub(super) mod cycles;
pub(super) mod gateway;
pub(super) mod network;
pub(super) mod nodes;
pub(super) mod releases;
pub(super) mod secrets;
pub(super) mod steps;
pub(super) mod webhooks;

use serde_json::Value;

use crate::{Finding, Fleet, Rule, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::{Bootstrap, Cilium, Kinds, Order, ScheduledStep};
use bootstrapper_gitops::order::{at, is_true};

/// A cluster, with its orders of reconciliation.
struct Scene<'a> {
    fleet: &'a Fleet,
    declared: &'a Declared,
    order: Order,
    kinds: Kinds<'a>,
}

impl<'a> Scene<'a> {
    fn of(fleet: &'a Fleet, declared: &'a Declared) -> Self {
        Self { fleet, declared, order: Order::of(declared), kinds: Kinds::of(declared) }
    }

    /// The order of the bootstrap's steps.
    fn bootstrap(&self) -> Option<Bootstrap<'_>> {
        let pipeline = self.fleet.pipelines.get(&self.declared.cluster)?;
        Some(Bootstrap::of(pipeline, self.declared, &self.kinds))
    }

    /// The cluster's Cilium.
    fn cilium(&self) -> Option<Cilium<'a>> {
        known::cilium(self.declared)
    }

    /// A finding about a field of an object.
    fn finding(&self, rule: &Rule, id: &ObjectRef, field: &str, message: impl Into<String>) -> Finding {
        Finding::of(rule, message)
            .in_cluster(&self.declared.cluster)
            .about(id)
            .at(self.declared.place(id, field))
    }

    /// A finding about a step of the bootstrap; a derived step has no location.
    fn step_finding(
        &self,
        rule: &Rule,
        scheduled: &ScheduledStep<'_>,
        message: impl Into<String>,
    ) -> Finding {
        let place = (!scheduled.step.is_built_in()).then(|| scheduled.step.place().clone());
        Finding::of(rule, message).in_cluster(&self.declared.cluster).at(place)
    }
}

/// The findings of `check` in each cluster.
fn each(fleet: &Fleet, check: impl Fn(&Scene<'_>) -> Vec<Finding>) -> Vec<Finding> {
    fleet.each(|declared| check(&Scene::of(fleet, declared)))
}

/// The findings of `check` in each cluster that loaded without problems: a problem may hide an object that
/// comes first.
fn each_whole(fleet: &Fleet, check: impl Fn(&Scene<'_>) -> Vec<Finding>) -> Vec<Finding> {
    fleet.each_whole(|declared| check(&Scene::of(fleet, declared)))
}

/// Parses a number, also a quoted one.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
