//! Certificates and clocks, and the operators that bring certificates and secrets.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::{cut, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::condition;

pub(super) const CODES: &[&Code] = &[&EXPIRED, &CLOCK, &UNKNOWN_AUTHORITY, &WRONG_NAME, &NO_ISSUER];

pub(crate) static EXPIRED: Code = Code {
    code: "BS-TLS-001",
    title: "A certificate has expired",
    why: "Nobody renewed it: kubeadm's last a year, Cilium's Hubble and ClusterMesh ones too unless a job renews them",
    tell: "Programs say `certificate has expired`: now is after its end",
    fix: "renew it: `kubeadm certs renew all`, `cilium` chart's tls.auto, or delete cert-manager's Secret; restart what serves it",
};

static CLOCK: Code = Code {
    code: "BS-TLS-002",
    title: "A clock is wrong",
    why: "A certificate is not valid yet: the machine that checks it lags behind the one that issued it",
    tell: "Programs say `certificate has expired or is not yet valid: current time … is before …`",
    fix: "set the machine's clock: check its time servers (NTP) and the hardware clock",
};

static UNKNOWN_AUTHORITY: Code = Code {
    code: "BS-TLS-003",
    title: "A certificate is of an authority that nobody trusts here",
    why: "The other side was made anew with another CA, or the CA's certificate is not among those trusted",
    tell: "Programs say `certificate signed by unknown authority`",
    fix: "give the client the CA that signed the certificate, or have the certificate issued by the one that it trusts",
};

static WRONG_NAME: Code = Code {
    code: "BS-TLS-004",
    title: "A certificate is for another name",
    why: "The address that is asked for is not among the certificate's names",
    tell: "Programs say `certificate is valid for …, not …`",
    fix: "ask for one of its names, or issue it with this one",
};

static NO_ISSUER: Code = Code {
    code: "BS-TLS-005",
    title: "What a Certificate or ExternalSecret draws on is not there or not ready",
    why: "The issuer or the secret store that it names does not exist, or does not work itself",
    tell: "`issuerRef` or `secretStoreRef` names it",
    fix: "declare it, or see why it is not ready",
};

static TIMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"current time (\S+) is (before|after) ([0-9TZ:.+-]+)").ok());

/// What is wrong with a certificate, by what a program says of it; nothing if it says nothing of one.
pub(super) fn refused(said: &str) -> Insight {
    let Some(last) = said.lines().rev().find(|line| line.contains("certificate") || line.contains("x509"))
    else {
        return Insight::nothing();
    };
    of_line(last).into()
}

fn of_line(line: &str) -> Option<Finding> {
    let quoted = format!("\"{}\"", cut(line.trim()));
    let times = TIMES.as_ref().and_then(|times| times.captures(line));
    match times {
        Some(times) if &times[2] == "before" => {
            let what = format!(
                "a clock is wrong: a certificate is valid from {}, and here it is {}",
                &times[3], &times[1]
            );
            return Some(Finding::new(&CLOCK, what).evidence(quoted));
        }
        Some(times) => {
            return Some(
                Finding::new(&EXPIRED, format!("a certificate has expired at {}", &times[3]))
                    .evidence(quoted),
            );
        }
        None => {}
    }
    if line.contains("certificate has expired") || line.contains("Expired") {
        Some(Finding::new(&EXPIRED, format!("a certificate has expired: {quoted}")))
    } else if line.contains("signed by unknown authority") || line.contains("UnknownIssuer") {
        Some(Finding::new(&UNKNOWN_AUTHORITY, format!("a certificate's authority is not trusted: {quoted}")))
    } else if line.contains("certificate is valid for") {
        Some(Finding::new(&WRONG_NAME, format!("a certificate is for another name: {quoted}")))
    } else {
        None
    }
}

/// Certificates wait for their issuers, ExternalSecrets for their stores.
pub(super) fn look(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    if condition(object, "Ready").is_some_and(|ready| ready.is_true()) {
        return Insight::nothing();
    }
    let (reference, default) = match id.kind.as_str() {
        "Certificate" | "CertificateRequest" => (&object.data["spec"]["issuerRef"], "Issuer"),
        "ExternalSecret" => (&object.data["spec"]["secretStoreRef"], "SecretStore"),
        _ => return Insight::nothing(),
    };
    let Some(name) = reference["name"].as_str() else { return Insight::nothing() };
    let kind = reference["kind"].as_str().unwrap_or(default);
    let target = ObjectRef {
        api_version: id.api_version.clone(),
        kind: kind.to_owned(),
        namespace: (!kind.starts_with("Cluster")).then(|| namespace(id).to_owned()),
        name: name.to_owned(),
    };
    match inquiry.object(&target) {
        Known::Gone => Finding::new(&NO_ISSUER, format!("{target}, which it draws on, is not there")).into(),
        Known::There(_) => Insight::waits_for([target]),
        Known::Unknown => Insight::nothing(),
    }
}
