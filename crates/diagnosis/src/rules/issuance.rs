//! cert-manager: a certificate, its request, its ACME order and challenges, and the issuer.

use super::facts::{line, namespace};
use crate::finding::{Code, Finding};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) static NOT_ISSUED: Code = Code {
    code: "BS-TLS-006",
    title: "A certificate is not issued",
    why: "The issuer rejects the request, or has not answered it",
    tell: "The Certificate's condition Issuing is False with Failed, its CertificateRequest is Failed or Denied, or its Order is invalid",
    fix: "fix what the message names; cert-manager retries with growing intervals: `cmctl renew <certificate>` retries at once",
};

pub(super) static CHALLENGE: Code = Code {
    code: "BS-TLS-007",
    title: "An ACME challenge fails",
    why: "HTTP-01: the ACME server cannot reach the domain over port 80. DNS-01: cert-manager cannot write the record, or the record is not visible",
    tell: "The Challenge's `status.reason` has the solver's or the ACME server's message",
    fix: "HTTP-01: check that the domain points to the Gateway or Ingress; DNS-01: check the solver's credentials and zone, and the name servers that cert-manager asks",
};

pub(super) static ISSUER: Code = Code {
    code: "BS-TLS-008",
    title: "An issuer is not ready",
    why: "Its account cannot be registered, its CA's Secret is missing, or its server does not answer",
    tell: "The condition Ready of the Issuer or ClusterIssuer is False",
    fix: "fix what the message names",
};

/// How many seconds an issuer may take: records of DNS-01 take minutes to be visible.
const PATIENCE: i64 = 300;
/// The namespace in which a ClusterIssuer's Secrets are, unless cert-manager is told otherwise.
const OF_CLUSTER_ISSUERS: &str = "cert-manager";

/// The namespace of the Secrets that an object of cert-manager references.
pub(super) fn secrets_namespace(id: &ObjectRef) -> &str {
    if id.kind == "ClusterIssuer" { OF_CLUSTER_ISSUERS } else { namespace(id) }
}

/// The issuer that an object references, if cert-manager itself serves it.
pub(super) fn issuer(id: &ObjectRef, object: &Object) -> Option<ObjectRef> {
    let reference = &object.data["spec"]["issuerRef"];
    let name = reference["name"].as_str()?;
    let group = reference["group"].as_str().filter(|group| !group.is_empty()).unwrap_or("cert-manager.io");
    let kind = reference["kind"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("Issuer");
    (group == "cert-manager.io").then(|| ObjectRef {
        api_version: "cert-manager.io/v1".to_owned(),
        kind: kind.to_owned(),
        namespace: (kind != "ClusterIssuer").then(|| namespace(id).to_owned()),
        name: name.to_owned(),
    })
}

/// What cert-manager reports, or that it takes long. `age` is the object's.
pub(super) fn own(id: &ObjectRef, object: &Object, age: i64) -> Option<Finding> {
    let is = |kind: &str| condition(object, kind);
    let failed = |kind: &str| is(kind).filter(Condition::is_false);
    match id.kind.as_str() {
        "Issuer" | "ClusterIssuer" => {
            let failed = failed("Ready")?;
            Some(
                Finding::new(&ISSUER, format!("is not ready: {}", line(failed.message())))
                    .evidence(failed.reason()),
            )
        }
        "Order" | "Challenge" => acme(id, object, age),
        "CertificateRequest" => {
            let refused = is("InvalidRequest").or_else(|| is("Denied")).filter(Condition::is_true);
            let refused = refused
                .or_else(|| failed("Ready").filter(|ready| matches!(ready.reason(), "Failed" | "Denied")));
            match refused {
                Some(refused) => {
                    Some(Finding::new(&NOT_ISSUED, format!("is refused: {}", line(refused.message()))))
                }
                None => Some(slow(age, is("Ready").map_or("", |ready| ready.message()))),
            }
        }
        "Certificate" => match failed("Issuing").filter(|issuing| issuing.reason() != "Issued") {
            Some(failed) => Some(
                Finding::new(&NOT_ISSUED, format!("is not issued: {}", line(failed.message())))
                    .evidence(failed.reason()),
            ),
            None => Some(slow(age, is("Ready").map_or("", |ready| ready.message()))),
        },
        _ => None,
    }
}

fn slow(age: i64, said: &str) -> Finding {
    let said = if said.is_empty() { String::new() } else { format!(": {}", line(said)) };
    let finding = Finding::new(&NOT_ISSUED, format!("is not issued after {age} s{said}"));
    if age < PATIENCE { finding.transient() } else { finding }
}

/// Orders and challenges have a state and a reason instead of conditions.
fn acme(id: &ObjectRef, object: &Object, age: i64) -> Option<Finding> {
    let status = &object.data["status"];
    let (state, reason) = (text(&status["state"]), line(text(&status["reason"])));
    let said = [state, &reason].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
    let code = if id.kind == "Challenge" { &CHALLENGE } else { &NOT_ISSUED };
    match state {
        "valid" | "ready" => None,
        "invalid" | "expired" | "errored" => {
            let domain = text(&object.data["spec"]["dnsName"]);
            let of = if domain.is_empty() { String::new() } else { format!(" for {domain}") };
            Some(Finding::new(code, format!("fails{of}: {said}")))
        }
        _ => {
            let said = if said.is_empty() { "no state yet".to_owned() } else { said };
            let finding = Finding::new(code, format!("is not finished after {age} s: {said}"));
            Some(if age < PATIENCE { finding.transient() } else { finding })
        }
    }
}
