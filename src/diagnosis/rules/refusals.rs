//! What the API server refuses, in its own words. The same words stand in events of controllers, in
//! conditions of Flux objects, and in failures of a run.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::certificates;
use super::facts::{between, line};
use super::services;
use crate::diagnosis::finding::{Code, Finding, Insight};
use crate::diagnosis::scene::{Inquiry, Known};
use crate::object::ObjectRef;

pub(super) const CODES: &[&Code] = &[
    &WEBHOOK_SILENT,
    &POLICY,
    &QUOTA,
    &POD_SECURITY,
    &NO_ACCOUNT,
    &FORBIDDEN,
    &NO_KIND,
    &STORED_VERSION,
    &IMMUTABLE,
    &INVALID,
    &NO_NAMESPACE,
    &CONFLICT,
];

pub(super) static WEBHOOK_SILENT: Code = Code {
    code: "BS-API-001",
    title: "An admission webhook does not answer",
    why: "The API server must ask it before it takes an object, and the pods behind it do not run, or cannot be reached",
    tell: "Writes fail with `failed calling webhook`",
    fix: "bring up the webhook's pods; if their program is gone for good, delete its webhook configuration",
};

static POLICY: Code = Code {
    code: "BS-API-002",
    title: "An admission policy refuses an object",
    why: "A webhook or a ValidatingAdmissionPolicy of this cluster does not allow it",
    tell: "The API server says `denied the request`, and gives the policy's reason",
    fix: "change the object as the policy says, or the policy",
};

static QUOTA: Code = Code {
    code: "BS-API-003",
    title: "A ResourceQuota is used up",
    why: "What the namespace's pods request together would be more than its quota allows",
    tell: "The API server says `exceeded quota`, with what is requested, used and allowed",
    fix: "raise the quota, ask for less, or remove what is not needed any more",
};

static POD_SECURITY: Code = Code {
    code: "BS-API-004",
    title: "Pod Security does not allow a pod",
    why: "The namespace enforces a level, and the pod asks for more than that level allows",
    tell: "The API server says `violates PodSecurity`, and names the fields",
    fix: "set the pod's securityContext as the level wants it, or label the namespace `pod-security.kubernetes.io/enforce: privileged` if the pod must have it",
};

static NO_ACCOUNT: Code = Code {
    code: "BS-API-005",
    title: "A pod's ServiceAccount does not exist",
    why: "Its name is misspelt, or it is declared nowhere",
    tell: "The API server says `error looking up service account`",
    fix: "declare the ServiceAccount in the pod's namespace",
};

static FORBIDDEN: Code = Code {
    code: "BS-API-006",
    title: "An account may not do what it tries",
    why: "RBAC gives it no such permission",
    tell: "The API server says `forbidden: User … cannot …`",
    fix: "bind a Role or ClusterRole with that verb and resource to the account",
};

static NO_KIND: Code = Code {
    code: "BS-API-007",
    title: "A kind is not served",
    why: "Its CustomResourceDefinition is not installed, or does not serve that version",
    tell: "The words `no matches for kind`, with kind and version",
    fix: "install the CRD before the objects of its kind, or correct their apiVersion; `bootstrapper validate` finds the order",
};

static STORED_VERSION: Code = Code {
    code: "BS-API-008",
    title: "A CRD cannot be updated: objects may still be stored in an old version",
    why: "Its `status.storedVersions` names a version that the new CRD does not have any more",
    tell: "The API server says `must appear in spec.versions` or `missing from spec.versions`",
    fix: "write every object of the kind anew (kubectl get … -o yaml | kubectl replace -f -), then take the old version out of the CRD's status.storedVersions",
};

static IMMUTABLE: Code = Code {
    code: "BS-API-009",
    title: "A field cannot be changed",
    why: "Kubernetes does not allow it once the object is there: selectors of workloads, a Job's template, clusterIP, a claim's class",
    tell: "The API server says `field is immutable` or `Forbidden: updates to`",
    fix: "delete the object and let it be made anew; with Flux, `spec.force: true` does so, with all that the object holds",
};

static INVALID: Code = Code {
    code: "BS-API-010",
    title: "The API server does not take an object as it is written",
    why: "A field is unknown, has a wrong value, or is missing",
    tell: "The API server says `is invalid`, and names the field",
    fix: "correct that field; `bootstrapper validate` finds it before it is applied",
};

static NO_NAMESPACE: Code = Code {
    code: "BS-API-011",
    title: "A namespace is not there",
    why: "Objects are made before their namespace, or nobody declares it",
    tell: "The API server says `namespaces \"…\" not found`",
    fix: "declare the namespace in what is applied before, or beside these objects",
};

static CONFLICT: Code = Code {
    code: "BS-API-012",
    title: "A field belongs to somebody else",
    why: "Another program or person owns it and says otherwise",
    tell: "The API server says `conflict`, with the manager and the field",
    fix: "agree on one value, or take the field over with --force-conflicts",
};

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

fn find<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<Captures<'t>> {
    pattern.as_ref()?.captures(text)
}

/// What a refusal means; nothing if it is none.
pub(in crate::diagnosis) fn refusal(inquiry: &Inquiry<'_>, said: &str) -> Insight {
    if let Some(webhook) = between(said, "failed calling webhook \"", "\"") {
        return silent_webhook(inquiry, webhook, said);
    }
    if let Some(namespace) = between(said, "namespace ", " because it is being terminated") {
        return Insight::waits_for([ObjectRef::cluster_scoped("v1", "Namespace", namespace)]);
    }
    known(said).into()
}

fn known(said: &str) -> Option<Finding> {
    quota(said)
        .or_else(|| security(said))
        .or_else(|| account(said))
        .or_else(|| said.contains(" cannot ").then(|| forbidden_words(said)).flatten())
        .or_else(|| no_kind(said))
        .or_else(|| stored(said))
        .or_else(|| denied(said))
        .or_else(|| simple(said))
}

fn quota(said: &str) -> Option<Finding> {
    let words = find(&QUOTA_WORDS, said)?;
    let (name, requested, used, limited) = (&words[1], &words[2], &words[3], &words[4]);
    Some(
        Finding::new(
            &QUOTA,
            format!("quota {name} is used up: requested {requested}, used {used}, allowed {}", line(limited)),
        )
        .evidence(line(said)),
    )
}

fn security(said: &str) -> Option<Finding> {
    let words = find(&SECURITY, said)?;
    Some(Finding::new(
        &POD_SECURITY,
        format!("its pods are not allowed by Pod Security level {}: {}", &words[1], line(&words[2])),
    ))
}

fn account(said: &str) -> Option<Finding> {
    let words = find(&ACCOUNT, said)?;
    Some(Finding::new(&NO_ACCOUNT, format!("ServiceAccount {}/{} does not exist", &words[1], &words[2])))
}

/// What an account may not do.
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
        Finding::new(&FORBIDDEN, format!("{who} may not {} {}{group}{scope}", &words[2], &words[3]))
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
    Some(Finding::new(&POLICY, format!("{who} does not allow it: {}", line(&words[3]))))
}

fn simple(said: &str) -> Option<Finding> {
    let has = |sign: &str| said.contains(sign);
    let namespace = || between(said, "namespaces \"", "\" not found");
    if has("field is immutable") || has("Forbidden: updates to") {
        Some(Finding::new(&IMMUTABLE, line(said)))
    } else if let Some(name) = namespace() {
        Some(Finding::new(&NO_NAMESPACE, format!("namespace {name} is not there")).evidence(line(said)))
    } else if has("conflict with \"") || has("conflicts with \"") {
        Some(Finding::new(&CONFLICT, line(said)))
    } else if has(" is invalid: ") || has("strict decoding error") || has("field not declared in schema") {
        Some(Finding::new(&INVALID, line(said)))
    } else {
        None
    }
}

/// A webhook that does not answer, and the Service that should.
fn silent_webhook(inquiry: &Inquiry<'_>, webhook: &str, said: &str) -> Insight {
    let certificate = certificates::refused(said);
    if !certificate.is_empty() {
        return certificate;
    }
    let why = said.rsplit(": ").next().unwrap_or(said);
    let own = |why: String| {
        Finding::new(&WEBHOOK_SILENT, format!("webhook {webhook} does not answer: {why}"))
            .evidence(line(said))
    };
    let host = between(said, "https://", "/").and_then(|host| host.split(':').next()).unwrap_or_default();
    let mut parts = host.split('.');
    let service = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), Some("svc")) => {
            Some(ObjectRef::namespaced("v1", "Service", namespace, name))
        }
        _ => None,
    };
    let Some(service) = service else { return own(line(why)).into() };
    match inquiry.object(&service) {
        Known::Gone => own(format!("{service} is not there")).into(),
        Known::Unknown => own(line(why)).into(),
        Known::There(_) => {
            let behind = services::behind(inquiry, &service);
            let why = if behind.is_empty() { line(why) } else { format!("{service} has no ready endpoints") };
            Insight { findings: vec![own(why)], waits_for: behind }
        }
    }
}
