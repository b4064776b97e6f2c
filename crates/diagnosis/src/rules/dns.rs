//! Failed DNS lookups: is it the name, or the cluster's DNS?

use std::sync::LazyLock;

use regex::Regex;

use super::facts::{all_in, cut, endpoints, label};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};

pub(super) static DOWN: Code = Code {
    code: "BS-SVC-002",
    title: "The cluster's DNS does not answer",
    why: "CoreDNS does not run, its Service has no endpoints, or pods cannot reach it",
    tell: "Programs log `lookup … i/o timeout`, `connection refused` or `server misbehaving`",
    fix: "fix the CoreDNS pods first: nearly everything depends on them",
};

pub(super) static NO_SUCH_NAME: Code = Code {
    code: "BS-SVC-003",
    title: "A host name does not exist",
    why: "It is misspelled, its Service does not exist, or it is in another namespace",
    tell: "DNS answers with `no such host`",
    fix: "correct the name; inside the cluster it is <service>.<namespace>.svc",
};

static LOOKUP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"lookup ([^\s:]+)(?: on ([0-9a-fA-F.:\[\]]+:53))?: ([^\n]*)").ok());

/// Messages of programs that are not written in Go.
const OTHERS: [&str; 4] =
    ["Temporary failure in name resolution", "Could not resolve host", "EAI_AGAIN", "getaddrinfo ENOTFOUND"];

/// The cause of a failed lookup; nothing if none failed.
pub(super) fn lookup_failed(inquiry: &Inquiry<'_>, log: &str) -> Insight {
    let last = log.lines().rev().find(|line| {
        LOOKUP.as_ref().is_some_and(|lookup| lookup.is_match(line))
            || OTHERS.iter().any(|sign| line.contains(sign))
    });
    let Some(last) = last else { return Insight::nothing() };
    let words = LOOKUP.as_ref().and_then(|lookup| lookup.captures(last));
    let name = words.as_ref().map_or("a name", |words| words.get(1).map_or("", |name| name.as_str()));
    let is_answer = last.contains("no such host") || last.contains("ENOTFOUND");
    let quoted = format!("\"{}\"", cut(last.trim()));
    let own = if is_answer {
        Finding::new(&NO_SUCH_NAME, format!("host name {name} does not exist: {quoted}"))
    } else {
        Finding::new(&DOWN, format!("the cluster's DNS does not answer: {quoted}"))
    };
    let server = words.as_ref().and_then(|words| words.get(2)).map(|server| server.as_str());
    Insight {
        findings: vec![own],
        waits_for: if is_answer { Vec::new() } else { of_cluster(inquiry, server) },
    }
}

/// The Service of the cluster's DNS, if it has no ready endpoints: the one that was queried, or that has
/// the usual name or label.
fn of_cluster(inquiry: &Inquiry<'_>, server: Option<&str>) -> Vec<ObjectRef> {
    let asked = server.and_then(|server| server.strip_suffix(":53"));
    let is_dns = |service: &&Object| {
        label(service, "k8s-app") == "kube-dns"
            || service.metadata.name.as_deref() == Some("kube-dns")
            || asked.is_some_and(|asked| service.data["spec"]["clusterIP"] == asked)
    };
    let services = inquiry.all(&all_in("v1", "Service", "kube-system"));
    let services = services.into_iter().filter(is_dns).map(ObjectRef::of);
    services.filter(|service| endpoints(inquiry, service) == Some(0)).collect()
}
