//! Removes what a step has made: what stands there and is ours, the last first; waits until it is gone,
//! and says what holds what does not go.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::engine::{Change, ChangeKind, Changes, Diff, Unmake};
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::words::count;

const AT_ONCE: usize = 16;

/// Those of `objects` that are there and that `manager` has applied.
pub(super) async fn standing(cluster: &Cluster, objects: &[Object], manager: &str) -> Result<Vec<ObjectRef>> {
    let look = |id: ObjectRef| async move {
        let live = cluster.get(&id).await?;
        Ok::<_, Failure>(live.filter(|live| is_applied_by(live, manager)).map(|_| id))
    };
    let looks = stream::iter(objects.iter().map(ObjectRef::of)).map(look).buffered(AT_ONCE);
    Ok(looks.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

fn is_applied_by(object: &Object, manager: &str) -> bool {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries.map(|entry| entry.manager.as_deref()).any(|of| of == Some(manager))
}

/// What removing them comes to.
pub(super) fn diff(noun: &str, ids: &[ObjectRef]) -> Diff {
    Diff { summary: count(ids.len(), noun), changes: changes(ids), unchanged: 0 }
}

fn changes(ids: &[ObjectRef]) -> Vec<Change> {
    let change = |id: &ObjectRef| Change {
        kind: ChangeKind::Deleted,
        subject: id.to_string(),
        details: goes_along(&id.kind).map(str::to_owned).into_iter().collect(),
    };
    ids.iter().map(change).collect()
}

/// What goes with an object of a kind.
fn goes_along(kind: &str) -> Option<&'static str> {
    match kind {
        "Namespace" => Some("and everything in it"),
        "CustomResourceDefinition" => Some("and every object of its kind"),
        _ => None,
    }
}

/// Removes them, and returns once they are gone.
pub(super) async fn remove(
    cluster: &Cluster,
    noun: &str,
    ids: Vec<ObjectRef>,
    unmake: &Unmake<'_>,
) -> Result<Changes> {
    for id in &ids {
        (unmake.say)(format!("removing {id}"));
        cluster.delete(id).await?;
    }
    await_end(cluster, &ids, unmake).await?;
    Ok(Changes { summary: count(ids.len(), noun), changes: changes(&ids), ..Changes::default() })
}

async fn await_end(cluster: &Cluster, ids: &[ObjectRef], unmake: &Unmake<'_>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut states = cluster.follow(ids.to_vec());
    let mut left: BTreeMap<ObjectRef, Option<Arc<Object>>> = BTreeMap::new();
    let mut may_release = unmake.release_finalizers;
    loop {
        match timeout(unmake.patience, states.next()).await {
            Ok(Some(seen)) if seen.values().all(Option::is_none) => return Ok(()),
            Ok(Some(seen)) => left = seen,
            Ok(None) => return Err(Failure::internal("the watch over what is removed ended")),
            Err(_) if may_release => {
                may_release = false;
                for object in left.values().flatten() {
                    release(cluster, object, unmake).await?;
                }
            }
            Err(_) => return Err(stuck(left.values().flatten().map(AsRef::as_ref), unmake)),
        }
    }
}

/// Takes the finalizers from what does not go: its own, and those of what a namespace still holds.
async fn release(cluster: &Cluster, object: &Object, unmake: &Unmake<'_>) -> Result<()> {
    let id = ObjectRef::of(object);
    let mut held = vec![id.clone()];
    if id.kind == "Namespace" {
        held.extend(cluster.held_in(&id.name).await?);
    }
    for id in held {
        if let Some(finalizers) = cluster.release_finalizers(&id).await? {
            (unmake.say)(format!("{id}: taking away {finalizers}"));
        }
    }
    Ok(())
}

fn stuck<'a>(left: impl Iterator<Item = &'a Object>, unmake: &Unmake<'_>) -> Failure {
    let left: Vec<&Object> = left.collect();
    let what =
        format!("{} left, and nothing has changed for {:?}", count(left.len(), "object"), unmake.patience);
    let failure = left.iter().fold(Failure::step(what), |failure, object| {
        failure.because(format!("{}: {}", ObjectRef::of(object), held_by(object)))
    });
    failure
        .hint("bring back the program that removes the finalizer, and run this again")
        .hint("or run it with --release-finalizers: what that program was to clean up then stays")
}

/// What holds an object that is to go, in its own words.
fn held_by(object: &Object) -> String {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let says = conditions.filter(|condition| condition["status"] == "True");
    let remaining: Vec<&str> = says.filter_map(|condition| condition["message"].as_str()).collect();
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default().join(", ");
    let is_namespace = object.types.as_ref().is_some_and(|types| types.kind == "Namespace");
    match (is_namespace && !remaining.is_empty(), finalizers.is_empty()) {
        (true, _) => remaining.join("; "),
        (false, false) => format!("waits for whoever removes the finalizer {finalizers}"),
        (false, true) => "is still there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, metadata: &serde_json::Value, conditions: &serde_json::Value) -> Object {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": kind, "metadata": metadata, "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn what_holds_an_object_is_told() {
        let none = serde_json::json!([]);
        let held = serde_json::json!({"name": "x", "finalizers": ["a.b/c"]});
        assert!(held_by(&object("ConfigMap", &held, &none)).contains("a.b/c"));
        assert_eq!(held_by(&object("ConfigMap", &serde_json::json!({"name": "x"}), &none)), "is still there");
        let remains = serde_json::json!([
            {"type": "NamespaceContentRemaining", "status": "True", "message": "configmaps. has 1 resource instances"},
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all resources discovered"},
        ]);
        let said = held_by(&object("Namespace", &serde_json::json!({"name": "x"}), &remains));
        assert_eq!(said, "configmaps. has 1 resource instances");
    }

    #[test]
    fn only_what_the_bootstrap_applied_is_its_own() {
        let of = |manager: &str| serde_json::json!({"name": "x", "managedFields": [{"manager": manager}]});
        let none = serde_json::json!([]);
        assert!(is_applied_by(&object("ConfigMap", &of("us"), &none), "us"));
        assert!(!is_applied_by(&object("ConfigMap", &of("them"), &none), "us"));
    }
}
