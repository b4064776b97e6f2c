//! Repositories, registries and charts.

use super::super::certificates;
use super::super::facts::{line, namespace};
use super::super::{services, words};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text};

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

pub(super) static NOT_VERIFIED: Code = Code {
    code: "BS-FLX-022",
    title: "The signature of a source or chart is not verified",
    why: "It is not signed, is signed by somebody else than `spec.verify` says, or the keys to verify it with are missing; it was fetched",
    tell: "The condition SourceVerified is False, or the reason is VerificationError or ChartVerificationError",
    fix: "verify it by hand (`cosign verify`, `git verify-commit`) with the same key or identity",
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
    if let Some(unverified) = unverified(object) {
        let wanted = words::wanted(said, namespace(id));
        let wanted = wanted.into_iter().filter(|one| matches!(inquiry.object(one), Known::Missing));
        return Insight::from(unverified).join(Insight::waits_for(wanted));
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
    let own = Finding::new(code, what)
        .evidence(line(&ready.describe()))
        .evidence(format!("in namespace {}", namespace(id)));
    let wanted = words::wanted(said, namespace(id));
    let wanted = wanted.into_iter().filter(|one| matches!(inquiry.object(one), Known::Missing));
    // Of a server in the cluster, its pods.
    let called = words::services(url).into_iter().chain(words::services(said)).collect();
    Insight::from(own).join(Insight::waits_for(wanted)).join(services::unanswered(inquiry, called))
}

/// A signature that is not accepted, by the condition that says so: in other messages the word `verify` is
/// about certificates. That the signature itself cannot be fetched has its own advice.
fn unverified(object: &Object) -> Option<Finding> {
    let ready = condition(object, "Ready")?;
    let verified = condition(object, "SourceVerified").filter(Condition::is_false);
    let is_it =
        matches!(ready.reason(), "VerificationError" | "ChartVerificationError" | "InvalidVerificationMode")
            || ready.message().contains("chart verification error");
    let said = verified.as_ref().map(Condition::message).or(is_it.then(|| ready.message()))?;
    let low = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| low.contains(sign));
    let remedy = if has(&[
        "no matching signatures",
        "no signatures found",
        "not signed",
        "failed for all the signatures",
    ]) {
        "compare the signer with `spec.verify`: the key of `secretRef`, or issuer and subject of `matchOIDCIdentity`; if the publisher does not sign it, remove `spec.verify`"
    } else if has(&["not found", "secret cannot be empty", "no pgp public keys", "no ssh public keys"]) {
        "declare the Secret of `spec.verify.secretRef` with the signer's public keys, in the source's namespace"
    } else if has(&[
        "no such host",
        "connection refused",
        "i/o timeout",
        "deadline exceeded",
        "unauthorized",
        "401",
        "403",
    ]) {
        "the source itself was fetched: let source-controller reach the signature too, in the registry and at the transparency log (rekor.sigstore.dev, tuf-repo-cdn.sigstore.dev)"
    } else {
        "compare the signer with `spec.verify`"
    };
    let finding = Finding::new(&NOT_VERIFIED, format!("its signature is not verified: {}", last_parts(said)));
    Some(finding.evidence(line(said)).remedy(remedy))
}

pub(super) fn kind_of(reason: &str, said: &str) -> &'static Code {
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
