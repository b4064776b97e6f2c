//! What waiting costs on a large cluster.

use std::time::{Duration, Instant};

use bootstrapper::object::{Object, ObjectRef};
use futures::stream::{self, StreamExt as _};
use kube::api::{Patch, PatchParams};

use crate::common;
use crate::sandbox::{NAME, Sandbox};
use crate::stage::Stage;

/// How many nodes and pods a cluster has whose waiting is measured.
const MANY_NODES: usize = 500;
const MANY_PODS: usize = 5000;

/// What a waiting run, `status` and `doctor` cost on a large cluster: requests and memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test gallery -- --ignored --nocapture"]
async fn what_waiting_costs_on_a_large_cluster() {
    let sandbox = Sandbox::up();
    sandbox.bootstrap().await;
    let client = sandbox.client().await;
    let nodes: kube::Api<Object> = kube::Api::all_with(client.clone(), &kind("v1", "Node", "nodes"));
    let pods: kube::Api<Object> =
        kube::Api::namespaced_with(client.clone(), "default", &kind("v1", "Pod", "pods"));
    let node = |number: usize| {
        serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("many-{number}")},
        "status": {"allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let pod = |number: usize| {
        serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("many-{number}"), "namespace": "default"},
        "spec": {"nodeName": format!("many-{}", number % MANY_NODES), "containers": [{"name": "app", "image": "example.org/app:1"}]}})
    };
    create(&nodes, (0..MANY_NODES).map(node)).await;
    create(&pods, (0..MANY_PODS).map(pod)).await;

    // CoreDNS cannot start: the step that waits for it waits until its timeout.
    let stage = Stage { cluster: sandbox.cluster().await, client, kubelet_port: 0 };
    let dns = ObjectRef::namespaced("apps/v1", "Deployment", "kube-system", "coredns");
    let image = |image: &str| serde_json::json!({"spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": image}]}}}});
    let deployments = stage.api(&dns).await;
    let broken = Patch::Strategic(image("docker.io/sandbox/shell:absent"));
    deployments.patch(&dns.name, &PatchParams::default(), &broken).await.unwrap();
    for arguments in [
        vec!["doctor", NAME, "--sandbox"],
        vec!["status", NAME, "--sandbox"],
        vec![NAME, "--sandbox", "--only", "core", "--timeout", "3m", "--progress", "plain"],
    ] {
        let (seconds, requests, peak) = sandbox.measure(&arguments);
        eprintln!("{}: {seconds:.1} s, {requests} requests, {peak} kB at most", arguments.join(" "));
    }
}

fn kind(api_version: &str, kind: &str, plural: &str) -> kube::core::ApiResource {
    kube::core::ApiResource {
        group: String::new(),
        version: api_version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn create(api: &kube::Api<Object>, objects: impl Iterator<Item = serde_json::Value>) {
    let objects = objects.map(|object| serde_json::from_value::<Object>(object).unwrap());
    let create = |object: Object| async move {
        match api.create(&kube::api::PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other.unwrap()),
        }
    };
    stream::iter(objects).map(create).buffer_unordered(16).collect::<Vec<()>>().await;
}

impl Sandbox {
    /// Seconds, requests by the audit log, and the most memory in kB of a run of the program.
    fn measure(&self, arguments: &[&str]) -> (f64, usize, u64) {
        let log = self.state.join("sandboxes").join(NAME).join("logs/audit.log");
        let asked = || {
            let log = std::fs::read_to_string(&log).unwrap();
            log.lines().filter(|line| line.contains("\"user\":{\"username\":\"admin\"")).count()
        };
        let (before, began) = (asked(), Instant::now());
        let path = common::programs().display().to_string();
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_bootstrapper"))
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", &self.state)
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        while run.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            peak = peak.max(high.trim().trim_end_matches(" kB").parse().unwrap_or(0));
            std::thread::sleep(Duration::from_millis(100));
        }
        (began.elapsed().as_secs_f64(), asked() - before, peak)
    }
}
