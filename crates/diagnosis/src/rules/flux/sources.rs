//! Repositories, registries and charts.

use super::super::certificates;
use super::super::facts::{line, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{condition, text};

pub(super) static REFUSED: Code = Code {
    code: "BS-FLX-001",
    title: "A source server rejects the credentials",
    why: "They are missing, malformed or expired, or do not grant access to this repository, which some hosts report as not found",
    tell: "The source says `AuthenticationFailed`, `authentication required`, `repository not found`, 401 or 403",
    fix: "check the URL; give the source a secretRef with valid credentials in the source's namespace",
};

pub(super) static UNREACHED: Code = Code {
    code: "BS-FLX-002",
    title: "Flux cannot reach a git server or registry",
    why: "The address is wrong, or source-controller cannot connect to it: DNS, network policy, proxy",
    tell: "The source says `no such host`, `connection refused` or `i/o timeout`",
    fix: "check the URL; test it from a pod in flux-system",
};

pub(super) static PULL_FAILED: Code = Code {
    code: "BS-FLX-003",
    title: "A source cannot be fetched",
    why: "The server reports another reason",
    tell: "The source's condition Ready is False; the finding quotes source-controller's message",
    fix: "read source-controller's message, and compare the source's URL and reference with the server",
};

pub(super) static NO_BRANCH: Code = Code {
    code: "BS-FLX-004",
    title: "A branch, tag or commit does not exist",
    why: "`spec.ref` of the GitRepository is misspelled, or was not pushed",
    tell: "The source says `couldn't find remote ref` or `reference not found`",
    fix: "push the branch, or correct `spec.ref`",
};

pub(super) static NO_VERSION: Code = Code {
    code: "BS-FLX-005",
    title: "A chart or artifact version does not exist",
    why: "The version was never published, was removed, or the range matches no version",
    tell: "The source says `no chart version found`, `not found` or `MANIFEST_UNKNOWN`",
    fix: "use a version that exists in the registry (`helm search repo`, `helm show chart oci://…`)",
};

pub(super) static FETCHING: Code = Code {
    code: "BS-FLX-006",
    title: "A source fetch is in progress",
    why: "Flux has just started",
    tell: "The source has not failed yet",
    fix: "wait; no action needed",
};

/// How many seconds a first fetch may take.
const PATIENCE: i64 = 60;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let spec = &object.data["spec"];
    let upstream = super::source(inquiry, id, &spec["sourceRef"]);
    if !upstream.is_empty() {
        return upstream;
    }
    let Some(ready) = condition(object, "Ready") else { return Insight::nothing() };
    if !ready.is_false() {
        let since = inquiry.seconds_since(ready.since()).unwrap_or_default();
        let fetching = Finding::new(&FETCHING, format!("fetch in progress for {since} s")).transient();
        return if since < PATIENCE { fetching.into() } else { Insight::nothing() };
    }
    let said = ready.message();
    let certificate = certificates::refused(said);
    if !certificate.is_empty() {
        return certificate;
    }
    let url = text(&spec["url"]);
    let place = if url.is_empty() { String::new() } else { format!(" ({url})") };
    let code = kind_of(ready.reason(), said);
    let what = match code.code {
        "BS-FLX-001" => format!("the server denies access{place}: {}", last_parts(said)),
        "BS-FLX-002" => format!("cannot reach the server{place}: {}", last_parts(said)),
        "BS-FLX-004" => format!("{} does not exist in {url}", reference(spec)),
        "BS-FLX-005" => format!("{} does not exist{place}: {}", version(spec), last_parts(said)),
        _ => format!("fetch failed{place}: {}", last_parts(said)),
    };
    Finding::new(code, what)
        .evidence(line(&ready.describe()))
        .evidence(format!("in namespace {}", namespace(id)))
        .into()
}

fn kind_of(reason: &str, said: &str) -> &'static Code {
    let low = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| low.contains(sign));
    if has(&[
        "couldn't find remote ref",
        "reference not found",
        "unable to resolve commit",
        "object not found",
    ]) {
        &NO_BRANCH
    } else if reason == "AuthenticationFailed"
        || has(&[
            "authentication required",
            "repository not found",
            "authorization failed",
            "unauthorized",
            "401",
            "403",
            "unable to authenticate",
            "access denied",
            "invalid credentials",
        ])
    {
        &REFUSED
    } else if has(&[
        "no such host",
        "connection refused",
        "i/o timeout",
        "no route to host",
        "network is unreachable",
        "server misbehaving",
    ]) {
        &UNREACHED
    } else if has(&[
        "no chart version",
        "chart with version",
        "manifest_unknown",
        "manifest unknown",
        "name_unknown",
        "not found",
        "no match found for semver",
    ]) {
        &NO_VERSION
    } else {
        &PULL_FAILED
    }
}

/// The end of a chain of wrapped errors, which has the reason.
fn last_parts(said: &str) -> String {
    let first = line(said);
    let parts: Vec<&str> = first.split(": ").collect();
    let from = parts.len().saturating_sub(2);
    parts[from..].join(": ")
}

fn reference(spec: &serde_json::Value) -> String {
    let of = &spec["ref"];
    for (key, word) in [
        ("commit", "commit"),
        ("name", "reference"),
        ("semver", "version"),
        ("tag", "tag"),
        ("branch", "branch"),
    ] {
        if let Some(name) = of[key].as_str() {
            return format!("{word} {name}");
        }
    }
    "branch master".to_owned()
}

fn version(spec: &serde_json::Value) -> String {
    let chart = spec["chart"].as_str().map(|chart| format!("chart {chart} ")).unwrap_or_default();
    let of = &spec["ref"];
    let version = [&spec["version"], &of["tag"], &of["semver"], &of["digest"]]
        .into_iter()
        .find_map(|version| version.as_str());
    format!("{chart}{}", version.unwrap_or("latest"))
}
