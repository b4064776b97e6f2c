//! The objects that will exist in a cluster, for resolving references.

use super::fleet::{Placed, objects_of};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::{Declared, Release};

/// The object of that group, kind, namespace and name, if the cluster declares it. Without a
/// namespace it may be in any: kustomize sets one on cluster-scoped kinds that it does not know.
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
    declared.brought.contains_key(&ObjectRef::namespaced("v1", "Secret", namespace, name))
        || objects_of(declared).any(is_certified)
}

/// The release of Cilium.
pub(super) fn cilium(declared: &Declared) -> Option<&Release> {
    declared.releases.iter().find(|release| is_chart(release, "cilium"))
}

/// Whether a release's chart is the one of that name.
pub(super) fn is_chart(release: &Release, name: &str) -> bool {
    release.chart.name() == name
}

/// Major and minor version of a release's chart, if it declares one.
pub(super) fn minor_version(release: &Release) -> Option<(u64, u64)> {
    let text = release.chart.version_text();
    let mut parts = text.trim_start_matches(['v', '~', '^', '=']).split('.');
    Some((parts.next()?.trim().parse().ok()?, parts.next()?.parse().ok()?))
}
