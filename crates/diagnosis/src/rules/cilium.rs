//! Cilium: its agents, and the addresses that its operator assigns.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::{cut, line, list};
use super::holders;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{Condition, cilium, condition, text};

pub(super) const CODES: &[&Code] =
    &[&NO_CRDS, &API_UNREACHED, &NO_POOL, &EXHAUSTED, &POOLS_OVERLAP, &NOT_AVAILABLE, &NO_OPERATOR];

static NO_CRDS: Code = Code {
    code: "BS-CIL-001",
    title: "A Cilium agent waits for Cilium's CRDs",
    why: "Cilium's operator creates them and has not: it does not run, or is not allowed to write CRDs",
    tell: "The agent's log says `Waiting for CRDs` or `timed out waiting for CRDs`; the agent exits after five minutes",
    fix: "check Deployment cilium-operator first: it creates the CRDs at startup",
};

static API_UNREACHED: Code = Code {
    code: "BS-CIL-003",
    title: "A Cilium agent cannot reach the API server",
    why: "Without kube-proxy, the agent needs an API server address that works before the pod network: k8sServiceHost and k8sServicePort",
    tell: "The agent's log says `Unable to contact k8s api-server` with the address that it uses",
    fix: "compare k8sServiceHost and k8sServicePort (API_SERVER_HOST and API_SERVER_PORT in settings.yaml) with the API server's address; test it from the node",
};

static NO_POOL: Code = Code {
    code: "BS-CIL-004",
    title: "No address pool matches a LoadBalancer Service",
    why: "No CiliumLoadBalancerIPPool has a selector that matches it, or none contains the address that it requests",
    tell: "The Service's condition `cilium.io/IPAMRequestSatisfied` is False with `no_pool`",
    fix: "declare a CiliumLoadBalancerIPPool whose serviceSelector matches the Service and whose blocks contain the address",
};

static EXHAUSTED: Code = Code {
    code: "BS-CIL-005",
    title: "An address pool is exhausted",
    why: "There are more LoadBalancer Services than addresses, or Services that share an address use the same port",
    tell: "The Service's condition `cilium.io/IPAMRequestSatisfied` is False with `out_of_ips`",
    fix: "add a block to the pool, or let Services share an address (lbipam.cilium.io/sharing-key)",
};

static POOLS_OVERLAP: Code = Code {
    code: "BS-CIL-006",
    title: "An address pool overlaps another pool",
    why: "Two CiliumLoadBalancerIPPools contain the same addresses; Cilium disables the younger one",
    tell: "The pool's condition `cilium.io/PoolConflict` is True",
    fix: "give each pool its own addresses",
};

static NOT_AVAILABLE: Code = Code {
    code: "BS-CIL-007",
    title: "The address that a LoadBalancer Service requests is not available",
    why: "Another Service uses it, or no pool that selects the Service contains it",
    tell: "The Service's condition `cilium.io/IPAMRequestSatisfied` is False; its message names the address",
    fix: "request another address, or free it on the Service that uses it",
};

static NO_OPERATOR: Code = Code {
    code: "BS-CIL-008",
    title: "No controller assigns addresses to LoadBalancer Services",
    why: "The cluster has no load-balancer controller, or Cilium's operator does not run",
    tell: "The Service has no address and no condition with a reason",
    fix: "declare a CiliumLoadBalancerIPPool, and check that Deployment cilium-operator runs",
};

/// How many seconds a controller may take to assign an address.
const PATIENCE: i64 = 20;

/// Messages of programs that cannot reach an address.
pub(super) const UNREACHED: [&str; 6] = [
    "no route to host",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "deadline exceeded",
    "connection timed out",
];

static DIALED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"dial tcp [^\s]+?: (?:connect: )?[a-z/ ]+").ok());

/// The agents on a node; none while they are unknown. All agents are listed at once: a fault of one node
/// is often a fault of many.
pub(super) fn agents_on<'a>(inquiry: &Inquiry<'a>, node: &str) -> Option<Vec<&'a Object>> {
    let agents = inquiry.list(&Selection::of("v1", "Pod").labelled(cilium::AGENTS))?;
    Some(agents.into_iter().filter(|agent| agent.data["spec"]["nodeName"] == node).collect())
}

/// The Cilium-specific causes of a crash in an agent's log.
pub(super) fn agent_crash(id: &ObjectRef, pod: &Object, log: &str) -> Insight {
    if !cilium::is_agent(pod) {
        return Insight::nothing();
    }
    let node = text(&pod.data["spec"]["nodeName"]);
    let says = |signs: &[&str]| log.lines().rev().find(|line| signs.iter().any(|sign| line.contains(sign)));
    if let Some(said) = says(&UNREACHED) {
        let short = DIALED
            .as_ref()
            .and_then(|dialed| dialed.find(said))
            .map_or_else(|| cut(said.trim()), |dialed| dialed.as_str().to_owned());
        return Finding::new(
            &API_UNREACHED,
            format!("the Cilium agent on {node} cannot reach the API server: \"{short}\""),
        )
        .evidence(format!("{}: {}", id.name, cut(said.trim())))
        .into();
    }
    if let Some(said) = says(&["Waiting for CRDs", "waiting for CRDs", "Unable to find all Cilium CRDs"]) {
        return Finding::new(&NO_CRDS, format!("the Cilium agent on {node} is waiting for Cilium's CRDs"))
            .evidence(cut(said.trim()))
            .into();
    }
    Insight::nothing()
}

pub(super) fn pool(pool: &Object) -> Insight {
    let conflict = condition(pool, "cilium.io/PoolConflict").filter(Condition::is_true);
    conflict
        .map(|conflict| {
            Finding::new(&POOLS_OVERLAP, format!("assigns no addresses: {}", line(conflict.message())))
        })
        .into()
}

/// Why a Service has no load-balancer address.
pub(super) fn address(inquiry: &Inquiry<'_>, id: &ObjectRef, service: &Object) -> Insight {
    let has_address = list(&service.data["status"]["loadBalancer"]["ingress"]).next().is_some();
    if service.data["spec"]["type"] != "LoadBalancer" || has_address {
        return Insight::nothing();
    }
    let Some(told) = condition(service, "cilium.io/IPAMRequestSatisfied").filter(Condition::is_false) else {
        return unanswered(inquiry, service);
    };
    let said = line(told.message());
    let pools: Vec<&Object> = inquiry.all(&Selection::of("cilium.io/v2", "CiliumLoadBalancerIPPool"));
    let conflicting = pools
        .into_iter()
        .filter(|pool| condition(pool, "cilium.io/PoolConflict").is_some_and(|conflict| conflict.is_true()));
    let (code, what) = match told.reason() {
        "no_pool" | "pool_selector_mismatch" => {
            (&NO_POOL, format!("has no load-balancer address: no pool selects it ({said})"))
        }
        "out_of_ips" => {
            (&EXHAUSTED, format!("has no load-balancer address: its pools are exhausted ({said})"))
        }
        _ => (&NOT_AVAILABLE, format!("has no load-balancer address: {said}")),
    };
    // Who has the address, for one that is requested.
    let address =
        holders::address_in(told.message()).filter(|_| told.reason().starts_with("already_allocated"));
    let others = address.map(|address| {
        let has = |service: &Object| holders::has_address(service, address);
        holders::holders(inquiry, &has).into_iter().filter(|holder| holder != id).collect::<Vec<_>>()
    });
    let others: Vec<String> = others.iter().flatten().map(ToString::to_string).collect();
    let what = if others.is_empty() { what } else { format!("{what}; {} has it", others.join(", ")) };
    let own = Finding::new(code, what)
        .evidence(told.describe())
        .evidence(format!("type LoadBalancer in {}", super::facts::namespace(id)));
    Insight::from(own).and_for(conflicting)
}

fn unanswered(inquiry: &Inquiry<'_>, service: &Object) -> Insight {
    let age = inquiry.age(service);
    let own = Finding::new(
        &NO_OPERATOR,
        format!("has no load-balancer address after {age} s, and no controller reports a reason"),
    );
    if age < PATIENCE {
        return Finding::new(&NO_OPERATOR, format!("waiting for its load-balancer address for {age} s"))
            .transient()
            .into();
    }
    Insight::from(own).join(operator(inquiry))
}

/// Cilium's operator, wherever it is.
pub(super) fn operator(inquiry: &Inquiry<'_>) -> Insight {
    let operators = Selection::of("apps/v1", "Deployment").labelled(cilium::OPERATOR);
    Insight::nothing().and_for(inquiry.all(&operators))
}
