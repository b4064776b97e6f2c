//! Removes the objects of a step that exist and are ours, in reverse order; waits until they are gone, and
//! reports what blocks the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::lost_crd::{self, REMIND_AFTER};
use super::marks::{is_user_managed, owner};
use super::units::KUSTOMIZE;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Change, ChangeKind, Changes, Diff, Teardown};

const AT_ONCE: usize = 16;

/// The `objects` that exist and were applied by `manager`, or by Flux since.
pub async fn existing(cluster: &Cluster, objects: &[Object], manager: &str) -> Result<Vec<ObjectRef>> {
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
        || owner(object, KUSTOMIZE).is_some()
        || is_bare_namespace(object)
}

/// A namespace that was applied with only a name has no manager: the API server records none that owns no
/// field. One that a user created has a manager.
fn is_bare_namespace(object: &Object) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "Namespace") && !is_user_managed(object)
}

/// The diff of removing them.
pub fn diff(noun: &str, ids: &[ObjectRef]) -> Diff {
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

/// What is removed along with an object of a kind.
fn goes_along(kind: &str) -> Option<&'static str> {
    match kind {
        "Namespace" => Some("and everything in it"),
        "CustomResourceDefinition" => Some("and every object of its kind"),
        _ => None,
    }
}

/// Removes them, and returns once they are gone.
pub async fn remove(
    cluster: &Cluster,
    noun: &str,
    ids: Vec<ObjectRef>,
    teardown: &Teardown<'_>,
) -> Result<Changes> {
    for id in &ids {
        (teardown.say)(format!("removing {id}"));
        delete(cluster, id).await?;
    }
    await_removal(cluster, &ids, Removal::DeleteAgain, teardown).await?;
    Ok(Changes { summary: count(ids.len(), noun), changes: changes(&ids), ..Changes::default() })
}

/// Deletes an object, if it and its kind exist.
pub(super) async fn delete(cluster: &Cluster, id: &ObjectRef) -> Result<()> {
    // The CRD of its kind may have been deleted meanwhile.
    if cluster.serves(&id.api_version, &id.kind).await? { cluster.delete(id).await } else { Ok(()) }
}

/// How objects are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Another controller removes them.
    Await,
    /// They were deleted here; recreated ones are deleted again.
    DeleteAgain,
}

/// How often a recreated object is deleted.
const ATTEMPTS: usize = 20;

/// Returns once the objects are gone; fails, and reports what blocks the rest, if none of them changes for as
/// long as `teardown` allows.
pub async fn await_removal(
    cluster: &Cluster,
    ids: &[ObjectRef],
    gone: Removal,
    teardown: &Teardown<'_>,
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut states = cluster.follow(ids.to_vec());
    let mut left: BTreeMap<ObjectRef, Option<Arc<Object>>> = BTreeMap::new();
    let mut may_release = teardown.release_finalizers;
    let mut deadline = Instant::now() + teardown.stall_timeout;
    let mut reminder = Instant::now() + REMIND_AFTER;
    let mut reminders = 0;
    let mut attempts: BTreeMap<ObjectRef, (String, usize)> = BTreeMap::new();
    loop {
        match timeout_at(deadline.min(reminder), states.next()).await {
            Ok(Some(Ok(seen))) if seen.values().all(Option::is_none) => return Ok(()),
            Ok(Some(Ok(seen))) => {
                if progress(&seen) != progress(&left) {
                    deadline = Instant::now() + teardown.stall_timeout;
                    reminder = Instant::now() + REMIND_AFTER;
                }
                left = seen;
                if gone == Removal::DeleteAgain {
                    for object in left.values().flatten() {
                        insist(cluster, object, &mut attempts).await?;
                    }
                }
            }
            Ok(Some(Err(failure))) if failure.retry == Retry::Useless => return Err(failure),
            Ok(Some(Err(failure))) => (teardown.say)(format!("not yet: {failure}")),
            Ok(None) => return Err(Failure::internal("the watch over what is removed ended")),
            Err(_) if Instant::now() < deadline => {
                reminders += 1;
                reminder = Instant::now() + REMIND_AFTER;
                for object in left.values().flatten() {
                    lost_crd::remind(cluster, object, reminders).await?;
                }
            }
            Err(_) if may_release => {
                may_release = false;
                deadline = Instant::now() + teardown.stall_timeout;
                for object in left.values().flatten() {
                    release(cluster, object, teardown).await?;
                }
            }
            Err(_) => return Err(stuck(left.values().flatten().map(AsRef::as_ref), teardown)),
        }
    }
}

/// What counts as progress of a removal: other changes of an object do not.
fn progress(
    seen: &BTreeMap<ObjectRef, Option<Arc<Object>>>,
) -> Vec<(&ObjectRef, bool, Option<&Vec<String>>, String)> {
    let there = seen.iter().filter_map(|(id, object)| Some((id, object.as_ref()?)));
    there
        .map(|(id, object)| {
            let metadata = &object.metadata;
            // A namespace's conditions say how many objects it still contains.
            let says = if id.kind == "Namespace" { held_by(object) } else { String::new() };
            (id, metadata.deletion_timestamp.is_some(), metadata.finalizers.as_ref(), says)
        })
        .collect()
}

/// Deletes recreated objects again.
async fn insist(
    cluster: &Cluster,
    object: &Object,
    attempts: &mut BTreeMap<ObjectRef, (String, usize)>,
) -> Result<()> {
    let Some(uid) = object.metadata.uid.clone().filter(|_| object.metadata.deletion_timestamp.is_none())
    else {
        return Ok(());
    };
    let id = ObjectRef::of(object);
    let (last, number) = attempts.entry(id.clone()).or_default();
    if *last == uid {
        return Ok(());
    }
    if *number == ATTEMPTS {
        return Err(Failure::step(format!("{id} is recreated each time it is deleted"))
            .because("a controller recreates it")
            .hint(
                "find its writer with `kubectl get --show-managed-fields`, stop that, and run this again",
            ));
    }
    *last = uid;
    *number += 1;
    delete(cluster, &id).await
}

/// Removes the finalizers of a stuck object, and of the objects that a namespace still contains.
async fn release(cluster: &Cluster, object: &Object, teardown: &Teardown<'_>) -> Result<()> {
    let id = ObjectRef::of(object);
    let mut held = vec![id.clone()];
    if id.kind == "Namespace" {
        held.extend(cluster.held_in(&id.name).await?);
    }
    for id in held {
        if let Some(finalizers) = cluster.release_finalizers(&id).await? {
            (teardown.say)(format!("{id}: removing finalizers {finalizers}"));
        }
    }
    Ok(())
}

fn stuck<'a>(left: impl Iterator<Item = &'a Object>, teardown: &Teardown<'_>) -> Failure {
    let left: Vec<&Object> = left.collect();
    let what = format!(
        "{} left, and nothing has changed for {:?}",
        count(left.len(), "object"),
        teardown.stall_timeout
    );
    let failure = left.iter().fold(Failure::step(what), |failure, object| {
        failure.because(format!("{}: {}", ObjectRef::of(object), held_by(object)))
    });
    failure
        .hint("restore the controller that removes the finalizer, and run this again")
        .hint("or run it with --release-finalizers, which skips the cleanup of that controller")
}

/// What blocks the deletion of an object, from its status.
fn held_by(object: &Object) -> String {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let says = conditions.filter(|condition| condition["status"] == "True");
    let remaining: Vec<&str> = says.filter_map(|condition| condition["message"].as_str()).collect();
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default().join(", ");
    let is_namespace = object.types.as_ref().is_some_and(|types| types.kind == "Namespace");
    match (is_namespace && !remaining.is_empty(), finalizers.is_empty()) {
        (true, _) => remaining.join("; "),
        (false, false) => {
            let ready = object.data["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready =
                ready.filter(|condition| condition["type"] == "Ready" && condition["status"] == "False");
            let says = ready.find_map(|condition| condition["message"].as_str());
            let says = says.or_else(|| lost_crd::says(object));
            let says = says.map(|says| format!("; it says: {says}")).unwrap_or_default();
            format!("waiting for the controller of finalizer {finalizers}{says}")
        }
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
    fn what_blocks_a_deletion_is_reported() {
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
        assert!(is_applied_by(&object("Namespace", &serde_json::json!({"name": "x"}), &none), "us"));
        assert!(!is_applied_by(&object("Namespace", &of("kubectl-create"), &none), "us"));
    }
}
