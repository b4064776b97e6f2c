//! Chapters about the hand-over to Flux: what it changes is told before, and is nothing; what it owns
//! is its own; its controllers may be killed as they take over themselves.

use std::time::Duration;

use assert_cmd::assert::Assert;
use bootstrapper::cluster::Cluster;
use bootstrapper::object::{Object, ObjectRef};
use futures::StreamExt as _;
use kube::Api;
use kube::api::{Patch, PatchParams};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

use super::Sandbox;
use super::common::processes::{self, CONTROLLERS};

/// What `handover` answers, as data.
fn asked(sandbox: &Sandbox, more: &[&str]) -> (Assert, Value) {
    let mut command = sandbox.run(&["handover", sandbox.name, "--sandbox", "--output", "json"]);
    let assert = command.args(more).assert();
    let answer = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    (assert, answer)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().unwrap().is_empty()
}

/// The table of the adoption: every release one revision further, by Flux; every pod, certificate and
/// object the same; nobody left who owns what Flux applies.
pub(crate) fn nothing_was_changed(sandbox: &Sandbox) {
    let (assert, answer) = asked(sandbox, &["--check"]);
    assert.success();
    let verdict = &answer["adopted"]["verdict"];
    assert!(is_empty(&verdict["differences"]), "{verdict:#}");
    assert_eq!(verdict["releases"], 7);
    assert!(
        verdict["pods"].as_u64().unwrap() > 30 && verdict["certificates"].as_u64().unwrap() >= 7,
        "{verdict}"
    );
    let kept = answer["adopted"]["kept"].as_array().unwrap();
    let (releases, others): (Vec<&Value>, Vec<&Value>) =
        kept.iter().partition(|kept| kept["owner"].as_str().unwrap().starts_with("HelmRelease"));
    assert!(releases.iter().all(|release| release["revisions"] == json!([1, 2])), "{releases:#?}");
    for kustomization in others.iter().filter(|kept| kept["objects"].as_u64().unwrap() > 0) {
        let managers = kustomization["managers"].as_object().unwrap();
        assert!(managers["kustomize-controller Apply"].as_u64() >= kustomization["objects"].as_u64());
        assert!(!managers.keys().any(|name| name.starts_with("kubectl")), "{kustomization:#}");
    }
}

async fn patched(cluster: &Cluster, id: &ObjectRef, manager: &str, patch: &Patch<Value>) {
    let client = kube::Client::try_from(
        kube::Config::from_custom_kubeconfig(
            kube::config::Kubeconfig::read_from(cluster.access().kubeconfig.as_ref().unwrap()).unwrap(),
            &kube::config::KubeConfigOptions::default(),
        )
        .await
        .unwrap(),
    )
    .unwrap();
    let (group, version) = id.api_version.split_once('/').unwrap_or(("", &id.api_version));
    let kind = kube::core::GroupVersionKind::gvk(group, version, &id.kind);
    let resource = kube::api::ApiResource::from_gvk(&kind);
    let api: Api<Object> = match &id.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    api.patch(&id.name, &parameters, patch).await.unwrap();
}

/// What somebody changed since the bootstrap installed it would be changed back: that is told, and
/// stops a strict run before Flux begins.
pub(crate) async fn a_difference_is_told_before_flux_acts(sandbox: &Sandbox, cluster: &Cluster) {
    let spegel = ObjectRef::namespaced("apps/v1", "DaemonSet", "kube-system", "spegel");
    let pool = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumLoadBalancerIPPool", "default");
    let image = "/spec/template/spec/containers/0/image";
    let before = cluster.get(&spegel).await.unwrap().unwrap().data.pointer(image).unwrap().clone();
    let set_image = |image: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
    patched(cluster, &spegel, "kubectl-edit", &Patch::Strategic(set_image(json!("x.test/other:1")))).await;
    let by_hand = |value: Value| Patch::Merge(json!({"metadata": {"annotations": {"by-hand": value}}}));
    patched(cluster, &pool, "kubectl-edit", &by_hand(json!("yes"))).await;

    sandbox.run(&["handover", "apps", "--sandbox", "--check"]).assert().code(1).stdout(
        contains("drift in 2 of ")
            .and(contains("DaemonSet kube-system/spegel changes, which restarts its pods"))
            .and(contains(".metadata.annotations.by-hand is dropped"))
            .and(contains(" 0 writes")),
    );
    let strict = ["apps", "--sandbox", "--strict", "--progress", "plain"];
    sandbox.run(&strict).assert().code(1).stderr(contains("which restarts its pods"));
    let source =
        ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system");
    assert!(cluster.get(&source).await.unwrap().is_none());

    patched(cluster, &spegel, "kubectl-edit", &Patch::Strategic(set_image(before))).await;
    patched(cluster, &pool, "kubectl-edit", &by_hand(Value::Null)).await;
    let (assert, answer) = asked(sandbox, &["--check"]);
    assert.success();
    assert_eq!(answer["counts"]["different"], 0);
}

/// Flux's controllers are killed while they take over the releases that brought them.
pub(crate) async fn controllers_are_killed_as_they_take_over_themselves(
    sandbox: &Sandbox,
    cluster: &Cluster,
) {
    let instance =
        ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "flux-system", "flux-instance");
    let mut states = cluster.follow(vec![instance.clone()]);
    let is_upgrading =
        |object: &Object| object.data["status"]["conditions"].to_string().contains("Running 'upgrade'");
    while let Some(Ok(state)) = states.next().await {
        if state[&instance].as_ref().is_some_and(|object| is_upgrading(object)) {
            break;
        }
    }
    assert_eq!(processes::killed(&sandbox.folder(), &CONTROLLERS), CONTROLLERS);
    // Of the operator the pod is taken away.
    let operators = bootstrapper::object::Selection::of("v1", "Pod")
        .within("flux-system")
        .labelled("app.kubernetes.io/name=flux-operator");
    for pod in cluster.list(&operators).await.unwrap() {
        cluster.delete(&ObjectRef::of(&pod)).await.unwrap();
    }
}

/// They came back by themselves: no workload was made anew, and every release stands.
pub(crate) async fn they_took_over_all_the_same(sandbox: &Sandbox, cluster: &Cluster) {
    let (_, answer) = asked(sandbox, &[]);
    for kept in answer["adopted"]["kept"].as_array().unwrap() {
        for other in ["rolled", "gone", "recreated", "changed", "coOwned"] {
            assert!(is_empty(&kept[other]), "{kept:#}");
        }
        let replaced = kept["replaced"].as_array().unwrap();
        assert!(replaced.iter().all(|pod| pod.as_str().unwrap().contains("flux-operator")), "{kept:#}");
    }
    for name in ["flux-operator", "flux-instance"] {
        let id = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "flux-system", name);
        let release = cluster.get(&id).await.unwrap().unwrap();
        assert_eq!(release.data["status"]["history"][0]["status"], "deployed", "{name}");
    }
}

/// What a release no longer declares goes from the cluster, though Helm's own program set it.
pub(crate) async fn what_is_dropped_goes(cluster: &Cluster) {
    let agent = ObjectRef::namespaced("apps/v1", "DaemonSet", "kube-system", "cilium");
    let budget = ObjectRef::namespaced("policy/v1", "PodDisruptionBudget", "kube-system", "cilium-operator");
    let limits = "/spec/template/spec/containers/0/resources/limits";
    assert!(cluster.get(&agent).await.unwrap().unwrap().data.pointer(limits).is_some());
    assert!(cluster.get(&budget).await.unwrap().is_some());
    let release = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "kube-system", "cilium");
    let without = json!({"spec": {"values": {
        "resources": {"limits": null}, "operator": {"podDisruptionBudget": null},
    }}});
    patched(cluster, &release, "kubectl-edit", &Patch::Merge(without)).await;
    let gone = async {
        let mut states = cluster.follow(vec![agent.clone(), budget.clone()]);
        while let Some(Ok(state)) = states.next().await {
            let has_limits = state[&agent].as_ref().is_some_and(|agent| agent.data.pointer(limits).is_some());
            if !has_limits && state[&budget].is_none() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(2), gone).await.expect("what was dropped stays");
}
