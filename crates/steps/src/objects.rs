//! A set of objects that must exist as declared, and be ready: namespaces, secrets, the objects of a
//! Kustomization, the source and the sync.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::adoption::kustomize_rules::{self, is_merged};
use super::compare::{change, summary_of};
use super::explain::Explainer;
use super::flux_owner::FluxOwner;
use super::following::{follow_ready_by, ready};
use crate::teardown::removal;
use bootstrapper_cluster::{Cluster, Comparison, FIELD_MANAGER};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_core::words::count;
use bootstrapper_engine::{
    Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Owned, Step, Stuck, Teardown, Undo,
};
use bootstrapper_readiness::CustomRules;

/// How many objects are compared or applied concurrently. The API server's priority and fairness limits more.
const AT_ONCE: usize = 16;

/// A set of objects that must exist as declared.
pub(crate) struct ObjectSet {
    /// The API server.
    pub cluster: Cluster,
    /// What one of them is called: `namespace`, `BGP object`.
    pub noun: String,
    /// The desired objects, in any order.
    pub objects: Vec<Complete<Object>>,
    /// The Flux object that owns them once Flux runs; then they are left to it.
    pub owner: Option<FluxOwner>,
    /// The field manager that applies them.
    pub manager: &'static str,
    /// Readiness rules; none if the objects only have to exist.
    pub readiness: Option<Arc<CustomRules>>,
    /// Diagnoses their wait.
    pub explainer: Explainer,
}

impl ObjectSet {
    fn refs(&self) -> Vec<ObjectRef> {
        self.objects.iter().map(|object| ObjectRef::of(object)).collect()
    }

    /// The field manager that applies an object. If Flux merges an object, the entries of other managers
    /// remain: a field that is later removed from the repository would stay, unless Flux owns it from the
    /// start.
    fn manager_of(&self, object: &Object) -> &'static str {
        if self.manager == FIELD_MANAGER && is_merged(object) {
            kustomize_rules::MANAGER
        } else {
            self.manager
        }
    }

    /// Those that exist and were applied by this step, in reverse order.
    async fn existing(&self) -> Result<Vec<ObjectRef>> {
        let objects = waves(&self.objects).concat().into_iter().map(Complete::into_inner);
        let (own, merged): (Vec<Object>, Vec<Object>) =
            objects.partition(|object| self.manager_of(object) == self.manager);
        let mut standing = removal::existing(&self.cluster, &own, self.manager).await?;
        standing.extend(removal::existing(&self.cluster, &merged, kustomize_rules::MANAGER).await?);
        standing.reverse();
        Ok(standing)
    }

    async fn compare_all(&self) -> Result<Vec<(ObjectRef, Comparison)>> {
        let compare = |object: Complete<Object>| {
            let (cluster, manager) = (self.cluster.clone(), self.manager_of(&object));
            async move { Ok((ObjectRef::of(&object), compare_or_new(&cluster, manager, &object).await?)) }
        };
        stream::iter(self.objects.clone()).map(compare).buffered(AT_ONCE).try_collect().await
    }
}

/// An object of a kind that the API server does not serve yet will be created: an earlier step installs the
/// CRD.
async fn compare_or_new(cluster: &Cluster, manager: &str, object: &Complete<Object>) -> Result<Comparison> {
    let id = ObjectRef::of(object);
    if cluster.serves(&id.api_version, &id.kind).await? {
        cluster.compare_as(manager, object).await
    } else {
        Ok(Comparison::Created)
    }
}

#[async_trait]
impl Undo for ObjectSet {
    async fn owned(&self) -> Result<Owned> {
        let objects = self.existing().await?;
        let owners = self.owner.iter().map(|owner| owner.0.clone()).collect();
        Ok(Owned { diff: removal::diff(&self.noun, &objects), objects, owners, ..Owned::default() })
    }

    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes> {
        removal::remove(&self.cluster, &self.noun, self.existing().await?, teardown).await
    }
}

#[async_trait]
impl Step for ObjectSet {
    async fn observe(&self) -> Result<Observation> {
        if let Some(owner) = &self.owner
            && let Some(since) = owner.owns(&self.cluster).await?
        {
            return Ok(Observation::Satisfied { summary: since, unchanged: self.objects.len() });
        }
        let compared = self.compare_all().await?;
        let changes: Vec<Change> =
            compared.iter().filter_map(|(id, comparison)| change(id, comparison)).collect();
        let unchanged = compared.len() - changes.len();
        if changes.is_empty() {
            let summary = format!("{} as declared", count(unchanged, &self.noun));
            return Ok(Observation::Satisfied { summary, unchanged });
        }
        let all_new = unchanged == 0 && changes.iter().all(|change| change.kind == ChangeKind::Created);
        let diff = Diff { summary: summary_of(&self.noun, &changes, unchanged), changes, unchanged };
        Ok(if all_new { Observation::Missing(diff) } else { Observation::Drifted(diff) })
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let mut changes = Vec::new();
        let mut unchanged = 0;
        for wave in waves(&self.objects) {
            let force = act.force_conflicts;
            let apply = |object: Complete<Object>| {
                let (cluster, manager) = (self.cluster.clone(), self.manager_of(&object));
                async move {
                    Ok::<_, Failure>((
                        ObjectRef::of(&object),
                        cluster.apply_as(manager, &object, force).await?,
                    ))
                }
            };
            let applied: Vec<(ObjectRef, Comparison)> =
                stream::iter(wave).map(apply).buffered(AT_ONCE).try_collect().await?;
            for (id, comparison) in &applied {
                match comparison {
                    Comparison::Conflict(details) => return Err(conflict(id, details)),
                    _ => match change(id, comparison) {
                        Some(change) => changes.push(change),
                        None => unchanged += 1,
                    },
                }
            }
        }
        let summary = summary_of(&self.noun, &changes, unchanged);
        Ok(Changes { summary, changes, unchanged, ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let own = match &self.readiness {
            Some(rules) => follow_ready_by(&self.cluster, self.refs(), Arc::clone(rules)),
            None => ready(),
        };
        match &self.owner {
            Some(owner) => owner.settle_or(&self.cluster, own),
            None => own,
        }
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        self.explainer.of_objects(&self.cluster, &self.refs(), stuck).await
    }
}

fn conflict(id: &ObjectRef, details: &[String]) -> Failure {
    details
        .iter()
        .fold(Failure::step(format!("{id} has fields that another manager owns")), |failure, detail| {
            failure.because(detail)
        })
        .hint("declare what the cluster has, or take the fields over with --force-conflicts")
}

/// Cluster-wide definitions and namespaces first, since the others may depend on them; then the others.
fn waves(objects: &[Complete<Object>]) -> [Vec<Complete<Object>>; 2] {
    let is_first = |object: &Complete<Object>| {
        object.types.as_ref().is_some_and(|types| {
            matches!(
                types.kind.as_str(),
                "Namespace" | "CustomResourceDefinition" | "ClusterRole" | "PriorityClass"
            )
        })
    };
    let (first, rest) = objects.iter().cloned().partition(is_first);
    [first, rest]
}
