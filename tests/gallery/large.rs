//! What a waiting run, `status` and `doctor` cost on a large cluster: requests, memory and processor
//! time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bootstrapper::object::{Object, ObjectRef};
use futures::stream::{self, StreamExt as _};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::common;
use crate::sandbox::{NAME, Sandbox};
use crate::stage::Stage;

const NODES: usize = 500;
const PODS: usize = 5000;
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test gallery large -- --ignored --nocapture"]
async fn what_waiting_costs_on_a_large_cluster() {
    let sandbox = Sandbox::up();
    sandbox.bootstrap().await;
    let client = sandbox.client().await;
    let nodes: Api<Object> = Api::all_with(client.clone(), &core("Node", "nodes"));
    let pods: Api<Object> = Api::namespaced_with(client.clone(), "default", &core("Pod", "pods"));
    create(&nodes, (0..NODES).map(node)).await;
    create(&pods, (0..PODS).map(pod)).await;

    // Two waits that do not end before their time: a node that nobody tells of, and a CoreDNS that cannot start.
    let stage = Stage { cluster: sandbox.cluster().await, client, kubelet_port: 0 };
    let dns = ObjectRef::namespaced("apps/v1", "Deployment", "kube-system", "coredns");
    let broken = json!({"spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": "docker.io/sandbox/shell:absent"}]}}}});
    let patch = Patch::Strategic(broken);
    stage.api(&dns).await.patch(&dns.name, &PatchParams::default(), &patch).await.unwrap();
    for arguments in [
        vec!["doctor", NAME, "--sandbox"],
        vec!["status", NAME, "--sandbox"],
        vec![NAME, "--sandbox", "--only", "core", "--timeout", "2m", "--progress", "plain"],
        vec![NAME, "--sandbox", "--only", "cilium/wait-nodes", "--timeout", "2m", "--progress", "plain"],
    ] {
        let cost = sandbox.measure(&arguments);
        eprintln!("{}: {cost}", arguments.join(" "));
    }
}

fn node(number: usize) -> Value {
    // kwok tells of those that are on: of all but one.
    let power = if number == 0 { "off" } else { "on" };
    json!({"apiVersion": "v1", "kind": "Node",
    "metadata": {"name": format!("many-{number}"), "labels": {"sandbox.bootstrapper/power": power}},
    "status": {
        "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}, "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it is ready"}],
    }})
}

fn pod(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("many-{number}"), "namespace": "default"},
        "spec": {"nodeName": format!("many-{}", number % NODES), "containers": [{"name": "app", "image": "example.org/app:1"}]}})
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn create(api: &Api<Object>, objects: impl Iterator<Item = Value>) {
    let objects = objects.map(|object| serde_json::from_value::<Object>(object).unwrap());
    let create = |object: Object| async move {
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other.unwrap()),
        }
    };
    stream::iter(objects).map(create).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

struct Cost {
    seconds: f64,
    /// Requests by what they ask for, from the audit log.
    requests: BTreeMap<String, usize>,
    /// The most memory, in kB.
    peak: u64,
    /// Seconds of a processor.
    busy: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: usize = self.requests.values().sum();
        let Self { seconds, peak, busy, .. } = self;
        write!(f, "{seconds:.1} s, {all} requests, {} MiB at most, {busy:.1} s of a processor", peak / 1024)?;
        let mut most: Vec<(&String, &usize)> = self.requests.iter().collect();
        most.sort_by_key(|(what, count)| (std::cmp::Reverse(**count), (*what).clone()));
        most.iter().take(12).try_for_each(|(what, count)| write!(f, "\n  {count:4} {what}"))
    }
}

impl Sandbox {
    /// What a run of the program costs.
    fn measure(&self, arguments: &[&str]) -> Cost {
        let (before, began) = (self.asked().len(), Instant::now());
        let path = common::programs().display().to_string();
        let mut run = std::process::Command::new(assert_cmd::cargo::cargo_bin("bootstrapper"))
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", &self.state)
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let (mut peak, mut busy) = (0, 0.0);
        while run.try_wait().unwrap().is_none() {
            let of = |file: &str| {
                let file = PathBuf::from(format!("/proc/{}", run.id())).join(file);
                std::fs::read_to_string(file).unwrap_or_default()
            };
            let status = of("status");
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            peak = peak.max(high.trim().trim_end_matches(" kB").parse().unwrap_or(0));
            busy = f64::max(busy, ticks(&of("stat")) / 100.0);
            std::thread::sleep(Duration::from_millis(100));
        }
        let seconds = began.elapsed().as_secs_f64();
        let mut requests = BTreeMap::new();
        for asked in self.asked().split_off(before) {
            *requests.entry(asked).or_default() += 1;
        }
        Cost { seconds, requests, peak, busy }
    }

    /// Every request of a person or a run so far: `list pods`. A watch is told of once as it begins and once as it ends.
    fn asked(&self) -> Vec<String> {
        let log = self.state.join("sandboxes").join(NAME).join("logs/audit.log");
        let log = std::fs::read_to_string(log).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_a_run = events.filter(|event| event["user"]["username"] == "admin");
        of_a_run
            .map(|event| {
                let verb = event["verb"].as_str().unwrap_or_default();
                let resource = event["objectRef"]["resource"].as_str();
                format!("{verb} {}", resource.or(event["requestURI"].as_str()).unwrap_or_default())
            })
            .collect()
    }
}

/// Ticks of user and system time in a process's `stat`: the 14th and 15th field.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
