//! Watches Flux take over: every declared Kustomization and HelmRelease exists and is ready. Writes only
//! reconcile requests for objects that would otherwise wait for their interval.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};

use super::final_verdict::only_final;
use super::requests::Requests;
use crate::explain::Explainer;
use crate::following::{both, follow, readiness_of};
use crate::owns_nothing::owns_nothing;
use crate::webhook_backends::Seen;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::{Readiness, Reason, Verdict};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Act, Cause, Changes, Observation, Step, Stuck};
use bootstrapper_readiness::{CustomRules, flux_controllers, flux_runs};

/// Watches Flux take over.
pub(crate) struct Handover {
    /// The API server.
    pub(crate) cluster: Cluster,
    /// Kustomizations and HelmReleases: all declared ones, or some of them.
    pub(crate) declared: Vec<ObjectRef>,
    /// Their source.
    pub(crate) source: ObjectRef,
    /// The requests to Flux.
    pub(crate) requests: Requests,
    /// Diagnoses their wait.
    pub(crate) explainer: Explainer,
}

impl Handover {
    /// Whether Flux's controllers run: statuses remain when they do not.
    fn flux(&self) -> Followed<Readiness> {
        let has_releases = self.declared.iter().any(|id| id.kind == "HelmRelease");
        let judge = move |deployments: Vec<Arc<Object>>| Readiness {
            observed: deployments.clone(),
            ..flux_runs(&deployments, has_releases).into()
        };
        self.cluster.follow_all(flux_controllers()).map_ok(judge).boxed()
    }

    fn summary(&self) -> String {
        let of = |kind: &str| count(self.declared.iter().filter(|id| id.kind == kind).count(), kind);
        format!("{}, {} ready", of("Kustomization"), of("HelmRelease"))
    }
}

owns_nothing!(Handover);

#[async_trait]
impl Step for Handover {
    async fn observe(&self) -> Result<Observation> {
        let first = crate::watching::first(self.settle()).await?;
        if first.as_ref().is_some_and(|readiness| readiness.due) {
            return Ok(Observation::Drifted(self.requests.diff()));
        }
        Ok(crate::watching::observation(first, self.summary(), self.declared.len()))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        self.requests.send(act.say).await
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let followed = self.declared.iter().chain([&self.source]).cloned().collect();
        let id = self.source.clone();
        let ready = move |seen: &Seen| {
            let source = seen.get(&id).and_then(Option::as_deref);
            let applied = source.map_or(Verdict::Ready, |source| applied(&id, source, seen));
            let declared = seen.iter().filter(|(other, _)| **other != id);
            let own = readiness_of(declared, &CustomRules::default());
            Readiness { verdict: only_final(own.verdict, &id, seen).and(applied), ..own }
        };
        let declared = follow(&self.cluster, followed, ready).map_ok(what_moves_first).boxed();
        self.requests.marking(both(declared, self.flux()))
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        self.explainer.of_objects(&self.cluster, &self.declared, stuck).await
    }
}

/// Whether the fetched revision of a source is applied: Flux reports a Kustomization as ready until it has
/// reconciled the newest revision.
fn applied(id: &ObjectRef, source: &Object, seen: &Seen) -> Verdict {
    let Some(fetched) = source.data["status"]["artifact"]["revision"].as_str() else {
        return Verdict::Ready;
    };
    let behind = |(kustomization, object): (&ObjectRef, &Arc<Object>)| {
        let reference = &object.data["spec"]["sourceRef"];
        let is_of_it = reference["kind"] == id.kind.as_str()
            && reference["name"] == id.name.as_str()
            && (reference["namespace"].as_str().or(kustomization.namespace.as_deref()))
                == id.namespace.as_deref();
        let applied = object.data["status"]["lastAppliedRevision"].as_str();
        (is_of_it && applied != Some(fetched)).then(|| {
            Verdict::not_yet(format!("has not applied {fetched} yet, which {id} has fetched"))
                .of(kustomization)
        })
    };
    let objects = seen.iter().filter_map(|(id, object)| Some((id, object.as_ref()?)));
    objects.filter(|(id, _)| id.kind == "Kustomization").filter_map(behind).collect()
}

/// Sorts reasons by importance: dependents come last.
fn what_moves_first(mut readiness: Readiness) -> Readiness {
    let only_waits =
        |reason: &Reason| reason.text.starts_with("DependencyNotReady") || reason.text == "not found";
    if let Verdict::NotYet(reasons) = &mut readiness.verdict {
        reasons.sort_by_key(only_waits);
    }
    readiness
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_ready_at_an_older_revision_is_not_done() {
        let object = |kind: &str, name: &str, rest: Value| {
            let mut value = json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": name, "namespace": "flux-system"}});
            value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            Arc::new(serde_json::from_value::<Object>(value).unwrap())
        };
        let source =
            object("GitRepository", "all", json!({"status": {"artifact": {"revision": "main@sha1:b"}}}));
        let applied_of = |source_name: &str, revision: &str| {
            let reference = json!({"kind": "GitRepository", "name": source_name});
            let rest = json!({"spec": {"sourceRef": reference}, "status": {"lastAppliedRevision": revision}});
            let one = object("Kustomization", "apps", rest);
            let seen = Seen::from([(ObjectRef::of(&one), Some(one))]);
            applied(&ObjectRef::of(&source), &source, &seen).texts().join("; ")
        };
        assert_eq!(applied_of("all", "main@sha1:b"), "");
        assert_eq!(applied_of("another", "main@sha1:a"), "");
        assert_eq!(
            applied_of("all", "main@sha1:a"),
            "Kustomization flux-system/apps: has not applied main@sha1:b yet, which GitRepository flux-system/all has fetched"
        );
    }
}
