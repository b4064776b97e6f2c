//! Whether the credentials have the permissions that a bootstrap needs.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{Findings, Subject, problem};
use bootstrapper_core::failure::{Failure, Result};

/// How many access reviews are sent concurrently.
const AT_ONCE: usize = 16;

/// Verbs that a bootstrap needs for a kind, in a namespace or cluster-wide.
#[derive(Debug, Clone, Copy)]
pub struct NeededPermission {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, in plural.
    pub resource: &'static str,
    /// The namespace; cluster-wide if there is none.
    pub namespace: Option<&'static str>,
    /// The verbs.
    pub verbs: &'static [&'static str],
}

/// What preflight checks, for the documentation.
pub fn needed_permissions() -> impl Iterator<Item = NeededPermission> {
    NEEDED.into_iter()
}

const FOLLOWED: &[&str] = &["get", "list", "watch"];
const MADE: &[&str] = &["get", "list", "watch", "create", "patch"];

const fn everywhere(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> NeededPermission {
    NeededPermission { group, resource, namespace: None, verbs }
}

const fn at_home(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> NeededPermission {
    NeededPermission { group, resource, namespace: Some("kube-system"), verbs }
}

/// A bootstrap installs cluster-wide roles, so it needs cluster-admin; these are listed so that the error is
/// specific.
const NEEDED: [NeededPermission; 14] = [
    everywhere("", "namespaces", MADE),
    everywhere("apiextensions.k8s.io", "customresourcedefinitions", MADE),
    everywhere("rbac.authorization.k8s.io", "clusterroles", &["get", "create", "patch", "escalate"]),
    everywhere("rbac.authorization.k8s.io", "clusterrolebindings", &["get", "create", "patch"]),
    everywhere("", "secrets", &["get", "list", "watch", "create", "patch", "delete"]),
    at_home("", "configmaps", &["get", "create", "patch"]),
    at_home("coordination.k8s.io", "leases", &["get", "list", "watch", "create", "update"]),
    everywhere("", "nodes", FOLLOWED),
    everywhere("", "pods", FOLLOWED),
    everywhere("apps", "deployments", FOLLOWED),
    everywhere("apps", "daemonsets", FOLLOWED),
    everywhere("kustomize.toolkit.fluxcd.io", "kustomizations", MADE),
    everywhere("helm.toolkit.fluxcd.io", "helmreleases", FOLLOWED),
    everywhere("source.toolkit.fluxcd.io", "gitrepositories", MADE),
];

pub(super) async fn check(subject: &Subject) -> Result<Findings> {
    // One access review is enough for an administrator.
    if subject.cluster.can_i("*", "*", "*", None).await? {
        return Ok(NEEDED.iter().map(|_| None).collect());
    }
    let missing: Vec<Option<Failure>> =
        stream::iter(NEEDED).map(|needed| missing(subject, needed)).buffered(AT_ONCE).try_collect().await?;
    Ok(missing.into_iter().collect())
}

/// The missing permissions among these, as one problem.
async fn missing(subject: &Subject, needed: NeededPermission) -> Result<Option<Failure>> {
    let NeededPermission { group, resource, namespace, verbs } = needed;
    let mut missing = Vec::new();
    for verb in verbs {
        if !subject.cluster.can_i(verb, group, resource, namespace).await? {
            missing.push(*verb);
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    let place = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    let dot = if group.is_empty() { "" } else { "." };
    let what = format!("these credentials may not {} {resource}{dot}{group}{place}", missing.join(", "));
    Ok(Some(problem(what).hint("bootstrap with the cluster's admin kubeconfig")))
}
