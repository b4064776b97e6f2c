//! Identifies objects of a bootstrap: by the labels and managers of Flux, Helm and this program. Pure.

use std::collections::BTreeSet;

use super::units::HELM;
use bootstrapper_cluster::FIELD_MANAGER;
use bootstrapper_core::object::{Object, ObjectRef};

pub(crate) use super::units::KUSTOMIZE;

/// The group of the Flux operator.
pub(crate) const OPERATOR: &str = "fluxcd.controlplane.io";

/// What makes Flux keep an object when its Kustomization is deleted, as annotation or label (`deleteObjects` of
/// kustomize-controller).
pub(super) const KEEPING: [(&str, &str); 3] = [
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ("kustomize.toolkit.fluxcd.io/ssa", "Ignore"),
];

/// A namespace and a name.
pub(crate) type Named = (String, String);

/// The owners in scope.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Kustomizations in this repository.
    pub(super) kustomizations: BTreeSet<Named>,
    /// HelmReleases in this repository.
    pub(super) releases: BTreeSet<Named>,
    /// Their releases, by Helm's names.
    pub(super) installed: BTreeSet<Named>,
}

/// The owner of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Kustomization(Named),
    Release(Named),
    Helm(Named),
    Bootstrap,
}

impl Scope {
    /// Which of these owns an object, if any.
    pub(super) fn mark(&self, object: &Object) -> Option<Mark> {
        if let Some(named) = owner(object, KUSTOMIZE) {
            return self.kustomizations.contains(&named).then_some(Mark::Kustomization(named));
        }
        if let Some(named) = owner(object, HELM) {
            return self.releases.contains(&named).then_some(Mark::Release(named));
        }
        if let Some(named) = installed_by(object) {
            return self.installed.contains(&named).then_some(Mark::Helm(named));
        }
        managers(object).any(|manager| manager == FIELD_MANAGER).then_some(Mark::Bootstrap)
    }
}

/// The Flux object of a group that an object's labels name as its owner.
pub(crate) fn owner(object: &Object, group: &str) -> Option<Named> {
    let labels = object.metadata.labels.as_ref()?;
    let label = |key: &str| labels.get(&format!("{group}/{key}")).cloned();
    Some((label("namespace")?, label("name")?))
}

fn installed_by(object: &Object) -> Option<Named> {
    let annotations = object.metadata.annotations.as_ref()?;
    let annotation = |key: &str| annotations.get(&format!("meta.helm.sh/{key}")).cloned();
    Some((annotation("release-namespace")?, annotation("release-name")?))
}

/// The managers of fields other than status.
pub(super) fn managers(object: &Object) -> impl Iterator<Item = &str> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries.filter(|entry| entry.subresource.is_none()).filter_map(|entry| entry.manager.as_deref())
}

/// Whether a user wrote an object, or a program on behalf of one, as far as that can be known: controllers use
/// their own manager names.
pub(super) fn is_user_managed(object: &Object) -> bool {
    const TOOLS: [&str; 9] = [
        "kubectl",
        "helm",
        "kustomize-controller",
        "argocd",
        "Terraform",
        "HashiCorp",
        "pulumi",
        "k9s",
        "node-fetch",
    ];
    let has_owner = object.metadata.owner_references.as_ref().is_some_and(|all| !all.is_empty());
    !has_owner
        && managers(object)
            .any(|manager| manager != FIELD_MANAGER && TOOLS.iter().any(|tool| manager.starts_with(tool)))
}

/// Whether an object belongs to Flux itself: objects that it reconciles, and sources.
pub(super) fn is_of_flux(id: &ObjectRef) -> bool {
    id.group().ends_with(".toolkit.fluxcd.io") || id.group() == OPERATOR
}

/// Whether an object is always kept: namespaces of Kubernetes itself, and this program's records of its runs.
pub(super) fn is_always_kept(id: &ObjectRef) -> bool {
    match id.kind.as_str() {
        "Namespace" => id.name == "default" || id.name.starts_with("kube-"),
        "ConfigMap" => id.namespace.as_deref() == Some("kube-system") && id.name.starts_with("bootstrapper"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(metadata: &Value) -> Object {
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
            .unwrap()
    }

    #[test]
    fn the_owner_of_an_object_is_known_by_its_labels() {
        let named = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let scope = Scope {
            kustomizations: BTreeSet::from([named("flux-system", "apps")]),
            releases: BTreeSet::from([named("db", "postgres")]),
            installed: BTreeSet::from([named("db", "pg")]),
        };
        let of_flux = |group: &str, namespace: &str, name: &str| {
            object(
                &json!({"name": "x", "labels": {format!("{group}/name"): name, format!("{group}/namespace"): namespace}}),
            )
        };
        assert!(matches!(
            scope.mark(&of_flux(KUSTOMIZE, "flux-system", "apps")),
            Some(Mark::Kustomization(_))
        ));
        assert!(matches!(scope.mark(&of_flux(HELM, "db", "postgres")), Some(Mark::Release(_))));
        assert_eq!(scope.mark(&of_flux(KUSTOMIZE, "other", "apps")), None);
        let helm = json!({"name": "x", "annotations": {"meta.helm.sh/release-name": "pg", "meta.helm.sh/release-namespace": "db"}});
        assert!(matches!(scope.mark(&object(&helm)), Some(Mark::Helm(_))));
        let ours = json!({"name": "x", "managedFields": [{"manager": FIELD_MANAGER}]});
        assert_eq!(scope.mark(&object(&ours)), Some(Mark::Bootstrap));
        assert_eq!(scope.mark(&object(&json!({"name": "x"}))), None);
    }

    #[test]
    fn objects_of_users_and_controllers_are_distinguished() {
        let by = |manager: &str| object(&json!({"name": "x", "managedFields": [{"manager": manager}]}));
        assert!(is_user_managed(&by("kubectl-client-side-apply")) && is_user_managed(&by("helm")));
        assert!(!is_user_managed(&by(FIELD_MANAGER)) && !is_user_managed(&by("cilium-agent")));
        let owned = json!({"name": "x", "managedFields": [{"manager": "kubectl"}],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "1"}]});
        assert!(!is_user_managed(&object(&owned)));
    }
}
