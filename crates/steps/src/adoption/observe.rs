//! Reads the current state. For most objects only their metadata; of Services also the spec, of Secrets only
//! certificates.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::dry_run::at_most;
use super::record::{Ledger, ObjectRecord, OwnerRecord, PodRecord, Record};
use super::{Adoption, certificate};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// Pods that belong to no release, such as those of Flux's controllers.
const OTHERS: &str = "others";

/// The ledger's entry for the adoption.
const LEDGER: &str = "adoption";

/// The namespace that Flux uses for objects without one.
pub(super) const DEFAULT: &str = "default";

/// How many kinds are listed concurrently.
const AT_ONCE: usize = 8;

type Live = BTreeMap<ObjectRef, Object>;

impl Adoption {
    /// Records the current state.
    pub async fn record(&self) -> Result<Record> {
        let held = self.held().await?;
        let live = self.live(held.values().flat_map(|(_, objects)| objects)).await?;
        let mut owners: BTreeMap<String, OwnerRecord> = held
            .into_iter()
            .map(|(owner, (revision, ids))| (owner, holding(revision, &ids, &live)))
            .collect();
        let pods = self.cluster.list(&Selection::of("v1", "Pod")).await?;
        for (name, pod) in pods.iter().filter_map(pod_record) {
            let holds = |(_, holding): &(&String, &OwnerRecord)| holding.objects.contains_key(&pod.workload);
            let owner =
                owners.iter().find(holds).map_or_else(|| OTHERS.to_owned(), |(owner, _)| owner.clone());
            owners.entry(owner).or_default().pods.insert(name, pod);
        }
        owners.retain(|_, holding| !holding.objects.is_empty() || !holding.pods.is_empty());
        // Helm's own Secrets are large, and contain no certificates.
        let secrets =
            self.cluster.list(&Selection::of("v1", "Secret").with_fields("type!=helm.sh/release.v1")).await?;
        let certificates = secrets
            .iter()
            .filter_map(|secret| Some((ObjectRef::of(secret).to_string(), certificate::serial(secret)?)))
            .collect();
        Ok(Record { owners, certificates })
    }

    /// The objects of every release and Kustomization, if it exists.
    async fn held(&self) -> Result<BTreeMap<String, (Option<u64>, Vec<ObjectRef>)>> {
        let releases = self.declared.releases.iter().map(async |release| {
            let (namespace, name) = (&release.release_namespace, &release.release_name);
            let Some(stored) = self.cluster.helm_release(namespace, name).await? else { return Ok(None) };
            let objects = self.located(stored.objects, namespace).await?;
            let ids = objects.iter().map(ObjectRef::of).collect();
            Ok::<_, bootstrapper_core::failure::Failure>(Some((
                release.id.to_string(),
                (Some(stored.revision), ids),
            )))
        });
        let releases = try_join_all(releases).await?;
        let kustomizations = self.declared.kustomizations.iter().map(async |kustomization| {
            let objects = self.located(kustomization.objects.clone(), DEFAULT).await?;
            let ids = objects.iter().map(ObjectRef::of).collect();
            Ok::<_, bootstrapper_core::failure::Failure>((kustomization.id.to_string(), (None, ids)))
        });
        let kustomizations = try_join_all(kustomizations).await?;
        Ok(releases.into_iter().flatten().chain(kustomizations).collect())
    }

    /// Those that exist, kind by kind.
    async fn live<'a>(&self, ids: impl Iterator<Item = &'a ObjectRef>) -> Result<Live> {
        let kinds: BTreeSet<(String, String)> =
            ids.map(|id| (id.api_version.clone(), id.kind.clone())).collect();
        let lists = kinds.into_iter().map(async |(api_version, kind)| {
            let all = Selection::of(&api_version, &kind);
            // Services have no generation: whether one was changed is seen in its fields.
            if kind == "Service" {
                self.cluster.list(&all).await
            } else {
                self.cluster.list_metadata(&all).await
            }
        });
        let lists: Vec<Vec<Object>> = at_most(AT_ONCE, lists.collect()).await?;
        Ok(lists.into_iter().flatten().map(|object| (ObjectRef::of(&object), object)).collect())
    }

    /// The cluster's ledger of its adoption, if any.
    pub async fn ledger(&self) -> Result<Option<Ledger>> {
        self.cluster.read_note(LEDGER).await
    }

    /// Stores the ledger in the cluster.
    pub async fn note(&self, ledger: &Ledger) -> Result<()> {
        self.cluster.note(LEDGER, ledger).await
    }
}

fn holding(revision: Option<u64>, ids: &[ObjectRef], live: &Live) -> OwnerRecord {
    let mut holding = OwnerRecord { revision, ..OwnerRecord::default() };
    for (id, object) in ids.iter().filter_map(|id| Some((id, live.get(id)?))) {
        let standing = ObjectRecord {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation,
            spec: (id.kind == "Service")
                .then(|| object.data["spec"].clone())
                .filter(serde_json::Value::is_object),
            managers: managers(object),
        };
        holding.objects.insert(id.to_string(), standing);
    }
    holding
}

/// The field managers of an object, except those of its status: `helm Update`.
fn managers(object: &Object) -> BTreeSet<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter_map(|entry| Some(format!("{} {}", entry.manager.as_deref()?, entry.operation.as_deref()?)))
        .collect()
}

/// A pod of a workload. Other pods come and go on their own.
fn pod_record(pod: &Object) -> Option<(String, PodRecord)> {
    let id = ObjectRef::of(pod);
    let label = |name: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
    let template = label("pod-template-hash").or_else(|| label("controller-revision-hash"));
    let owner =
        pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let workload = match &template {
        Some(hash) if owner.kind == "ReplicaSet" => {
            let name = owner.name.strip_suffix(&format!("-{hash}")).unwrap_or(&owner.name);
            format!("Deployment {namespace}/{name}")
        }
        _ => format!("{} {namespace}/{}", owner.kind, owner.name),
    };
    let record = PodRecord { uid: pod.metadata.uid.clone().unwrap_or_default(), workload, template };
    Some((id.to_string(), record))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_belongs_to_the_workload_that_created_it() {
        let pod = |labels: &serde_json::Value, kind: &str, owner: &str| -> Object {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "p", "namespace": "n", "uid": "u", "labels": labels,
                    "ownerReferences": [{"apiVersion": "x", "kind": kind, "name": owner, "uid": "o", "controller": true}],
                },
            }))
            .unwrap()
        };
        let hash = json!({"pod-template-hash": "5d4f"});
        let (name, record) = pod_record(&pod(&hash, "ReplicaSet", "web-5d4f")).unwrap();
        assert_eq!((name.as_str(), record.workload.as_str()), ("Pod n/p", "Deployment n/web"));
        let revision = json!({"controller-revision-hash": "77"});
        let (_, record) = pod_record(&pod(&revision, "DaemonSet", "agent")).unwrap();
        assert_eq!((record.workload.as_str(), record.template.as_deref()), ("DaemonSet n/agent", Some("77")));
        let (_, record) = pod_record(&pod(&json!({}), "Job", "once")).unwrap();
        assert_eq!((record.workload.as_str(), record.template), ("Job n/once", None));
    }
}
