//! A CRD whose deletion Kubernetes has lost track of.
//!
//! The API server's controller removes the finalizer of a CRD once no object of its kind is left. If its first
//! attempt fails ("storage is (re)initializing") and the second one sees a newer version of the CRD, it waits
//! for a change that never comes, until a resync some minutes later. It ignores changes of the condition
//! `Terminating` (`updateCustomResourceDefinition` in apiextensions-apiserver's `crd_finalizer.go`), but any
//! other change triggers it.

use std::time::Duration;

use serde_json::json;

use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// How long nothing changes before the controller is triggered.
pub(super) const REMIND_AFTER: Duration = Duration::from_secs(15);

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const REMINDER: &str = "bootstrapper/deletion-reminder";

/// Whether only Kubernetes' own finalizer is left on this CRD.
fn waits_for_kubernetes(object: &Object) -> bool {
    let is_crd = object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition");
    let is_only_cleanup = object.metadata.finalizers.as_deref().is_some_and(|all| all == [CLEANUP]);
    is_crd && object.metadata.deletion_timestamp.is_some() && is_only_cleanup
}

/// Changes an annotation of a CRD on which only Kubernetes' finalizer is left; leaves every other object
/// unchanged. Each `number` must be new.
pub(super) async fn remind(cluster: &Cluster, object: &Object, number: usize) -> Result<()> {
    if !waits_for_kubernetes(object) {
        return Ok(());
    }
    let reminder = json!({"metadata": {"annotations": {REMINDER: number.to_string()}}});
    cluster.merge(&ObjectRef::of(object), &reminder).await
}

/// Why Kubernetes has not removed a CRD yet, from its condition.
pub(super) fn says(object: &Object) -> Option<&str> {
    let mut conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let terminating = conditions.find(|condition| condition["type"] == "Terminating")?;
    terminating["message"].as_str().filter(|_| waits_for_kubernetes(object))
}

#[cfg(test)]
mod tests {
    use bootstrapper_cluster::mock::ApiServer;
    use bootstrapper_engine::Teardown;
    use serde_json::Value;

    use super::super::removal::{Removal, await_removal};
    use super::*;

    fn crd(finalizers: &[&str]) -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "pools.example.org", "finalizers": finalizers, "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "Terminating", "status": "True", "reason": "InstanceDeletionFailed",
                "message": "could not list instances: storage is (re)initializing"}]},
        })
    }

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_a_person_holds_is_no_lost_deletion() {
        assert_eq!(
            says(&object(crd(&[CLEANUP]))),
            Some("could not list instances: storage is (re)initializing")
        );
        assert_eq!(says(&object(crd(&[CLEANUP, "example.org/hold"]))), None);
        assert_eq!(says(&object(crd(&[]))), None);
    }

    #[tokio::test]
    async fn a_lost_crd_deletion_is_triggered_until_the_crd_is_deleted() {
        let server = ApiServer::default();
        server.serve_kind(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        );
        let lost = crd(&[CLEANUP]);
        server.put(&lost);
        let id = ObjectRef::of(&object(lost));
        let cluster = server.connect();
        tokio::time::pause();
        // Simulates the API server's controller: it ignores changes of its own condition, and fails twice.
        let controller = async {
            let reminded = |id: &ObjectRef| {
                let seen = server.get(id).unwrap();
                seen.metadata.annotations.unwrap_or_default().get(REMINDER).cloned()
            };
            while reminded(&id).as_deref() != Some("3") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            server.remove(&id);
        };
        let teardown =
            Teardown { stall_timeout: Duration::from_mins(2), release_finalizers: false, say: &|_| {} };
        let ids = [id.clone()];
        let (ended, ()) =
            tokio::join!(await_removal(&cluster, &ids, Removal::DeleteAgain, &teardown), controller);
        ended.unwrap();
    }
}
