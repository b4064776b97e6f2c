//! A step that requests reconciliation of one object, and follows it to its outcome.

use std::sync::OnceLock;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::facts::{DEPENDENCY_NOT_READY, Facts};
use super::final_verdict::only_final;
use crate::explain::Explainer;
use crate::following::follow;
use crate::owns_nothing::owns_nothing;
use crate::webhook_backends::Seen;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_engine::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step, Stuck};
use bootstrapper_readiness::verdict;

/// The role of the object, which decides when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Done when it has fetched the newest revision.
    Source,
    /// Done when it has applied that revision. Its children decide whether it is healthy.
    Root,
    /// Done when it is ready at the newest revision; or when it waits for dependencies, which the outcome
    /// follows.
    Named,
}

/// Requests reconciliation of one object.
pub(super) struct Target {
    pub(super) cluster: Cluster,
    pub(super) id: ObjectRef,
    pub(super) role: Role,
    /// The source of the repository.
    pub(super) source: ObjectRef,
    /// Its parent Kustomizations.
    pub(super) owners: Vec<ObjectRef>,
    /// The request, once sent.
    pub(super) token: OnceLock<String>,
    pub(super) explainer: Explainer,
}

owns_nothing!(Target);

#[async_trait]
impl Step for Target {
    async fn observe(&self) -> Result<Observation> {
        let Some(object) = self.cluster.get(&self.id).await? else {
            return Err(Failure::step(format!("{} not found", self.id))
                .because("Flux has not applied it yet")
                .hint("`bootstrapper doctor` finds out why"));
        };
        if Facts(&object).is_suspended() {
            return Err(Failure::step(format!("{} is suspended", self.id))
                .hint("resume it with `flux resume`, then try again"));
        }
        if self.token.get().is_some() {
            return Ok(Observation::Awaited { waits_for: vec!["its reconciliation".into()], progress: None });
        }
        let summary = format!("request reconciliation of {}", self.id);
        Ok(Observation::Drifted(Diff { summary, changes: vec![self.change(&[])], unchanged: 0 }))
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        let object = self.cluster.get(&self.id).await?;
        let reset = self.role == Role::Named
            && self.id.kind == "HelmRelease"
            && object.is_some_and(|object| Facts(&object).has_exhausted_retries());
        let token = Timestamp::now().to_string();
        self.cluster.request_reconciliation(&self.id, &token, reset).await?;
        let _ = self.token.set(token);
        let details: &[&str] = if reset { &["its failures are reset"] } else { &[] };
        let changes = vec![self.change(details)];
        Ok(Changes { summary: "reconciliation requested".to_owned(), changes, ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let followed = [&self.id, &self.source].into_iter().chain(&self.owners).cloned().collect();
        let (id, role, source) = (self.id.clone(), self.role, self.source.clone());
        let token = self.token.get().cloned();
        follow(&self.cluster, followed, move |seen| {
            let verdict = done(&id, role, &source, token.as_deref(), seen);
            only_final(verdict, &source, seen).into()
        })
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        self.explainer.of_objects(&self.cluster, std::slice::from_ref(&self.id), stuck).await
    }
}

impl Target {
    fn change(&self, details: &[&str]) -> Change {
        let details = details.iter().map(ToString::to_string).collect();
        Change { kind: ChangeKind::Configured, subject: self.id.to_string(), details }
    }
}

/// Whether the request was handled, and its outcome. Pure.
fn done(id: &ObjectRef, role: Role, source: &ObjectRef, token: Option<&str>, seen: &Seen) -> Verdict {
    let get = |id: &ObjectRef| seen.get(id).and_then(Option::as_deref);
    let Some(object) = get(id) else { return Verdict::not_yet("not found").of(id) };
    let facts = Facts(object);
    let fetched = get(source).map(Facts).and_then(Facts::fetched);
    let fetched = fetched.filter(|_| id.kind == "Kustomization" && facts.is_of(source));
    if role == Role::Root && fetched.is_some_and(|fetched| facts.has_applied(fetched)) {
        return Verdict::Ready;
    }
    let own = verdict(object).of(id);
    if token.is_some_and(|token| !facts.has_handled(token)) {
        let awaited = Verdict::not_yet("its controller has not handled the request yet").of(id);
        // Its status is stale.
        return if own.is_ready() { awaited } else { Verdict::NotYet(own.reasons().to_vec()) };
    }
    let waits = facts.failure().is_some_and(|failure| failure.reason == DEPENDENCY_NOT_READY);
    if role == Role::Named && waits {
        return Verdict::Ready;
    }
    let at_revision = match fetched {
        Some(fetched) if facts.applied() != Some(fetched) => {
            Verdict::not_yet(format!("has not applied {fetched} yet, which {source} has fetched")).of(id)
        }
        _ => Verdict::Ready,
    };
    own.and(at_revision)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use bootstrapper_core::object::Object;

    fn seen(kustomization: Value) -> (ObjectRef, ObjectRef, Seen) {
        let object = |value: Value| Arc::new(serde_json::from_value::<Object>(value).unwrap());
        let mut one = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "f", "annotations": {"reconcile.fluxcd.io/requestedAt": "2"}},
            "spec": {"sourceRef": {"kind": "GitRepository", "name": "s"}}});
        one["status"] = kustomization;
        let source = object(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "s", "namespace": "f"}, "status": {"artifact": {"revision": "main@sha1:b"}}}));
        let one = object(one);
        let (id, source_id) = (ObjectRef::of(&one), ObjectRef::of(&source));
        (id.clone(), source_id.clone(), [(id, Some(one)), (source_id, Some(source))].into())
    }

    fn ready(status: &str, reason: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": reason, "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    #[test]
    fn a_request_is_done_once_it_is_handled_and_the_object_is_ready_at_the_revision() {
        let at = |handled: &str, applied: &str, status: &str, reason: &str| {
            json!({"lastHandledReconcileAt": handled, "lastAppliedRevision": applied, "lastAttemptedRevision": "main@sha1:b",
                "observedGeneration": 1, "conditions": ready(status, reason)})
        };
        for (name, status, named, root) in [
            ("as before", at("1", "main@sha1:a", "True", "x"), false, false),
            ("handled, and at an older revision", at("2", "main@sha1:a", "True", "x"), false, false),
            ("handled and ready", at("2", "main@sha1:b", "True", "x"), true, true),
            ("waits for others", at("2", "main@sha1:a", "False", "DependencyNotReady"), true, false),
            ("failed", at("2", "main@sha1:a", "False", "BuildFailed"), false, false),
            ("applied and unhealthy", at("2", "main@sha1:a", "False", "HealthCheckFailed"), false, true),
        ] {
            let (id, source, seen) = seen(status);
            let is_done = |role| done(&id, role, &source, Some("2"), &seen).is_ready();
            assert_eq!((is_done(Role::Named), is_done(Role::Root)), (named, root), "{name}");
        }
    }

    #[test]
    fn a_later_request_by_another_client_counts() {
        let status = json!({"lastHandledReconcileAt": "2", "lastAppliedRevision": "main@sha1:b", "conditions": ready("True", "x")});
        let (id, source, seen) = seen(status);
        assert!(done(&id, Role::Named, &source, Some("1"), &seen).is_ready());
    }
}
