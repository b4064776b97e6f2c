//! Chapters about `reconcile`: Flux is asked, and what failed is ready long before its interval.

use std::path::Path;

use assert_cmd::assert::Assert;
use bootstrapper::cluster::Cluster;
use bootstrapper::object::{Complete, Object, ObjectRef};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use tempfile::TempDir;

use super::Sandbox;
use super::common::{edit, exact_copy, set_distribution};

const TENANTS: &str = "kubernetes/workloads/tenants";

/// This repository, where `apps` runs k3s, and Flux tries again after an hour to apply what tenants declare.
pub(crate) fn repository() -> TempDir {
    let copy = exact_copy();
    let tenants = |retry: &str| {
        format!(
            "  name: tenants\n  namespace: flux-system\nspec:\n  interval: 1h\n  retryInterval: {retry}\n"
        )
    };
    edit(&copy, "kubernetes/clusters/apps/workloads.yaml", &tenants("1m"), &tenants("1h"));
    set_distribution(&copy, "apps", "kubeadm", "k3s");
    copy
}

fn reconcile(sandbox: &Sandbox, names: &[&str]) -> Assert {
    let verb = ["reconcile", "apps"];
    sandbox.run(&[&verb[..], names, &["--sandbox", "--progress", "plain"]].concat()).assert()
}

fn bootstrap(sandbox: &Sandbox) -> Assert {
    sandbox.run(&["apps", "--sandbox", "--progress", "plain"]).assert().success()
}

pub(crate) fn without_flux_it_says_so(sandbox: &Sandbox) {
    reconcile(sandbox, &[]).code(1).stderr(contains("Flux is not installed on apps"));
    reconcile(sandbox, &["tenant"]).code(3).stderr(contains("did you mean `tenants`?"));
}

pub(crate) async fn what_failed_is_reconciled_long_before_its_interval(sandbox: &Sandbox, cluster: &Cluster) {
    let copy = sandbox.copy.as_ref().unwrap();
    let up_to_date = || contains("apps is up to date").and(contains("no writes"));
    bootstrap(sandbox).stderr(up_to_date());

    // The commit breaks the tenants: Flux tries again in an hour.
    declare(copy.path(), "1");
    edit(copy, &format!("{TENANTS}/kustomization.yaml"), "  - policies\n", "  - policies\n  - late.yaml\n");
    let failed = reconcile(sandbox, &["tenants", "--timeout", "45s"]).code(7);
    failed.stderr(contains("cause[BS-API-011]: Kustomization flux-system/tenants: namespace late not found"));

    // What it lacked is there, and nobody tells Flux.
    let namespace: Object = serde_json::from_value(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}),
    )
    .unwrap();
    cluster.apply(&Complete::of_own(namespace), false).await.unwrap();
    reconcile(sandbox, &[]).success().stderr(contains("apps is reconciled: ready at main@sha1:"));

    // A commit is fetched and applied at once.
    declare(copy.path(), "2");
    reconcile(sandbox, &["Kustomization/tenants"])
        .success()
        .stderr(contains("apps is reconciled: ready at main@sha1:"));
    let late = ObjectRef::namespaced("v1", "ConfigMap", "late", "late");
    assert_eq!(cluster.get(&late).await.unwrap().unwrap().data["data"]["key"], "2");
    let source =
        ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system");
    let tenants =
        ObjectRef::namespaced("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "tenants");
    let source = cluster.get(&source).await.unwrap().unwrap();
    let tenants = cluster.get(&tenants).await.unwrap().unwrap();
    assert_eq!(tenants.data["status"]["lastAppliedRevision"], source.data["status"]["artifact"]["revision"]);

    // Others wait for their dependencies: a run asks for them, and then there is nothing to do.
    bootstrap(sandbox);
    bootstrap(sandbox).stderr(up_to_date());
}

/// A ConfigMap of the tenants, in a namespace that nobody brings.
fn declare(repository: &Path, value: &str) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "late"}, "data": {"key": value}});
    std::fs::write(repository.join(TENANTS).join("late.yaml"), map.to_string()).unwrap();
}
