//! Flux is asked to reconcile: on a real control plane, with Flux's real controllers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use assert_cmd::assert::Assert;
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use tempfile::TempDir;

use crate::common::{self, edit};

/// A copy of the repository, and the sandbox of its smaller cluster; goes down with the test.
struct Rehearsal {
    copy: TempDir,
    state: TempDir,
}

impl Rehearsal {
    fn run(&self, arguments: &[&str]) -> Assert {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(arguments);
        command.arg("--repo").arg(self.copy.path()).timeout(Duration::from_mins(10)).assert()
    }

    fn reconcile(&self, names: &[&str]) -> Assert {
        let mut arguments = vec!["reconcile", "apps"];
        arguments.extend(names);
        arguments.extend(["--sandbox", "--progress", "plain"]);
        self.run(&arguments)
    }

    async fn cluster(&self) -> Cluster {
        let kubeconfig = Some(self.state.path().join("sandboxes/apps/kubeconfig"));
        Cluster::connect(&ConnectOptions { kubeconfig, context: "apps".into() }).await.unwrap()
    }

    /// A ConfigMap of the tenants, in a namespace that nobody brings.
    fn declare(&self, value: &str) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "late"}, "data": {"key": value}});
        std::fs::write(self.copy.path().join(TENANTS).join("late.yaml"), map.to_string()).unwrap();
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        let mut down = common::bootstrapper();
        let _ =
            down.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(["sandbox", "down", "apps"]).output();
    }
}

/// The repository as it is, to be changed.
fn copied() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["kubernetes", "tasks"] {
        common::copy_folder(&common::root().join(folder), &copy.path().join(folder));
    }
    std::fs::copy(common::root().join("bootstrapper.yaml"), copy.path().join("bootstrapper.yaml")).unwrap();
    copy
}

const TENANTS: &str = "kubernetes/workloads/tenants";

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_reconciled_long_before_its_interval() {
    let rehearsal = Rehearsal { copy: copied(), state: tempfile::tempdir().unwrap() };
    let of_tenants = |retry: &str| {
        format!(
            "  name: tenants\n  namespace: flux-system\nspec:\n  interval: 1h\n  retryInterval: {retry}\n"
        )
    };
    edit(&rehearsal.copy, "kubernetes/clusters/apps/workloads.yaml", &of_tenants("1m"), &of_tenants("1h"));

    // Without Flux it says so at once.
    rehearsal.run(&["sandbox", "up", "apps"]).success();
    rehearsal.reconcile(&[]).code(1).stderr(contains("Flux is not installed on apps"));
    rehearsal.reconcile(&["tenant"]).code(3).stderr(contains("did you mean `tenants`?"));

    rehearsal.run(&["apps", "--sandbox", "--progress", "plain"]).success();
    let up_to_date = || contains("apps is up to date").and(contains("no writes"));
    rehearsal.run(&["apps", "--sandbox", "--progress", "plain"]).success().stderr(up_to_date());

    // The commit breaks the tenants: Flux tries again in an hour.
    rehearsal.declare("1");
    edit(
        &rehearsal.copy,
        &format!("{TENANTS}/kustomization.yaml"),
        "  - policies\n",
        "  - policies\n  - late.yaml\n",
    );
    let failed = rehearsal.reconcile(&["tenants", "--timeout", "45s"]).code(7);
    failed.stderr(contains("cause[BS-API-011]: Kustomization flux-system/tenants: namespace late not found"));

    // What it lacked is there, and nobody tells Flux.
    let cluster = rehearsal.cluster().await;
    let namespace: Object = serde_json::from_value(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}),
    )
    .unwrap();
    cluster.apply(&Complete::of_own(namespace), false).await.unwrap();
    rehearsal.reconcile(&[]).success().stderr(contains("apps is reconciled: ready at main@sha1:"));

    // A commit is fetched and applied at once.
    rehearsal.declare("2");
    rehearsal
        .reconcile(&["Kustomization/tenants"])
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
    rehearsal.run(&["apps", "--sandbox", "--progress", "plain"]).success();
    rehearsal.run(&["apps", "--sandbox", "--progress", "plain"]).success().stderr(up_to_date());
}
