//! Messages of the API server about rejected requests. They also appear in events of controllers, in
//! conditions of Flux objects, and in failures of a run.

mod addresses;
mod codes;
mod fields;

use std::sync::LazyLock;

use regex::{Captures, Regex};

pub(super) use codes::{CODES, WEBHOOK_SILENT};
use codes::{
    FORBIDDEN, IMMUTABLE, INVALID, NO_ACCOUNT, NO_KIND, NO_NAMESPACE, POD_SECURITY, POLICY, QUOTA,
    STORED_VERSION,
};

use super::certificates;
use super::facts::{between, line};
use super::services;
use crate::finding::{Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};

fn pattern(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static ACCOUNT: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"error looking up service account ([^/\s]+)/([^:\s]+)"));
static QUOTA_WORDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: ([^\n;]+)"));
static SECURITY: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"violates PodSecurity "([^":]+)[^"]*": ([^\n]+)"#));
static MAY_NOT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"User "([^"]+)" cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: (in the namespace "([^"]+)"|at the cluster scope))?"#,
    )
});
static NO_MATCH: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"no matches for kind "([^"]+)" in version "([^"]+)""#));
static DENIED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?:admission webhook "([^"]+)" denied the request|ValidatingAdmissionPolicy '([^']+)'[^:]*denied request):? ?([^\n]*)"#,
    )
});
static STORED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"storedVersions\[\d+\]: Invalid value: "([^"]+)": (?:must appear in|missing from) spec\.versions"#,
    )
});

static CONVERSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"conversion webhook for ([^/,\s]+)/[^,\s]+, Kind=(\w+) failed"));

fn find<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<Captures<'t>> {
    pattern.as_ref()?.captures(text)
}

/// The cause of a rejection; nothing if the message is not one.
pub(crate) fn refusal(inquiry: &Inquiry<'_>, said: &str) -> Insight {
    if let Some(webhook) = between(said, "failed calling webhook \"", "\"") {
        return silent_webhook(inquiry, webhook, said);
    }
    if let Some(words) = find(&CONVERSION, said) {
        return unconverted(inquiry, &words[1], &words[2], said);
    }
    let apis = unavailable_apis(inquiry, said);
    if !apis.is_empty() {
        return apis;
    }
    if let Some(namespace) = between(said, "namespace ", " because it is being terminated") {
        return Insight::waits_for([ObjectRef::cluster_scoped("v1", "Namespace", namespace)]);
    }
    let about_objects = addresses::taken(inquiry, said).or_else(|| fields::left_over(inquiry, said));
    about_objects.or_else(|| known(said)).into()
}

fn known(said: &str) -> Option<Finding> {
    quota(said)
        .or_else(|| security(said))
        .or_else(|| account(said))
        .or_else(|| said.contains(" cannot ").then(|| forbidden_words(said)).flatten())
        .or_else(|| no_kind(said))
        .or_else(|| stored(said))
        .or_else(|| denied(said))
        .or_else(|| fields::conflict(said))
        .or_else(|| simple(said))
}

fn quota(said: &str) -> Option<Finding> {
    let words = find(&QUOTA_WORDS, said)?;
    let (name, requested, used, limited) = (&words[1], &words[2], &words[3], &words[4]);
    Some(
        Finding::new(
            &QUOTA,
            format!(
                "quota {name} is exceeded: requested {requested}, used {used}, permitted {}",
                line(limited)
            ),
        )
        .evidence(line(said)),
    )
}

fn security(said: &str) -> Option<Finding> {
    let words = find(&SECURITY, said)?;
    Some(Finding::new(
        &POD_SECURITY,
        format!("Pod Security level {} rejects its pods: {}", &words[1], line(&words[2])),
    ))
}

fn account(said: &str) -> Option<Finding> {
    let words = find(&ACCOUNT, said)?;
    Some(Finding::new(&NO_ACCOUNT, format!("ServiceAccount {}/{} does not exist", &words[1], &words[2])))
}

/// A missing permission.
pub(super) fn forbidden(said: &str) -> Finding {
    forbidden_words(said).unwrap_or_else(|| Finding::new(&FORBIDDEN, line(said)))
}

fn forbidden_words(said: &str) -> Option<Finding> {
    let words = find(&MAY_NOT, said)?;
    let group = if words[4].is_empty() { String::new() } else { format!(".{}", &words[4]) };
    let scope = words.get(6).map_or_else(
        || " in all namespaces".to_owned(),
        |namespace| format!(" in namespace {}", namespace.as_str()),
    );
    let who = words[1].strip_prefix("system:serviceaccount:").map_or_else(
        || format!("user {}", &words[1]),
        |account| format!("ServiceAccount {}", account.replacen(':', "/", 1)),
    );
    Some(
        Finding::new(&FORBIDDEN, format!("{who} cannot {} {}{group}{scope}", &words[2], &words[3]))
            .evidence(line(said)),
    )
}

fn no_kind(said: &str) -> Option<Finding> {
    let words = find(&NO_MATCH, said)?;
    Some(
        Finding::new(
            &NO_KIND,
            format!("kind {} of {} is not served: its CRD is not installed", &words[1], &words[2]),
        )
        .evidence(line(said)),
    )
}

fn stored(said: &str) -> Option<Finding> {
    let words = find(&STORED, said)?;
    let crd = between(said, "CustomResourceDefinition.apiextensions.k8s.io \"", "\"")
        .or_else(|| between(said, "CustomResourceDefinition/", " "))
        .unwrap_or("the CRD");
    Some(
        Finding::new(
            &STORED_VERSION,
            format!("objects of {crd} may still be stored as {}, which the new CRD does not have", &words[1]),
        )
        .evidence(line(said)),
    )
}

fn denied(said: &str) -> Option<Finding> {
    let words = find(&DENIED, said)?;
    let who = words.get(1).or_else(|| words.get(2)).map_or("", |who| who.as_str());
    // Kyverno's reasons are in lines of their own.
    let after = words.get(0).and_then(|found| said.get(found.end()..)).unwrap_or_default();
    let lines = after.lines().map(str::trim).filter(|one| !one.is_empty()).take(3);
    let why = match words[3].trim() {
        "" => lines.collect::<Vec<_>>().join(" "),
        why => why.to_owned(),
    };
    Some(Finding::new(&POLICY, format!("denied by {who}: {}", line(&why))))
}

fn simple(said: &str) -> Option<Finding> {
    let has = |sign: &str| said.contains(sign);
    let namespace = || between(said, "namespaces \"", "\" not found");
    if has("field is immutable") || has("Forbidden: updates to") || has("is immutable after creation") {
        Some(Finding::new(&IMMUTABLE, line(said)))
    } else if let Some(name) = namespace() {
        Some(Finding::new(&NO_NAMESPACE, format!("namespace {name} not found")).evidence(line(said)))
    } else if has(" is invalid: ") || has("strict decoding error") || has("field not declared in schema") {
        Some(Finding::new(&INVALID, line(said)))
    } else {
        None
    }
}

/// A webhook that does not answer, and its Service. If the Service has no endpoints, the rest of the
/// message is only a consequence.
fn silent_webhook(inquiry: &Inquiry<'_>, webhook: &str, said: &str) -> Insight {
    let own = |why: String| {
        Finding::new(&WEBHOOK_SILENT, format!("webhook {webhook} does not answer: {why}"))
            .evidence(line(said))
    };
    let service = service_asked(said);
    let known = service.as_ref().map(|service| (service, inquiry.object(service)));
    let behind = match known {
        Some((service, Known::Missing)) => return own(format!("{service} not found")).into(),
        Some((service, Known::Found(_))) => services::behind(inquiry, service),
        Some((_, Known::Unknown)) | None => Vec::new(),
    };
    if let (Some(service), false) = (&service, behind.is_empty()) {
        return Insight {
            findings: vec![own(format!("{service} has no ready endpoints"))],
            waits_for: behind,
        };
    }
    let why = said.rsplit(": ").next().unwrap_or(said);
    certificates::refused(said).or(|| own(line(why)).into())
}

/// A kind that the API server cannot convert: its CRD, whose webhook does not answer.
fn unconverted(inquiry: &Inquiry<'_>, group: &str, kind: &str, said: &str) -> Insight {
    let all = Selection::of("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let is_it =
        |crd: &&Object| crd.data["spec"]["group"] == group && crd.data["spec"]["names"]["kind"] == kind;
    let crd = inquiry.all(&all).into_iter().find(is_it);
    let why = line(said.rsplit(": ").next().unwrap_or(said));
    let own = Finding::new(
        &super::conversion::NOT_CONVERTED,
        format!("the conversion webhook of {kind} ({group}) does not answer: {why}"),
    )
    .evidence(line(said));
    let certificate = certificates::refused(said);
    let own = if certificate.is_empty() { own.into() } else { certificate };
    own.and_for(crd)
}

/// Aggregated APIs without which a client cannot list what the API server serves.
fn unavailable_apis(inquiry: &Inquiry<'_>, said: &str) -> Insight {
    let Some((_, groups)) = said.split_once("unable to retrieve the complete list of server APIs: ") else {
        return Insight::nothing();
    };
    let groups = groups.split(", ").filter_map(|part| part.split(':').next()?.trim().split_once('/'));
    let apis = groups.map(|(group, version)| {
        ObjectRef::cluster_scoped("apiregistration.k8s.io/v1", "APIService", &format!("{version}.{group}"))
    });
    Insight::waits_for(apis.filter(|api| inquiry.found(api).is_some()))
}

/// The Service of a called address: `https://name.namespace.svc:443/…`.
fn service_asked(said: &str) -> Option<ObjectRef> {
    let host = between(said, "https://", "/")?.split(':').next()?;
    let mut parts = host.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), Some("svc")) => {
            Some(ObjectRef::namespaced("v1", "Service", namespace, name))
        }
        _ => None,
    }
}
