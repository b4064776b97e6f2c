//! Why what a step waits for is not ready.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::diagnosis::Symptoms;
use crate::doctor::{self, Budget};
use crate::engine::Cause;
use crate::failure::Failure;
use crate::object::{ObjectRef, Selection};
use crate::readiness;

/// So many objects of one kind are asked for one by one; more in one list.
const ONE_BY_ONE: usize = 3;

/// Causes among `refs`, and of what the API server refused.
pub(super) async fn explain(cluster: &Cluster, refs: &[ObjectRef], failure: Option<&Failure>) -> Vec<Cause> {
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
    of(cluster, objects, failure).await
}

/// Causes among whatever `selections` select.
pub(super) async fn explain_selections(cluster: &Cluster, selections: &[Selection]) -> Vec<Cause> {
    let mut objects = Vec::new();
    for selection in selections {
        objects.extend(unready(cluster, selection).await);
    }
    of(cluster, objects, None).await
}

async fn of(cluster: &Cluster, objects: Vec<ObjectRef>, failure: Option<&Failure>) -> Vec<Cause> {
    let refusal = failure.map(|failure| (failure.what.clone(), failure.because.join("\n")));
    doctor::explain(cluster, &Symptoms { objects, refusal }, Budget::OF_A_WAIT).await.causes
}

/// A list that fails leaves a gap, as every question of a diagnosis.
async fn unready(cluster: &Cluster, selection: &Selection) -> Vec<ObjectRef> {
    let found = cluster.look_over(selection, |object| !readiness::verdict(object).is_ready()).await;
    found.unwrap_or_default().iter().map(ObjectRef::of).collect()
}
