//! Gathers the evidence about objects that are not ready, and asks `diagnosis` for the cause.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::cluster::Cluster;
use crate::diagnosis::{self, Evidence};
use crate::engine::Cause;
use crate::object::{Object, ObjectRef, Selection};
use crate::readiness;

/// How many lines of a container's log are read: enough for its last words.
const LOG_LINES: i64 = 40;

/// The deepest cause among `refs`; looks at those that are not ready, in their order.
pub(super) async fn explain(cluster: &Cluster, refs: &[ObjectRef]) -> Option<Cause> {
    let found = join_all(refs.iter().map(|id| cluster.get(id))).await;
    let unready = found.into_iter().filter_map(|object| object.ok().flatten()).filter(is_unready);
    for object in unready {
        let evidence = gather(cluster, object).await;
        if let Some(cause) = diagnosis::explain(&evidence) {
            return Some(cause);
        }
    }
    None
}

/// The deepest cause among whatever `selections` select.
pub(super) async fn explain_selections(cluster: &Cluster, selections: &[Selection]) -> Option<Cause> {
    for selection in selections {
        let objects = cluster.list(selection).await.unwrap_or_default();
        for object in objects.into_iter().filter(is_unready) {
            let evidence = gather(cluster, object).await;
            if let Some(cause) = diagnosis::explain(&evidence) {
                return Some(cause);
            }
        }
    }
    None
}

fn is_unready(object: &Object) -> bool {
    !readiness::verdict(object).is_ready()
}

/// What surrounds an object. A question that fails leaves a gap, never an error: a diagnosis must
/// not fail harder than what it diagnoses.
async fn gather(cluster: &Cluster, subject: Object) -> Evidence {
    let namespace = subject.metadata.namespace.clone();
    let within = |api_version: &str, kind: &str| Selection {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.clone(),
        labels: None,
    };
    let (pods_in, sets_in, events_in, all_nodes) = (
        within("v1", "Pod"),
        within("apps/v1", "ReplicaSet"),
        within("v1", "Event"),
        Selection::of("v1", "Node"),
    );
    let (pods, sets, events, nodes) = tokio::join!(
        cluster.list(&pods_in),
        cluster.list(&sets_in),
        cluster.list(&events_in),
        cluster.list(&all_nodes),
    );
    let owned = owned_by(&subject, sets.unwrap_or_default(), pods.unwrap_or_default());
    let logs = last_words(cluster, &owned).await;
    Evidence {
        related: dependencies(cluster, &subject).await,
        subject,
        owned,
        events: events.unwrap_or_default(),
        nodes: nodes.unwrap_or_default(),
        logs,
    }
}

/// What `subject` owns, directly or through a ReplicaSet.
fn owned_by(subject: &Object, sets: Vec<Object>, pods: Vec<Object>) -> Vec<Object> {
    let mut owners: Vec<String> = subject.metadata.uid.iter().cloned().collect();
    let mut owned = Vec::new();
    for candidate in sets.into_iter().chain(pods) {
        let is_owned =
            candidate.metadata.owner_references.iter().flatten().any(|owner| owners.contains(&owner.uid));
        if is_owned {
            owners.extend(candidate.metadata.uid.clone());
            owned.push(candidate);
        }
    }
    owned
}

/// The log tails of containers that crashed, by pod.
async fn last_words(cluster: &Cluster, owned: &[Object]) -> BTreeMap<String, String> {
    let mut logs = BTreeMap::new();
    for pod in owned.iter().filter(|object| object.types.as_ref().is_some_and(|types| types.kind == "Pod")) {
        let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) else { continue };
        let statuses = pod.data["status"]["containerStatuses"].as_array();
        for status in
            statuses.into_iter().flatten().filter(|status| status["restartCount"].as_u64() > Some(0))
        {
            let container = status["name"].as_str().unwrap_or_default();
            if let Ok(tail) = cluster.pod_logs(namespace, name, container, true, LOG_LINES).await {
                logs.insert(name.clone(), tail);
            }
        }
    }
    logs
}

/// The Flux objects that a Flux object depends on or takes its source from.
async fn dependencies(cluster: &Cluster, subject: &Object) -> Vec<Object> {
    let spec = &subject.data["spec"];
    let own = ObjectRef::of(subject);
    let here = own.namespace.clone().unwrap_or_default();
    let on = spec["dependsOn"].as_array().into_iter().flatten().map(|dependency| ObjectRef {
        api_version: own.api_version.clone(),
        kind: own.kind.clone(),
        namespace: Some(dependency["namespace"].as_str().unwrap_or(&here).to_owned()),
        name: dependency["name"].as_str().unwrap_or_default().to_owned(),
    });
    let sources = [&spec["sourceRef"], &spec["chartRef"], &spec["chart"]["spec"]["sourceRef"]];
    let from = sources.into_iter().filter_map(|source| {
        let kind = source["kind"].as_str()?;
        let namespace = source["namespace"].as_str().unwrap_or(&here);
        Some(ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", kind, namespace, source["name"].as_str()?))
    });
    let refs: Vec<ObjectRef> = on.chain(from).collect();
    let found = join_all(refs.iter().map(|id| cluster.get(id))).await;
    found.into_iter().filter_map(|object| object.ok().flatten()).collect()
}
