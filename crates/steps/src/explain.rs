//! Why what a step waits for is not ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::doctor::Case;
use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_diagnosis::Symptoms;
use bootstrapper_engine::Cause;
use bootstrapper_readiness as readiness;

/// So many objects of one kind are taken for what is the matter; of more, those that are not ready.
const ONE_BY_ONE: usize = 3;

/// What a step sees of what it waits for, and what its diagnosis has learned: neither is asked for twice.
#[derive(Clone, Default)]
pub struct Explainer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sight: Mutex<Option<Sight>>,
    case: tokio::sync::Mutex<Case>,
}

/// What a watch saw last.
#[derive(Clone, Default)]
pub(super) struct Sight {
    pub(super) objects: Vec<Arc<Object>>,
    /// What is amiss though none of these tells: what is not there, webhooks that nobody answers for.
    pub(super) amiss: Vec<ObjectRef>,
}

impl Sight {
    pub(super) fn of<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Self {
        Self { objects: objects.into_iter().cloned().collect(), amiss: Vec::new() }
    }

    fn unready(&self) -> impl Iterator<Item = &Object> {
        let objects = self.objects.iter().map(|object| &**object);
        objects.filter(|object| !readiness::verdict(object).is_ready())
    }

    /// What is amiss, and what is not ready.
    fn symptoms(&self) -> Vec<ObjectRef> {
        self.amiss.iter().cloned().chain(self.unready().map(ObjectRef::of)).collect()
    }
}

impl Explainer {
    /// Keeps what a watch sees.
    pub(super) fn sees(&self, sight: Sight) {
        *self.0.sight.lock().unwrap_or_else(PoisonError::into_inner) = Some(sight);
    }

    /// Whether a watch has seen anything.
    pub(super) fn has_seen(&self) -> bool {
        self.sight().is_some()
    }

    fn sight(&self) -> Option<Sight> {
        self.0.sight.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Causes among `refs`, and of what the API server refused.
    pub(super) async fn of_objects(
        &self,
        cluster: &Cluster,
        refs: &[ObjectRef],
        failure: Option<&Failure>,
    ) -> Vec<Cause> {
        let sight = self.sight();
        let seen = sight.as_ref().map(Sight::symptoms).filter(|seen| !seen.is_empty());
        let symptoms = match seen {
            Some(seen) => seen,
            None => unready_of(cluster, refs).await,
        };
        self.examine(cluster, symptoms, sight, failure).await
    }

    /// Causes among whatever `selections` select.
    pub(super) async fn of_selections(&self, cluster: &Cluster, selections: &[Selection]) -> Vec<Cause> {
        let sight = self.sight();
        let symptoms = match &sight {
            Some(sight) => sight.symptoms(),
            None => {
                let mut found = Vec::new();
                for selection in selections {
                    found.extend(unready(cluster, selection).await);
                }
                found
            }
        };
        self.examine(cluster, symptoms, sight, None).await
    }

    async fn examine(
        &self,
        cluster: &Cluster,
        objects: Vec<ObjectRef>,
        sight: Option<Sight>,
        failure: Option<&Failure>,
    ) -> Vec<Cause> {
        // That time is over is nobody's refusal.
        let refused = failure.filter(|failure| failure.kind != FailureKind::Deadline);
        let refusal = refused.map(|failure| (failure.what.clone(), failure.because.join("\n")));
        let seen = sight.iter().flat_map(Sight::unready).cloned().collect();
        self.0.case.lock().await.examine(cluster, Symptoms { objects, refusal }, seen).await.causes
    }
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

/// A list that fails leaves a gap, as every question of a diagnosis.
async fn unready(cluster: &Cluster, selection: &Selection) -> Vec<ObjectRef> {
    let found = cluster.look_over(selection, |object| !readiness::verdict(object).is_ready()).await;
    found.unwrap_or_default().iter().map(ObjectRef::of).collect()
}
