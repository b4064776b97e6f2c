//! Persistent data: claims, their volumes, and what happens to them.

use std::collections::BTreeSet;

use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// A PersistentVolumeClaim, and the volume that it is bound to.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) id: ObjectRef,
    pub(super) class: Option<String>,
    volume: Option<ObjectRef>,
    /// Whether the volume is retained when its claim is deleted.
    retained: bool,
}

impl Claim {
    /// What happens to its data, as a text.
    pub(super) fn data_outcome(&self) -> String {
        match (&self.volume, self.retained) {
            (None, _) => "it has no volume".to_owned(),
            (Some(volume), false) => format!("DATA IS DELETED with {volume} (reclaim policy Delete)"),
            (Some(volume), true) => format!("its data stays on {volume} (reclaim policy Retain)"),
        }
    }

    /// The retained volume, and why.
    pub(super) fn kept(&self) -> Option<String> {
        let volume = self.volume.as_ref().filter(|_| self.retained)?;
        Some(format!("{volume}, with the data of {}: its reclaim policy is Retain", self.id))
    }

    /// What must be gone before the storage provisioner is removed.
    pub(super) fn parts(&self) -> impl Iterator<Item = ObjectRef> {
        let volume = self.volume.clone().filter(|_| !self.retained);
        std::iter::once(self.id.clone()).chain(volume)
    }
}

/// All claims in these namespaces.
pub(super) async fn claims(cluster: &Cluster, namespaces: &BTreeSet<String>) -> Result<Vec<Claim>> {
    let volumes = cluster.list(&Selection::of("v1", "PersistentVolume")).await?;
    let claims = cluster.list(&Selection::of("v1", "PersistentVolumeClaim")).await?;
    let inside = claims.iter().filter(|claim| {
        claim.metadata.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace))
    });
    Ok(inside.map(|claim| of(claim, &volumes)).collect())
}

fn of(claim: &Object, volumes: &[Object]) -> Claim {
    let id = ObjectRef::of(claim);
    let spec = &claim.data["spec"];
    let is_bound = |volume: &&Object| {
        let bound = &volume.data["spec"]["claimRef"];
        bound["name"] == id.name.as_str() && bound["namespace"].as_str() == id.namespace.as_deref()
    };
    let volume = volumes.iter().find(is_bound);
    Claim {
        class: spec["storageClassName"].as_str().map(str::to_owned),
        retained: volume.is_some_and(|volume| {
            volume.data["spec"]["persistentVolumeReclaimPolicy"].as_str() != Some("Delete")
        }),
        volume: volume.map(ObjectRef::of),
        id,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(policy: &str) -> Claim {
        let object = |value: serde_json::Value| -> Object { serde_json::from_value(value).unwrap() };
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "db"},
            "spec": {"storageClassName": "fast"}});
        let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"},
            "spec": {"persistentVolumeReclaimPolicy": policy, "claimRef": {"name": "data", "namespace": "db"}}});
        of(&object(claim), &[object(volume)])
    }

    #[test]
    fn the_effect_on_data_is_reported() {
        let goes = claim("Delete");
        assert!(goes.data_outcome().contains("DATA IS DELETED") && goes.kept().is_none());
        assert_eq!(goes.parts().count(), 2);
        let kept = claim("Retain");
        assert!(kept.kept().unwrap().contains("PersistentVolume pv-1"));
        assert_eq!(kept.parts().count(), 1);
    }
}
