//! May these credentials do what a bootstrap does?

use futures::future::try_join_all;

use super::{Findings, Subject, problem};
use crate::failure::Result;

/// Verb, group, resource, namespace. A bootstrap installs cluster-wide roles, so nothing less than
/// cluster-admin passes; these are named so that the answer is useful.
const NEEDED: [(&str, &str, &str, Option<&str>); 6] = [
    ("create", "", "namespaces", None),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions", None),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", None),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", None),
    ("create", "", "secrets", Some("kube-system")),
    ("create", "coordination.k8s.io", "leases", Some("kube-system")),
];

pub(super) async fn check(subject: &Subject) -> Result<Findings> {
    let answers = try_join_all(NEEDED.map(|(verb, group, resource, namespace)| async move {
        let allowed = subject.cluster.can_i(verb, group, resource, namespace).await?;
        Ok::<_, crate::failure::Failure>((!allowed).then(|| {
            let place = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
            problem(format!("these credentials may not {verb} {resource}{place}"))
                .hint("bootstrap with the cluster's admin kubeconfig")
        }))
    }))
    .await?;
    Ok(answers.into_iter().collect())
}
