//! The candidates for an object's declaration: itself, or what applied it.

use bootstrapper_core::object::{Object, ObjectRef};

/// The object, and the Helm release or Kustomization that applied it, according to its labels. A release
/// that Flux has not taken over yet counts as a HelmRelease of the same name.
pub(super) fn of(id: &ObjectRef, object: Option<&Object>) -> Vec<ObjectRef> {
    let labels = object.and_then(|object| object.metadata.labels.as_ref());
    let notes = object.and_then(|object| object.metadata.annotations.as_ref());
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    let note = |key: &str| notes.and_then(|notes| notes.get(key));
    let named = |api_version: &str, kind: &str, namespace: Option<&String>, name: Option<&String>| {
        Some(ObjectRef::namespaced(api_version, kind, namespace?, name?))
    };
    let release = |namespace, name| named("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, name);
    let brought_by = [
        release(label("helm.toolkit.fluxcd.io/namespace"), label("helm.toolkit.fluxcd.io/name")),
        release(note("meta.helm.sh/release-namespace"), note("meta.helm.sh/release-name")),
        named(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            label("kustomize.toolkit.fluxcd.io/namespace"),
            label("kustomize.toolkit.fluxcd.io/name"),
        ),
    ];
    std::iter::once(id.clone()).chain(brought_by.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_may_be_declared_by_its_owner() {
        let object = |metadata| -> Object {
            serde_json::from_value(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}),
            )
            .unwrap()
        };
        let id = ObjectRef::namespaced("apps/v1", "Deployment", "a", "b");
        let told =
            |object: Option<&Object>| of(&id, object).iter().map(ToString::to_string).collect::<Vec<_>>();
        let by_flux = object(
            json!({"labels": {"helm.toolkit.fluxcd.io/name": "r", "helm.toolkit.fluxcd.io/namespace": "n"}}),
        );
        let by_helm = object(
            json!({"annotations": {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "a"}}),
        );
        let applied = object(
            json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "k", "kustomize.toolkit.fluxcd.io/namespace": "n"}}),
        );
        assert_eq!(told(None), ["Deployment a/b"]);
        assert_eq!(told(Some(&by_flux)), ["Deployment a/b", "HelmRelease n/r"]);
        assert_eq!(told(Some(&by_helm)), ["Deployment a/b", "HelmRelease a/r"]);
        assert_eq!(told(Some(&applied)), ["Deployment a/b", "Kustomization n/k"]);
    }
}
