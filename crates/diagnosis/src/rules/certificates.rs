//! Certificates and clocks, in messages of programs.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::cut;
use crate::finding::{Code, Finding, Insight};

pub(super) const CODES: &[&Code] = &[
    &EXPIRED,
    &CLOCK,
    &UNKNOWN_AUTHORITY,
    &WRONG_NAME,
    &NO_ISSUER,
    &super::issuance::NOT_ISSUED,
    &super::issuance::CHALLENGE,
    &super::issuance::ISSUER,
];

pub(crate) static EXPIRED: Code = Code {
    code: "BS-TLS-001",
    title: "A certificate has expired",
    why: "It was not renewed: kubeadm's certificates are valid for a year, and so are those of Hubble and ClusterMesh unless a job renews them",
    tell: "Programs log `certificate has expired`, with a current time after its end",
    fix: "renew it: `kubeadm certs renew all`, the Cilium chart's tls.auto, or delete cert-manager's Secret; then restart the program that serves it",
};

static CLOCK: Code = Code {
    code: "BS-TLS-002",
    title: "A clock is wrong",
    why: "A certificate is not valid yet: the clock of the machine that verifies it is behind the clock of the issuer",
    tell: "Programs log `certificate has expired or is not yet valid: current time … is before …`",
    fix: "set the machine's clock; check its NTP servers and its hardware clock",
};

static UNKNOWN_AUTHORITY: Code = Code {
    code: "BS-TLS-003",
    title: "A certificate is signed by an untrusted CA",
    why: "The server was reinstalled with another CA, or the client does not trust the CA",
    tell: "Programs log `certificate signed by unknown authority`",
    fix: "add the CA that signed the certificate to the client, or issue the certificate from a CA that the client trusts",
};

static WRONG_NAME: Code = Code {
    code: "BS-TLS-004",
    title: "A certificate does not match the host name",
    why: "The requested address is not among the certificate's names",
    tell: "Programs log `certificate is valid for …, not …`",
    fix: "connect to one of its names, or issue the certificate with this name",
};

pub(super) static NO_ISSUER: Code = Code {
    code: "BS-TLS-005",
    title: "The issuer or secret store that an object references does not exist",
    why: "Its name or kind is misspelled, it is in another namespace, or it is not declared",
    tell: "`issuerRef` or `secretStoreRef` references it",
    fix: "declare it, or correct the reference; a ClusterIssuer or ClusterSecretStore needs `kind`",
};

static TIMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"current time (\S+) is (before|after) ([0-9TZ:.+-]+)").ok());

/// The fault of a certificate in a program's message; nothing if the message is not about one.
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
                "a clock is wrong: a certificate is valid from {}, but the current time is {}",
                &times[3], &times[1]
            );
            return Some(Finding::new(&CLOCK, what).evidence(quoted));
        }
        Some(times) => {
            return Some(
                Finding::new(&EXPIRED, format!("a certificate expired at {}", &times[3])).evidence(quoted),
            );
        }
        None => {}
    }
    if line.contains("certificate has expired") || line.contains("Expired") {
        Some(Finding::new(&EXPIRED, format!("a certificate expired: {quoted}")))
    } else if line.contains("signed by unknown authority") || line.contains("UnknownIssuer") {
        Some(Finding::new(
            &UNKNOWN_AUTHORITY,
            format!("a certificate is signed by an untrusted CA: {quoted}"),
        ))
    } else if line.contains("certificate is valid for") {
        Some(Finding::new(&WRONG_NAME, format!("a certificate does not match the host name: {quoted}")))
    } else {
        None
    }
}
