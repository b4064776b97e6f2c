//! Explains why the objects that a step waits for are not ready.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::Mutex;

use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::doctor::Case;
use bootstrapper_core::failure::FailureKind;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_diagnosis::Symptoms;
use bootstrapper_engine::{Cause, Stuck};
use bootstrapper_readiness as readiness;

/// Up to this number of objects of one kind, all are symptoms; otherwise only those that are not ready.
const ONE_BY_ONE: usize = 3;

/// Diagnoses a step while it waits. Keeps what it has learned from the cluster, so that no query is repeated.
#[derive(Default)]
pub(crate) struct Explainer(Mutex<Case>);

impl Explainer {
    /// Causes among `refs`, and of the API server's rejection.
    pub(super) async fn of_objects(
        &self,
        cluster: &Cluster,
        refs: &[ObjectRef],
        stuck: Stuck<'_>,
    ) -> Vec<Cause> {
        let seen = stuck.readiness.map(symptoms).filter(|seen| !seen.is_empty());
        let symptoms = match seen {
            Some(seen) => seen,
            None => unready_of(cluster, refs).await,
        };
        self.examine(cluster, symptoms, stuck).await
    }

    /// Causes among the objects that `selections` match.
    pub(super) async fn of_selections(
        &self,
        cluster: &Cluster,
        selections: &[Selection],
        stuck: Stuck<'_>,
    ) -> Vec<Cause> {
        let symptoms = match stuck.readiness.filter(|readiness| !readiness.observed.is_empty()) {
            Some(readiness) => unready_among(readiness).map(ObjectRef::of).collect(),
            None => {
                let mut found = Vec::new();
                for selection in selections {
                    found.extend(unready(cluster, selection).await);
                }
                found
            }
        };
        // A failed attempt is no rejection of objects that are only watched.
        self.examine(cluster, symptoms, Stuck { failure: None, ..stuck }).await
    }

    async fn examine(&self, cluster: &Cluster, objects: Vec<ObjectRef>, stuck: Stuck<'_>) -> Vec<Cause> {
        // A deadline is no rejection.
        let refused = stuck.failure.filter(|failure| failure.kind != FailureKind::Deadline);
        let refusal = refused.map(|failure| (failure.what.clone(), failure.because.join("\n")));
        let seen = stuck.readiness.into_iter().flat_map(unready_among).cloned().collect();
        let mut case = self.0.lock().await;
        if stuck.is_last {
            // What was learned during the wait may be minutes old.
            *case = Case::default();
        }
        case.examine(cluster, Symptoms { objects, refusal }, seen).await.causes
    }
}

/// Gives causes without origins the subjects of their step, nearest first.
pub(crate) fn about(mut causes: Vec<Cause>, subjects: &[ObjectRef]) -> Vec<Cause> {
    for cause in causes.iter_mut().filter(|cause| cause.origins.is_empty()) {
        cause.origins = subjects.to_vec();
    }
    causes
}

/// The objects in the reasons, and the observed objects that are not ready.
fn symptoms(readiness: &Readiness) -> Vec<ObjectRef> {
    let mut known = BTreeSet::new();
    let named = readiness.verdict.reasons().iter().filter_map(|reason| reason.object.clone());
    let all = named.chain(unready_among(readiness).map(ObjectRef::of));
    all.filter(|id| known.insert(id.clone())).collect()
}

fn unready_among(readiness: &Readiness) -> impl Iterator<Item = &Object> {
    let objects = readiness.observed.iter().map(|object| &**object);
    objects.filter(|object| !readiness::verdict(object).is_ready())
}

async fn unready_of(cluster: &Cluster, refs: &[ObjectRef]) -> Vec<ObjectRef> {
    let mut by_kind: BTreeMap<(&str, &str), Vec<&ObjectRef>> = BTreeMap::new();
    for id in refs {
        by_kind.entry((&id.api_version, &id.kind)).or_default().push(id);
    }
    let mut objects = Vec::new();
    for ((api_version, kind), ids) in by_kind {
        if ids.len() <= ONE_BY_ONE {
            objects.extend(ids.into_iter().cloned());
        } else {
            let unready = unready(cluster, &Selection::of(api_version, kind)).await;
            objects.extend(unready.into_iter().filter(|id| ids.contains(&id)));
        }
    }
    objects
}

/// A failed list is a gap, like every failed query of a diagnosis.
async fn unready(cluster: &Cluster, selection: &Selection) -> Vec<ObjectRef> {
    let found = cluster.list_matching(selection, |object| !readiness::verdict(object).is_ready()).await;
    found.unwrap_or_default().iter().map(ObjectRef::of).collect()
}
