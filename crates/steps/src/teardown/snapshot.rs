//! All objects of a cluster at one moment, and which of them count.

use std::collections::{BTreeMap, BTreeSet};

use super::marks::{Mark, Scope, is_always_kept, is_of_flux, is_user_managed};
use bootstrapper_cluster::{Cluster, Everything};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// Identifies an object regardless of its version.
type Key = (String, String, Option<String>, String);

pub(super) fn key(id: &ObjectRef) -> Key {
    (id.group().to_owned(), id.kind.clone(), id.namespace.clone(), id.name.clone())
}

/// The objects of a cluster: metadata only.
#[derive(Debug)]
pub(super) struct Snapshot {
    objects: BTreeMap<Key, Object>,
    kinds: BTreeMap<String, String>,
    unlisted: Vec<String>,
}

impl Snapshot {
    /// Reads everything.
    pub(super) async fn take(cluster: &Cluster) -> Result<Self> {
        let Everything { objects, kinds, unlisted } = cluster.everything(|_| true).await?;
        let objects = objects.into_iter().map(|object| (key(&ObjectRef::of(&object)), object)).collect();
        Ok(Self { objects, kinds, unlisted })
    }

    /// Kinds that could not be listed, each with the error.
    pub(super) fn unlisted(&self) -> &[String] {
        &self.unlisted
    }

    /// The existing ones of `ids`.
    pub(super) fn existing<'a>(&self, ids: impl IntoIterator<Item = &'a ObjectRef>) -> Vec<ObjectRef> {
        let there = ids.into_iter().filter(|id| self.objects.contains_key(&key(id)));
        there.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn get(&self, id: &ObjectRef) -> Option<&Object> {
        self.objects.get(&key(id))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (ObjectRef, &Object)> {
        self.objects.values().map(|object| (ObjectRef::of(object), object))
    }

    /// All objects that an owner in `scope` marked, except Flux's own objects, and those with owner references.
    pub(super) fn marked(&self, scope: &Scope) -> Vec<(ObjectRef, Mark)> {
        let is_owned =
            |object: &Object| object.metadata.owner_references.as_ref().is_some_and(|all| !all.is_empty());
        let counts =
            self.all().filter(|(id, object)| !is_of_flux(id) && !is_always_kept(id) && !is_owned(object));
        counts.filter_map(|(id, object)| Some((id, scope.mark(object)?))).collect()
    }

    /// The CRDs.
    pub(super) fn crds(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| bootstrapper_core::object::is_crd(object))
    }

    /// The objects of the kind that the CRD with this name (`plural.group`) defines.
    pub(super) fn of_crd<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (ObjectRef, &'a Object)> {
        let group = name.split_once('.').map_or("", |(_, group)| group);
        let kind = self.kinds.get(name);
        self.all().filter(move |(id, _)| id.group() == group && Some(&id.kind) == kind)
    }

    /// A user's objects in a namespace, except those in `goes`.
    pub(super) fn user_objects_in<'a>(
        &'a self,
        namespace: &'a str,
        goes: &'a BTreeSet<ObjectRef>,
        scope: &'a Scope,
    ) -> impl Iterator<Item = ObjectRef> + 'a {
        let inside = self.all().filter(move |(id, _)| id.namespace.as_deref() == Some(namespace));
        inside
            .filter(move |(id, object)| {
                is_user_managed(object) && !goes.contains(id) && scope.mark(object).is_none()
            })
            // Except Helm's own Secrets, and what Kubernetes creates in every namespace.
            .filter(|(id, _)| !id.name.starts_with("sh.helm.release.v1.") && id.name != "kube-root-ca.crt")
            .map(|(id, _)| id)
    }
}
