//! Failures of charts and sources in a run itself, before or beside Flux.

use super::super::certificates;
use super::super::facts::line;
use super::releases::{HELM_FAILED, UNFIT, VALUES_REFUSED, unfit};
use super::sources::{self, NOT_VERIFIED, PULL_FAILED};
use crate::finding::{Finding, Insight};

/// The cause of a failed operation on a chart or a download: `what` failed, and what a program said. Nothing
/// for operations on anything else.
pub(in super::super) fn failed(what: &str, said: &str) -> Insight {
    let starts = |signs: &[&str]| signs.iter().any(|sign| what.starts_with(sign));
    let is_fetch = starts(&[
        "cannot fetch ",
        "cannot read chart ",
        "cannot reach registry ",
        "cannot sign in to registry ",
        "refusing to fetch ",
        "helm pull",
        "helm downloaded no file",
    ]);
    let is_check = starts(&["refusing to install chart ", "cannot verify chart "])
        || (what.starts_with("chart ")
            && (what.contains(" is not installed: ") || what.contains(" does not match the digest")));
    let is_helm = starts(&["helm upgrade", "helm install", "helm template", "helm rollback", "helm failed"])
        || what.starts_with("cannot parse the helm output")
        || (what.starts_with("chart ") && what.contains(" renders "));
    if !is_fetch && !is_check && !is_helm {
        return Insight::nothing();
    }
    let reason = line(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(said));
    if let Some((what, remedy)) = unfit(said) {
        return Finding::new(&UNFIT, what).remedy(remedy).evidence(reason).into();
    }
    if is_check {
        let is_signature = what.contains("verify") || what.contains("is not installed");
        return Finding::new(if is_signature { &NOT_VERIFIED } else { &PULL_FAILED }, reason).into();
    }
    let certificate = certificates::refused(said);
    if !certificate.is_empty() {
        return certificate;
    }
    if is_fetch {
        let code = sources::kind_of("", said);
        return Finding::new(code, reason)
            .remedy("this machine fetches it for the bootstrap: test the address from here")
            .into();
    }
    let is_about_values =
        said.contains("don't meet the specifications of the schema") || said.contains("execution error at (");
    Finding::new(if is_about_values { &VALUES_REFUSED } else { &HELM_FAILED }, reason).into()
}
