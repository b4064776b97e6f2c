//! Crashed containers: their last log lines have the cause.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::facts::{cut, line};
use super::{certificates, cilium, dns, mesh, refusals};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Event, Inquiry};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{number, text};

pub(super) static CRASHES: Code = Code {
    code: "BS-POD-001",
    title: "A container crashes repeatedly",
    why: "Its program exits with an error, usually because of its settings or because a dependency does not answer",
    tell: "The container waits with CrashLoopBackOff; the finding quotes the most relevant line of its log",
    fix: "read the rest of its log (`kubectl logs --previous`), and fix what it reports",
};

pub(super) static OUT_OF_MEMORY: Code = Code {
    code: "BS-POD-002",
    title: "A container exceeds its memory limit",
    why: "The kernel killed it at its memory limit",
    tell: "Its last state is OOMKilled with exit code 137",
    fix: "raise `resources.limits.memory`, or find out why it uses so much memory",
};

pub(super) static KILLED: Code = Code {
    code: "BS-POD-010",
    title: "A container is killed",
    why: "Its liveness probe fails, the node is out of memory, or another process kills it; it did not exit by itself",
    tell: "Its last exit code is 137 (SIGKILL) or 143 (SIGTERM); if the liveness probe failed, there is an event Killing",
    fix: "check what its liveness probe tests and its timeouts; check whether the node is out of memory (`dmesg`)",
};

/// A terminated container.
pub(super) struct Ended<'a> {
    pub(super) id: &'a ObjectRef,
    pub(super) pod: &'a Object,
    pub(super) container: &'a Value,
    /// Its last container state `terminated`.
    pub(super) last: &'a Value,
    pub(super) is_init: bool,
    /// Whether its log is that of the previous run.
    pub(super) was_before: bool,
}

pub(super) fn inspect(inquiry: &Inquiry<'_>, ended: &Ended<'_>) -> Insight {
    let name = text(&ended.container["name"]);
    if ended.last["reason"] == "OOMKilled" {
        let limit = limit_of(ended.pod, name);
        return Finding::new(
            &OUT_OF_MEMORY,
            format!("container {name} was killed at its memory limit{limit}"),
        )
        .evidence(format!("OOMKilled, {}", restarts(ended.container)))
        .into();
    }
    let log = inquiry.log(ended.id, name, ended.was_before);
    let log = if log.is_empty() { text(&ended.last["message"]) } else { log };
    let of_its_kind = cilium::agent_crash(ended.id, ended.pod, log).or(|| mesh::crash(ended.pod, log));
    of_its_kind
        .or(|| certificates::refused(log))
        .or(|| dns::lookup_failed(inquiry, log))
        .or(|| forbidden(log))
        .or(|| killed(inquiry, ended, name, log).into())
        .or(|| plain(ended, name, log).into())
}

/// The log of a killed program is only evidence, not the cause.
fn killed(inquiry: &Inquiry<'_>, ended: &Ended<'_>, name: &str, log: &str) -> Option<Finding> {
    let signal = match number(&ended.last["exitCode"]) {
        137 => "SIGKILL",
        143 => "SIGTERM",
        _ => return None,
    };
    let events = inquiry.events(ended.id);
    let newest = |reason: &str, words: &str| {
        let is_it = |event: &&Event<'_>| event.reason() == reason && event.message().contains(words);
        events.iter().rev().find(is_it).map(|event| line(event.message()))
    };
    let what = if newest("Killing", "failed liveness probe").is_some() {
        let said = newest("Unhealthy", "Liveness probe failed").unwrap_or_default();
        let said = said.trim_start_matches("Liveness probe failed: ");
        format!("container {name} was killed because its liveness probe fails: {said}")
    } else {
        format!("container {name} was killed ({signal}); it did not exit by itself")
    };
    let finding = Finding::new(&KILLED, what).evidence(format!("{signal}, {}", restarts(ended.container)));
    let finding = finding.evidence(on_node(ended.pod));
    Some(match telling(log) {
        Some(said) => finding.evidence(format!("{name}: {said}")),
        None => finding,
    })
}

fn on_node(pod: &Object) -> String {
    format!("on node {}", text(&pod.data["spec"]["nodeName"]))
}

fn plain(ended: &Ended<'_>, name: &str, log: &str) -> Finding {
    let kind = if ended.is_init { "init container" } else { "container" };
    let code = number(&ended.last["exitCode"]);
    let said = telling(log).map_or_else(|| format!("exit code {code}, no log"), |said| format!("\"{said}\""));
    let finding = Finding::new(&CRASHES, format!("{kind} {name} crashes: {said}"))
        .evidence(format!("exit code {code}, {}", restarts(ended.container)));
    finding.evidence(on_node(ended.pod))
}

/// A missing permission, as the API server reported it to the program.
fn forbidden(log: &str) -> Insight {
    let line = log.lines().rev().find(|line| line.contains("is forbidden: User"));
    line.map_or_else(Insight::nothing, |line| refusals::forbidden(line).into())
}

fn limit_of(pod: &Object, name: &str) -> String {
    let containers = super::facts::list(&pod.data["spec"]["containers"]);
    let limit = containers
        .filter(|container| container["name"] == name)
        .find_map(|container| container["resources"]["limits"]["memory"].as_str());
    limit.map(|limit| format!(" of {limit}")).unwrap_or_default()
}

fn restarts(container: &Value) -> String {
    bootstrapper_core::words::count(container["restartCount"].as_u64().unwrap_or_default(), "restart")
}

static TELLING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(fatal|panic|error|exception|fail(ed|ure)?|cannot|can't|could not|couldn't|unable|denied|refused|invalid|unknown|missing|no such|not found|required)\b").ok()
});

/// The most relevant line of a log: its last error, else its last line.
pub(super) fn telling(log: &str) -> Option<String> {
    let lines = || log.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    // A stack trace follows its message.
    let panic = lines().find(|line| line.starts_with("panic: ") || line.starts_with("fatal error: "));
    let complaint = || lines().find(|line| TELLING.as_ref().is_some_and(|telling| telling.is_match(line)));
    panic.or_else(complaint).or_else(|| lines().next()).map(cut)
}
