//! What a Flux object reports about its last reconciliation. Pure.

use jiff::Timestamp;

use bootstrapper_cluster::REQUESTED_AT;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text, verdict};

/// The reason while dependencies are not ready.
pub(super) const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";

/// A parsed Flux object.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a>(pub(super) &'a Object);

impl<'a> Facts<'a> {
    /// Whether it is suspended.
    pub(super) fn is_suspended(self) -> bool {
        self.0.data["spec"]["suspend"] == true || self.0.metadata.deletion_timestamp.is_some()
    }

    /// Its request, if any.
    pub(super) fn requested(self) -> Option<&'a str> {
        self.0.metadata.annotations.as_ref()?.get(REQUESTED_AT).map(String::as_str)
    }

    /// Whether its controller has not handled its request yet.
    pub(super) fn is_pending(self) -> bool {
        self.requested().is_some_and(|token| self.0.data["status"]["lastHandledReconcileAt"] != token)
    }

    /// Whether its request is `token`, or a later one, and was handled.
    pub(super) fn has_handled(self, token: &str) -> bool {
        let handled = &self.0.data["status"]["lastHandledReconcileAt"];
        handled == token || self.requested().is_some_and(|other| other != token && handled == other)
    }

    /// Whether it is ready at its newest generation.
    pub(super) fn is_ready(self) -> bool {
        verdict(self.0).is_ready()
    }

    /// When it became ready, if it is.
    pub(super) fn ready_since(self) -> Option<Timestamp> {
        let ready = condition(self.0, "Ready").filter(Condition::is_true)?;
        self.is_ready().then(|| since(&ready)).flatten()
    }

    /// The failure that it waits to retry: no attempt is in progress, and the generation is the same.
    pub(super) fn failure(self) -> Option<Failure<'a>> {
        let ready = condition(self.0, "Ready").filter(Condition::is_false)?;
        let is_stalled = condition(self.0, "Stalled").is_some_and(|stalled| stalled.is_true());
        if self.is_suspended() || is_stalled || self.is_attempting() || ready.is_outdated(self.0) {
            return None;
        }
        Some(Failure { reason: ready.reason(), since: since(&ready)? })
    }

    /// helm-controller sets `Ready` to unknown while it acts, and leaves `Reconciling` unchanged when it waits.
    fn is_attempting(self) -> bool {
        let reconciling = condition(self.0, "Reconciling").filter(Condition::is_true);
        self.kind() != "HelmRelease"
            && reconciling.is_some_and(|reconciling| reconciling.reason() == "Progressing")
    }

    /// Whether its retries are exhausted: helm-controller tries again only after a reset.
    pub(super) fn has_exhausted_retries(self) -> bool {
        let stalled = condition(self.0, "Stalled").filter(Condition::is_true);
        stalled.is_some_and(|stalled| stalled.reason() == "RetriesExceeded")
    }

    /// The kind of the object.
    pub(super) fn kind(self) -> &'a str {
        self.0.types.as_ref().map_or("", |types| types.kind.as_str())
    }

    /// Its dependencies: objects of its own kind.
    pub(super) fn depends_on(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let namespace = self.0.metadata.namespace.as_deref().unwrap_or_default();
        let all = self.0.data["spec"]["dependsOn"].as_array().into_iter().flatten();
        all.map(move |one| (one["namespace"].as_str().unwrap_or(namespace), text(&one["name"])))
    }

    /// Whether a Kustomization uses this source.
    pub(super) fn is_of(self, source: &ObjectRef) -> bool {
        let reference = &self.0.data["spec"]["sourceRef"];
        let namespace = reference["namespace"].as_str().or(self.0.metadata.namespace.as_deref());
        reference["kind"] == source.kind.as_str()
            && reference["name"] == source.name.as_str()
            && namespace == source.namespace.as_deref()
    }

    /// The revision that a source has fetched.
    pub(super) fn fetched(self) -> Option<&'a str> {
        self.0.data["status"]["artifact"]["revision"].as_str()
    }

    /// When a source fetched it.
    pub(super) fn fetched_at(self) -> Option<Timestamp> {
        text(&self.0.data["status"]["artifact"]["lastUpdateTime"]).parse().ok()
    }

    /// The revision that a Kustomization has applied.
    pub(super) fn applied(self) -> Option<&'a str> {
        self.0.data["status"]["lastAppliedRevision"].as_str()
    }

    /// The last revision that a Kustomization has tried to apply.
    pub(super) fn attempted(self) -> Option<&'a str> {
        self.0.data["status"]["lastAttemptedRevision"].as_str()
    }

    /// Whether all objects of a revision are applied, though not necessarily healthy yet.
    pub(super) fn has_applied(self, revision: &str) -> bool {
        let failed = condition(self.0, "Ready").is_some_and(|ready| ready.reason() == "HealthCheckFailed");
        let reconciling = condition(self.0, "Reconciling").filter(Condition::is_true);
        let checks = reconciling.is_some_and(|now| now.message().starts_with("Running health checks"));
        self.applied() == Some(revision) || (self.attempted() == Some(revision) && (failed || checks))
    }
}

/// A failed reconciliation.
pub(super) struct Failure<'a> {
    /// The reason of `Ready`.
    pub(super) reason: &'a str,
    /// When it failed.
    pub(super) since: Timestamp,
}

fn since(condition: &Condition<'_>) -> Option<Timestamp> {
    text(condition.since()).parse().ok()
}
