//! The objects that will exist in a cluster, for resolving references.

use super::fleet::{Placed, objects_of};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::Cilium;

/// The object with this group, kind, namespace and name, if the cluster declares it. Without a namespace, any
/// matches: kustomize sets one on cluster-scoped kinds that it does not know.
pub(super) fn find<'a>(
    declared: &'a Declared,
    group: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
) -> Option<Placed<'a>> {
    objects_of(declared).find(|placed| {
        placed.is(group, kind)
            && placed.object.metadata.name.as_deref() == Some(name)
            && (namespace.is_none() || placed.object.metadata.namespace.as_deref() == namespace)
    })
}

/// Whether a Secret has a provider: the repository, the bootstrap, or a controller with its declaration.
pub(super) fn has_secret(declared: &Declared, namespace: &str, name: &str) -> bool {
    let is_certified = |placed: Placed<'_>| {
        placed.is("cert-manager.io", "Certificate")
            && placed.object.metadata.namespace.as_deref() == Some(namespace)
            && placed.field(&["spec", "secretName"]) == name
    };
    declared.providers.contains_key(&ObjectRef::namespaced("v1", "Secret", namespace, name))
        || objects_of(declared).any(is_certified)
}

/// Charts that create only the objects of their own programs, whatever their values are.
const OWN_OBJECTS_ONLY: [&str; 9] = [
    "cert-manager",
    "cilium",
    "coredns",
    "external-secrets",
    "flux-instance",
    "flux-operator",
    "metrics-server",
    "reloader",
    "spegel",
];

/// What may create an undeclared object of this name: a release whose chart may create any object, or something
/// that could not be evaluated. A release with the name in its values comes first.
pub(super) fn possible_creator(declared: &Declared, name: &str) -> Option<String> {
    let mut open =
        declared.releases.iter().filter(|one| !OWN_OBJECTS_ONLY.contains(&one.chart.name())).peekable();
    let any = open.peek().copied();
    let naming = open.find(|release| names(&release.values, name));
    let release =
        naming.map(|release| format!("the chart of {}, whose values name it, may create it", release.id));
    let release = release
        .or_else(|| any.map(|release| format!("a chart may create it, for example that of {}", release.id)));
    release.or_else(|| {
        declared.notes.first().map(|note| format!("{}, so it may be created there", note.failure.what))
    })
}

fn names(values: &serde_json::Value, name: &str) -> bool {
    match values {
        serde_json::Value::String(text) => text == name,
        serde_json::Value::Array(items) => items.iter().any(|item| names(item, name)),
        serde_json::Value::Object(fields) => {
            fields.iter().any(|(key, value)| key == name || names(value, name))
        }
        _ => false,
    }
}

/// ServiceAccounts that Flux installs in its own namespace.
pub(super) fn is_account_of_flux(declared: &Declared, namespace: Option<&str>, name: &str) -> bool {
    const ACCOUNTS: [&str; 8] = [
        "flux-operator",
        "helm-controller",
        "image-automation-controller",
        "image-reflector-controller",
        "kustomize-controller",
        "notification-controller",
        "source-controller",
        "source-watcher",
    ];
    namespace == declared.sync.metadata.namespace.as_deref() && ACCOUNTS.contains(&name)
}

/// The cluster's Cilium.
pub(super) fn cilium(declared: &Declared) -> Option<Cilium<'_>> {
    Cilium::declared(declared)
}
