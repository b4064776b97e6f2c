//! Image pulls that fail or take long.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::certificates;
use super::facts::{between, cut, line, list, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::text;

pub(super) const CODES: &[&Code] = &[&NOT_THERE, &REFUSED, &UNREACHED, &NOT_PULLED, &PULLING];

static NOT_THERE: Code = Code {
    code: "BS-IMG-001",
    title: "An image does not exist",
    why: "The registry answers that it has no such name or tag",
    tell: "The kubelet's message ends in `not found` or `manifest unknown`",
    fix: "correct the image's name or tag, or push it",
};

static REFUSED: Code = Code {
    code: "BS-IMG-002",
    title: "A registry denies access to an image",
    why: "The image is private, and the pod has no or wrong credentials; some registries answer the same for images that do not exist",
    tell: "The kubelet's message contains 401, 403, `unauthorized` or `access denied`",
    fix: "give the pod or its ServiceAccount an imagePullSecret that the registry accepts",
};

static UNREACHED: Code = Code {
    code: "BS-IMG-003",
    title: "A node cannot reach a registry",
    why: "The node's own DNS or route to the registry fails, or the registry is down; the pod network is not involved",
    tell: "The kubelet's message contains `no such host`, `i/o timeout`, `connection refused` or `no route to host`",
    fix: "test the registry's address from the node; check its DNS servers, proxy and mirrors",
};

static NOT_PULLED: Code = Code {
    code: "BS-IMG-004",
    title: "An image cannot be pulled",
    why: "The container runtime reports another reason: a rate limit, a full disk, a broken mirror",
    tell: "The container waits with ErrImagePull or ImagePullBackOff",
    fix: "read the kubelet's message; check the node's disk and the registry's rate limits",
};

static PULLING: Code = Code {
    code: "BS-IMG-005",
    title: "An image pull is in progress",
    why: "Large images and slow connections take time",
    tell: "The last event is Pulling, without Pulled or Failed after it",
    fix: "wait; no action needed; a registry mirror in the cluster (spegel) makes it faster",
};

pub(super) fn not_pulled(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object, container: &Value) -> Insight {
    let image = text(&container["image"]);
    let waiting = text(&container["state"]["waiting"]["message"]);
    let events = inquiry.events(id);
    let said = events
        .iter()
        .rev()
        .map(|event| event.message())
        .find(|message| message.starts_with("Failed to pull image") && message.contains(image))
        .unwrap_or(waiting);
    let certificate = certificates::refused(said);
    if !certificate.is_empty() {
        return certificate;
    }
    let node = text(&pod.data["spec"]["nodeName"]);
    let code = kind_of(said);
    let reason = reason(said);
    let what = match code.code {
        "BS-IMG-001" => format!("image {image} does not exist"),
        "BS-IMG-002" => format!("the registry denies access to image {image}"),
        "BS-IMG-003" => format!("node {node} cannot reach the registry of image {image}"),
        _ => format!("image {image} cannot be pulled on {node}"),
    };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let own = Finding::new(code, format!("{what}{reason}"))
        .evidence(format!("{}: {}", text(&container["state"]["waiting"]["reason"]), line(said)))
        .evidence(format!("container {} on node {node}", text(&container["name"])));
    // Credentials that do not exist are why it is refused, if it is.
    let pulls = events.iter().rev().find(|event| event.reason() == "FailedToRetrieveImagePullSecret");
    let wanted = pulls.map(|event| super::words::wanted(event.message(), namespace(id)));
    let wanted = wanted.filter(|_| code == &REFUSED).unwrap_or_default();
    Insight::from(own).join(Insight::waits_for(wanted))
}

fn kind_of(said: &str) -> &'static Code {
    let said = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    if has(&[
        "no such host",
        "i/o timeout",
        "connection refused",
        "no route to host",
        "network is unreachable",
        "deadline exceeded",
        "server misbehaving",
    ]) {
        &UNREACHED
    } else if has(&[
        "unauthorized",
        "access denied",
        "access forbidden",
        "401",
        "403",
        "authorization failed",
        "denied:",
    ]) {
        &REFUSED
    } else if has(&["not found", "manifest unknown", "name unknown"]) {
        &NOT_THERE
    } else {
        &NOT_PULLED
    }
}

/// The last meaningful part of a chain of wrapped errors.
fn reason(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    for start in ["dial tcp: ", "dial tcp ", "failed to authorize: ", "unexpected status"] {
        if let Some(at) = first.rfind(start) {
            return cut(first.get(at..).unwrap_or(first));
        }
    }
    cut(first.rsplit(": ").next().unwrap_or_default())
}

static TOOK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"pulled image "([^"]+)" in ([0-9a-z.]+)"#).ok());

/// A pull in progress: its duration so far, and the duration of the last one.
pub(super) fn pulling(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let events = inquiry.events(id);
    let last = events.iter().rev().find(|event| matches!(event.reason(), "Pulling" | "Pulled" | "Failed"));
    let Some(pulling) = last.filter(|event| event.reason() == "Pulling") else { return Insight::nothing() };
    let image = between(pulling.message(), "\"", "\"").unwrap_or_default();
    let node = text(&pod.data["spec"]["nodeName"]);
    let since = inquiry.seconds_since(pulling.time()).unwrap_or_default();
    let others = inquiry.all(&Selection::of("v1", "Event").within(namespace(id)));
    let took = others.iter().rev().find_map(|event| {
        let found = TOOK.as_ref()?.captures(event.data["message"].as_str()?)?;
        (&found[1] == image).then(|| found[2].to_owned())
    });
    let last = took.map_or_else(String::new, |took| format!("; its last pull took {took}"));
    let count = list(&pod.data["spec"]["containers"]).count();
    Finding::new(&PULLING, format!("pulling image {image} on {node} for {since} s{last}"))
        .evidence(bootstrapper_core::words::count(count as u64, "container"))
        .transient()
        .into()
}
