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
use crate::gallery::sandbox::{NAME, Sandbox};
use crate::gallery::stage::Stage;

const NODES: usize = 500;
const PODS: usize = 5000;
const AT_ONCE: usize = 16;
/// So many objects of a kind may be asked for one by one.
const FEW: usize = 8;
/// A wait looks around for so long, and asks no more than once in so many seconds from then on.
const FIRST_SECONDS: i64 = 30;
const SECONDS_TO_ASK: f64 = 10.0;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test cluster gallery::large -- --ignored --nocapture"]
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
    let doctor = sandbox.measure(&["doctor", NAME, "--sandbox"]);
    // A list of each kind, what serves it, and the way to the causes: whatever the number of objects.
    assert!(doctor.asked("get nodes") <= FEW && doctor.all() <= 120, "{doctor}");
    sandbox.measure(&["status", NAME, "--sandbox"]);
    for step in ["core", "cilium/wait-nodes"] {
        let wait =
            sandbox.measure(&[NAME, "--sandbox", "--only", step, "--timeout", "2m", "--progress", "plain"]);
        let most = wait.seconds / SECONDS_TO_ASK;
        assert!(f64::from(wait.steady) <= most, "{} requests in {:.0} s: {wait}", wait.steady, wait.seconds);
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
    /// How many of them were made for a diagnosis, after its first looks.
    steady: u32,
    /// The most memory, in kB.
    peak: u64,
    /// Seconds of a processor.
    busy: f64,
}

impl Cost {
    fn all(&self) -> usize {
        self.requests.values().sum()
    }

    fn asked(&self, what: &str) -> usize {
        self.requests.get(what).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let watches: usize =
            self.requests.iter().filter(|(what, _)| what.starts_with("watch")).map(|(_, count)| count).sum();
        let Self { seconds, steady, peak, busy, .. } = self;
        write!(
            f,
            "{seconds:.1} s, {} requests, {watches} of them watches, {steady} of a diagnosis after {FIRST_SECONDS} s, {} MiB at most, {busy:.1} s of a processor",
            self.all(),
            peak / 1024
        )?;
        let mut most: Vec<(&String, &usize)> = self.requests.iter().collect();
        most.sort_by_key(|(what, count)| (std::cmp::Reverse(**count), (*what).clone()));
        most.iter().take(12).try_for_each(|(what, count)| write!(f, "\n  {count:4} {what}"))
    }
}

/// One request of a person or a run.
struct Asked {
    at: jiff::Timestamp,
    /// `list pods`
    what: String,
}

impl Asked {
    /// Of an event of the audit log: watches as they begin, everything else as it ends.
    fn of(event: &Value) -> Option<Self> {
        let (user, verb) = (&event["user"]["username"], event["verb"].as_str()?);
        let counts = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        if user != "admin" || event["stage"] != counts {
            return None;
        }
        let of = event["objectRef"]["resource"].as_str().or(event["requestURI"].as_str())?;
        Some(Self {
            at: event["requestReceivedTimestamp"].as_str()?.parse().ok()?,
            what: format!("{verb} {of}"),
        })
    }

    /// Whether a wait's diagnosis asks for it: not a watch, and not the run's own lock and record.
    fn is_of_a_diagnosis(&self) -> bool {
        !["watch ", "update ", "patch ", "get leases", "get configmaps"]
            .iter()
            .any(|own| self.what.starts_with(own))
    }
}

impl Sandbox {
    /// What a run of the program costs.
    fn measure(&self, arguments: &[&str]) -> Cost {
        let (from, began) = (jiff::Timestamp::now(), Instant::now());
        let path = common::programs().display().to_string();
        let mut run = std::process::Command::new(assert_cmd::cargo::cargo_bin("bootstrapper"))
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", &self.state)
            .env("BOOTSTRAPPER_TRUST", "1")
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
        let asked = self.asked_since(from);
        let is_steady = |one: &&Asked| one.at.as_second() >= from.as_second() + FIRST_SECONDS;
        let steady = asked.iter().filter(is_steady).filter(|one| one.is_of_a_diagnosis()).map(|_| 1).sum();
        let mut requests = BTreeMap::new();
        for one in asked {
            *requests.entry(one.what).or_default() += 1;
        }
        let cost = Cost { seconds, requests, steady, peak, busy };
        eprintln!("{}: {cost}", arguments.join(" "));
        cost
    }

    /// Every request from then on. The API server begins a new file when one is long.
    fn asked_since(&self, from: jiff::Timestamp) -> Vec<Asked> {
        let logs = self.state.join("sandboxes").join(NAME).join("logs");
        let files = std::fs::read_dir(logs).unwrap().map(|entry| entry.unwrap());
        let audits = files.filter(|file| file.file_name().to_string_lossy().starts_with("audit"));
        let texts: Vec<String> = audits.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter_map(|event| Asked::of(&event)).filter(|asked| asked.at >= from).collect()
    }
}

/// Ticks of user and system time in a process's `stat`: the 14th and 15th field.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
