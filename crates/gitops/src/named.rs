//! Resolves names from the command line: Kustomizations and HelmReleases that a cluster declares.

use super::declared::Declared;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;

impl Declared {
    /// The Kustomizations and HelmReleases named `name`: `name`, `namespace/name`, `Kind/name` or
    /// `Kind/namespace/name`. Fails if there is none.
    pub fn reconciled(&self, name: &str) -> Result<Vec<ObjectRef>> {
        let kustomizations = self.kustomizations.iter().map(|one| &one.id);
        let all: Vec<&ObjectRef> = kustomizations.chain(self.releases.iter().map(|one| &one.id)).collect();
        let found: Vec<ObjectRef> =
            all.iter().filter(|id| is_meant(id, name)).map(|id| (*id).clone()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let failure =
            Failure::input(format!("{} declares no Kustomization or HelmRelease `{name}`", self.cluster));
        Err(match nearest(&all, name) {
            Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
            None => failure.hint(format!("`bootstrapper graph {}` lists them", self.cluster)),
        })
    }

    /// These, and all that they need: their parents and their dependencies.
    pub fn with_needed(&self, named: &[ObjectRef]) -> Vec<ObjectRef> {
        let depends_on = |id: &ObjectRef| {
            let kustomization = self.kustomizations.iter().find(|one| one.id == *id);
            let release = self.releases.iter().find(|one| one.id == *id);
            let of_kustomization = kustomization.map(|one| one.depends_on.clone());
            of_kustomization.or_else(|| release.map(|one| one.depends_on.clone())).unwrap_or_default()
        };
        let mut all: Vec<ObjectRef> = Vec::new();
        let mut open: Vec<ObjectRef> = named.to_vec();
        while let Some(id) = open.pop() {
            if !all.contains(&id) {
                open.extend(depends_on(&id).into_iter().chain(self.parents(&id)));
                all.push(id);
            }
        }
        all
    }

    /// The parents of an object, nearest first.
    pub fn parents(&self, id: &ObjectRef) -> Vec<ObjectRef> {
        let of = |id: &ObjectRef| {
            let brought =
                |one: &&super::Kustomization| one.objects.iter().any(|object| ObjectRef::of(object) == *id);
            let own = self.kustomizations.iter().find(|one| one.id == *id);
            match own {
                Some(own) => own.parent.clone(),
                None => self.kustomizations.iter().find(brought).map(|one| one.id.clone()),
            }
        };
        let mut parents = Vec::new();
        let mut next = of(id);
        while let Some(one) = next.filter(|one| one != id && !parents.contains(one)) {
            next = of(&one);
            parents.push(one);
        }
        parents
    }
}

fn is_meant(id: &ObjectRef, name: &str) -> bool {
    let is_kind = |kind: &str| {
        kind.eq_ignore_ascii_case(&id.kind)
            || (kind == "ks" && id.kind == "Kustomization")
            || (kind == "hr" && id.kind == "HelmRelease")
    };
    let namespace = id.namespace.as_deref().unwrap_or_default();
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => id.name == *name,
        [first, name] => id.name == *name && (namespace == *first || is_kind(first)),
        [kind, first, name] => id.name == *name && namespace == *first && is_kind(kind),
        _ => false,
    }
}

/// The most similar name.
fn nearest(all: &[&ObjectRef], name: &str) -> Option<String> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let likeness = |id: &&&ObjectRef| strsim::jaro_winkler(&id.name, last);
    let best = all.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.75).then(|| best.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_namespace_and_a_kind() {
        let id = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "kube-system", "cilium");
        for name in [
            "cilium",
            "kube-system/cilium",
            "HelmRelease/cilium",
            "helmrelease/cilium",
            "hr/cilium",
            "HelmRelease/kube-system/cilium",
        ] {
            assert!(is_meant(&id, name), "{name}");
        }
        for name in
            ["cilum", "Kustomization/cilium", "ks/cilium", "default/cilium", "HelmRelease/default/cilium", ""]
        {
            assert!(!is_meant(&id, name), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_proposed() {
        let all = ["cilium", "cilium-config", "coredns"]
            .map(|name| ObjectRef::namespaced("x/v1", "Kustomization", "flux-system", name));
        let all: Vec<&ObjectRef> = all.iter().collect();
        assert_eq!(nearest(&all, "ks/cilum").as_deref(), Some("cilium"));
        assert_eq!(nearest(&all, "zzz"), None);
    }
}
