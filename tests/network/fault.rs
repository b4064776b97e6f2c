//! A fault that is made for real: what each verb says of it, and after how long.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable as _, ConstantBuilder};

use crate::site::Site;

/// A fault, and what must be said of it.
pub(crate) struct Fault {
    /// As the verb `sandbox fault` names it.
    name: &'static str,
    /// Which sandbox has it.
    cluster: &'static str,
    /// Where, if not at the usual place.
    machine: Option<&'static str>,
    /// Which verb says what: `doctor` on its first line.
    says: &'static [(Verb, &'static str)],
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Verb {
    Status,
    Doctor,
    Verify,
    /// Both clusters of a mesh.
    VerifyMesh,
}

use Verb::{Doctor, Status, Verify, VerifyMesh};

impl Verb {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Status => &["status", "infra", "--sandbox", "--only", "cilium"],
            Doctor => &["doctor", "infra", "--sandbox"],
            Verify => &["verify", "infra", "--sandbox"],
            VerifyMesh => &["verify", "infra", "apps", "--sandbox"],
        }
    }

    fn name(self) -> String {
        self.arguments()
            .iter()
            .take_while(|word| !word.starts_with("--"))
            .copied()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The line that says it, in one answer.
    fn line(self, told: &str, expected: &str) -> Option<String> {
        let lines = told.lines().filter(|line| !line.trim().is_empty());
        let count = if self == Doctor { 1 } else { usize::MAX };
        let found = lines.take(count).find(|line| line.contains(expected))?;
        Some(found.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Those of the router, which everything else hangs on.
pub(crate) const OF_THE_ROUTER: [Fault; 3] = [
    on_infra(
        "wrong-asn",
        None,
        &[(Status, "session is"), (Doctor, "error[BS-BGP-001]"), (Verify, "it expects another AS number")],
    ),
    on_infra(
        "wrong-password",
        None,
        &[(Status, "session is"), (Doctor, "error[BS-BGP-003]"), (Verify, "wrong password")],
    ),
    on_infra(
        "router-down",
        None,
        &[(Status, "session is"), (Doctor, "error[BS-BGP-002]"), (Verify, "it is off, unplugged, or")],
    ),
];

/// A cable that takes small packets only.
pub(crate) const SMALL_MTU: Fault = on_infra(
    "small-mtu",
    Some("infra-3"),
    &[(Verify, "infra-3: its eth0 takes packets of up to 1280 bytes, and the others' 1500")],
);

/// The rest of what one cluster can have.
pub(crate) const OTHERS: [Fault; 7] = [
    on_infra("router-slow", None, &[(Verify, "slow (")]),
    // Its kubelet starts it again at once.
    on_infra("agent-killed", Some("infra-2"), &[(Status, "2 of 3 nodes have an agent")]),
    on_infra(
        "agent-hangs",
        Some("infra-2"),
        &[
            (Status, "2 of 3 nodes have an agent"),
            (Doctor, "error[BS-POD-006]"),
            (Verify, "infra-2: its agent is not ready"),
        ],
    ),
    on_infra(
        "link-down",
        Some("infra-3"),
        &[
            (Status, "infra-3: no heartbeat since"),
            (Doctor, "Node infra-3"),
            (Verify, "infra-3: no heartbeat for"),
        ],
    ),
    on_infra(
        "node-down",
        Some("infra-3"),
        &[
            (Status, "infra-3: no heartbeat since"),
            (Doctor, "Node infra-3"),
            (Verify, "infra-3: no heartbeat for"),
        ],
    ),
    on_infra("packet-loss", Some("infra-3"), &[(Verify, "possible packet loss")]),
    on_infra(
        "api-server-gone",
        None,
        &[
            (Status, "check that the API server runs"),
            (Doctor, "cannot reach the API server"),
            (Verify, "check that the API server runs"),
        ],
    ),
];

/// What only a mesh can have.
pub(crate) const OTHER_AUTHORITY: Fault = Fault {
    name: "other-authority",
    cluster: "apps",
    machine: None,
    says: &[(VerifyMesh, "do not share a CA")],
};

const fn on_infra(
    name: &'static str,
    machine: Option<&'static str>,
    says: &'static [(Verb, &'static str)],
) -> Fault {
    Fault { name, cluster: "infra", machine, says }
}

/// How a fault went.
pub(crate) struct Rehearsed {
    fault: &'static str,
    said: Vec<Said>,
    well_after: Duration,
}

/// The answer of one verb.
struct Said {
    verb: Verb,
    after: Duration,
    /// What names the fault, or all that was told last.
    line: Result<String, String>,
}

const POLICY: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(300)).with_max_times(200);

/// Nobody waits longer for a word.
const LIMIT: Duration = Duration::from_mins(3);

impl Fault {
    /// Makes it, asks all verbs at once, each again and again until it says what it must, and heals it.
    pub(crate) fn rehearse(&self, site: &Site) -> Rehearsed {
        let mut fault = vec!["sandbox", "fault", self.cluster, self.name];
        fault.extend(self.machine.into_iter().flat_map(|machine| ["--machine", machine]));
        site.bare(&fault).assert().success();
        let began = Instant::now();
        let said = std::thread::scope(|scope| {
            let asked: Vec<_> = self
                .says
                .iter()
                .map(|(verb, expected)| {
                    scope.spawn(move || {
                        let line = self.asked(site, *verb, expected);
                        Said { verb: *verb, after: began.elapsed(), line }
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        site.bare(&["sandbox", "heal", self.cluster]).assert().success();
        let healed = Instant::now();
        let verb = if self.says.iter().any(|(verb, _)| *verb == VerifyMesh) { VerifyMesh } else { Status };
        self.until_well(site, verb);
        let well_after = healed.elapsed();
        let rehearsed = Rehearsed { fault: self.name, said, well_after };
        eprint!("{}", rehearsed.rows());
        rehearsed
    }

    fn asked(&self, site: &Site, verb: Verb, expected: &str) -> Result<String, String> {
        let began = Instant::now();
        let ask = || {
            let output = site.about(verb.arguments()).output().unwrap();
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let unsaid =
                || format!("{} does not say {expected:?} of {}, but:\n{told}", verb.name(), self.name);
            verb.line(&told, expected).ok_or_else(unsaid)
        };
        ask.retry(POLICY).when(|_| began.elapsed() < LIMIT).call()
    }

    fn until_well(&self, site: &Site, verb: Verb) {
        let began = Instant::now();
        let ask = || {
            let output = site.about(verb.arguments()).output().unwrap();
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            if output.status.success() { Ok(()) } else { Err(told) }
        };
        if let Err(told) = ask.retry(POLICY).when(|_| began.elapsed() < LIMIT).call() {
            panic!("{} does not heal:\n{told}", self.name);
        }
    }
}

impl Rehearsed {
    /// What some verb should have said, and did not.
    pub(crate) fn unsaid(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter_map(|said| said.line.as_ref().err()).map(String::as_str)
    }

    /// A row for each verb.
    fn rows(&self) -> String {
        let mut rows = String::new();
        for Said { verb, after, line } in &self.said {
            let line = line.as_deref().unwrap_or("it does not say so");
            let line = line.replace('|', "\\|").replace('<', "&lt;");
            let _ = writeln!(
                rows,
                "| `{}` | `{}` | {:.1} s | {line} | {:.1} s |",
                self.fault,
                verb.name(),
                after.as_secs_f64(),
                self.well_after.as_secs_f64()
            );
        }
        rows
    }
}

/// The generated page with all faults.
pub(crate) fn page(all: &[Rehearsed]) -> String {
    let rows: String = all.iter().map(Rehearsed::rows).collect();
    format!(
        "# Network faults and their diagnosis\n\n\
        `bootstrapper sandbox fault` injects each fault on the [real network](real-network.md) of a sandbox with three nodes. All commands of its rows run repeatedly, in parallel, \
        until their output names the fault; then `bootstrapper sandbox heal` reverts it. Seconds count from the fault to the end of the output that names it; `doctor` must \
        name it on its first line. `NETWORK_WRITE=1 cargo test --test network every_fault -- --ignored` generates this page, on a machine with 2 cores, with a debug build.\n\n\
        | fault | command | named after | line | healthy after `heal` |\n| --- | --- | --- | --- | --- |\n{rows}"
    )
}
