//! The objects that will exist in a cluster, for resolving references.

use super::fleet::{Placed, objects_of};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::order::{Cilium, Kind};
use bootstrapper_gitops::{Declared, Release};

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
    declared.providers.contains_key(&ObjectRef::namespaced("v1", "Secret", namespace, name))
}

/// Whether a ConfigMap has a provider: the repository, or a bucket claim.
pub(super) fn has_config_map(declared: &Declared, namespace: &str, name: &str) -> bool {
    declared.providers.contains_key(&ObjectRef::namespaced("v1", "ConfigMap", namespace, name))
}

/// Whether a ConfigMap or Secret gets its data in the cluster: it is copied there, or merged into what is there.
pub(super) fn is_filled_elsewhere(object: &Object) -> bool {
    let mut annotations = object.metadata.annotations.iter().flatten();
    annotations.any(|(key, value)| {
        let key = key.to_ascii_lowercase();
        ["copyfrom", "reflect", "replicat"].iter().any(|word| key.contains(word))
            || matches!(value.as_str(), "IfNotPresent" | "Merge")
    })
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

/// Groups whose controllers make no Service, Secret or ConfigMap beyond those that their objects name.
const MAKE_NOTHING: [&str; 12] = [
    "acme.cert-manager.io",
    "bitnami.com",
    "cert-manager.io",
    "cilium.io",
    "external-secrets.io",
    "fluxcd.controlplane.io",
    "gateway.networking.k8s.io",
    "generators.external-secrets.io",
    "metallb.io",
    "policy.networking.k8s.io",
    "snapshot.storage.k8s.io",
    "volsync.backube",
];

/// Kinds that only describe what others do.
const DESCRIBE: [&str; 4] = ["PodMonitor", "Probe", "PrometheusRule", "ServiceMonitor"];

/// What may bring a Service, Secret or ConfigMap of that name into a namespace, though nothing declares it: a
/// release in the namespace, or one whose values name it; an operator whose object is there, or names it;
/// what is not known at all.
pub(super) fn possible_creator_in(declared: &Declared, namespace: &str, name: &str) -> Option<String> {
    created_in(declared, namespace, name, None)
}

/// The same of a Secret that an object names: that object does not make it, nor does a chart that makes only its own.
pub(super) fn possible_creator_for(
    user: &ObjectRef,
    declared: &Declared,
    of: (&str, &str),
) -> Option<String> {
    created_in(declared, of.0, of.1, Some(user))
}

fn created_in(declared: &Declared, namespace: &str, name: &str, user: Option<&ObjectRef>) -> Option<String> {
    let is_open = |one: &Release| user.is_none() || !OWN_OBJECTS_ONLY.contains(&one.chart.name());
    let mut releases = declared.releases.iter();
    let release =
        releases.find(|one| (one.release_namespace == namespace && is_open(one)) || names(&one.values, name));
    if let Some(release) = release {
        return Some(format!("the chart of {} may create it", release.id));
    }
    if let Some(elsewhere) = declared.kustomizations.iter().find(|one| !one.is_here) {
        return Some(format!("{}, which was not looked at, may create it", elsewhere.id));
    }
    let by_operator = objects_of(declared).find(|placed| {
        let id = placed.id();
        let is_operated = Kind::of(&id).is_some()
            && !MAKE_NOTHING.contains(&id.group())
            && !DESCRIBE.contains(&id.kind.as_str());
        is_operated
            && user != Some(&id)
            && (id.namespace.as_deref() == Some(namespace) || placed.object.data.to_string().contains(name))
    });
    if let Some(placed) = by_operator {
        return Some(format!("the operator of {} may create it", placed.id()));
    }
    // Copies are made by what annotations say.
    let copied = objects_of(declared).find(|placed| {
        let id = placed.id();
        let annotations = placed.object.metadata.annotations.iter().flatten();
        id.name == name
            && annotations.into_iter().any(|(key, _)| key.contains("reflect") || key.contains("replicat"))
    });
    if let Some(placed) = copied {
        return Some(format!("{} may be copied there", placed.id()));
    }
    declared.notes.first().map(|note| format!("{}, so it may be created there", note.failure.what))
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
