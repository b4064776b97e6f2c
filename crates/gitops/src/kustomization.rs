//! A Flux Kustomization: its build and its substitution.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::ciphertext;
use super::gaps::{self, Gap};
use super::place::Written;
use super::variables::SubstituteSource;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};

/// A Flux Kustomization, built.
#[derive(Debug, Clone)]
pub struct Kustomization {
    /// The Flux object.
    pub id: ObjectRef,
    /// The Flux object, as declared.
    pub object: Object,
    /// Its parent: the Kustomization that applies it; none for the root.
    pub parent: Option<ObjectRef>,
    /// Its path, relative to its repository.
    pub path: PathBuf,
    /// Whether it can be read: it is in this repository, or in another one at a pinned commit.
    pub is_here: bool,
    /// The Kustomizations that it depends on.
    pub depends_on: Vec<ObjectRef>,
    /// Its objects, after substitution. None if they are unavailable.
    pub objects: Vec<Object>,
    /// The unknown values of each of the objects, in their order.
    pub gaps: Vec<Vec<Gap>>,
    /// The objects, by index, that a ResourceSet creates: the Flux operator applies them, and the bootstrap
    /// does not.
    pub created_by: BTreeMap<usize, ObjectRef>,
    /// Where each of the objects is declared, in their order; none for downloaded ones.
    pub written: Vec<Option<Written>>,
    /// The objects that are still encrypted, and why Flux's keys are not available.
    pub undecrypted: BTreeMap<ObjectRef, Failure>,
    /// The sources of its variables, in order: the last one has precedence.
    pub substitute_sources: Vec<SubstituteSource>,
    /// Every variable in its objects, with or without a value.
    pub used_variables: BTreeSet<String>,
    /// The variables whose values exist only in the cluster: the objects contain [`UNKNOWN`](super::UNKNOWN)
    /// instead.
    pub unknown_variables: BTreeSet<String>,
}

impl Kustomization {
    /// Its objects, each with where it is declared.
    pub fn placed_objects(&self) -> impl Iterator<Item = (&Object, Option<&Written>)> {
        self.objects.iter().zip(self.written.iter().map(Option::as_ref))
    }

    /// The objects that it applies itself, with their index.
    pub fn own_objects(&self) -> impl Iterator<Item = (usize, &Object)> {
        self.objects.iter().enumerate().filter(|(at, _)| !self.created_by.contains_key(at))
    }

    /// Its objects, for the bootstrap to apply. Fails if an object or a value is encrypted, and no key is
    /// available: ciphertext must not be applied.
    pub fn applicable(&self) -> Result<Vec<Complete<Object>>> {
        self.applicable_part(|_| true)
    }

    /// The same for some of its objects.
    pub fn applicable_part(&self, wanted: impl Fn(&Object) -> bool) -> Result<Vec<Complete<Object>>> {
        let is_encrypted = |id: &ObjectRef, object: &Object| {
            self.undecrypted.contains_key(id) || ciphertext::is_encrypted(object)
        };
        let own = self.own_objects().filter(|(_, object)| wanted(object));
        let mut objects = own.map(|(_, object)| (ObjectRef::of(object), object));
        if let Some((encrypted, _)) = objects.find(|(id, object)| is_encrypted(id, object)) {
            let failure = Failure::input(format!(
                "{encrypted} is encrypted with SOPS, but the bootstrap applies {} before Flux can decrypt it",
                self.id
            ));
            let failure = match self.undecrypted.get(&encrypted) {
                Some(why) => Failure { because: why.because.clone(), hints: why.hints.clone(), ..failure },
                None => failure.because("its Kustomization has no spec.decryption"),
            };
            return Err(failure.hint("or move it to a Kustomization that only Flux applies"));
        }
        self.complete(wanted)
    }

    /// The objects that it applies itself. Fails if one has an unknown value.
    pub fn complete(&self, wanted: impl Fn(&Object) -> bool) -> Result<Vec<Complete<Object>>> {
        let all = self.own_objects().filter(|(_, object)| wanted(object));
        all.map(|(at, object)| {
            let gaps = self.gaps.get(at).map_or(&[][..], Vec::as_slice);
            match gaps::refusal(&ObjectRef::of(object), gaps) {
                Some(failure) => Err(failure),
                None => Ok(Complete::of_own(object.clone())),
            }
        })
        .collect()
    }

    /// Whether the object at this index has no unknown values.
    pub fn is_complete(&self, at: usize) -> bool {
        self.gaps.get(at).is_none_or(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(secret: &serde_json::Value) -> Kustomization {
        let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "cilium-config"}});
        let object: Object = serde_json::from_value(object).unwrap();
        Kustomization {
            id: ObjectRef::of(&object),
            object,
            parent: None,
            path: "kubernetes/cilium".into(),
            is_here: true,
            depends_on: Vec::new(),
            objects: vec![serde_json::from_value(secret.clone()).unwrap()],
            gaps: vec![Vec::new()],
            created_by: BTreeMap::new(),
            written: vec![None],
            undecrypted: BTreeMap::new(),
            substitute_sources: Vec::new(),
            used_variables: BTreeSet::new(),
            unknown_variables: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_encrypted_is_not_for_the_bootstrap_to_apply() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bgp", "namespace": "kube-system"}});
        assert_eq!(kustomization(&secret).applicable().unwrap().len(), 1);
        let mut encrypted = secret;
        encrypted["sops"] = json!({"mac": "ENC[AES256_GCM,data:x]", "version": "3.9.4"});
        let refused = kustomization(&encrypted).applicable().unwrap_err();
        assert!(refused.what.contains("Secret kube-system/bgp is encrypted with SOPS"), "{}", refused.what);
    }

    #[test]
    fn what_only_the_cluster_knows_is_not_applied_either() {
        let mut one =
            kustomization(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bgp"}}));
        one.gaps = vec![vec![Gap { variable: "DOMAIN".to_owned(), at: None, why: None }]];
        assert!(one.applicable().unwrap_err().what.contains("uses ${DOMAIN}"));
    }
}
