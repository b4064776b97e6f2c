//! Releases that Helm was killed in the middle of.

use super::facts::label;
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};

pub(super) const CODES: &[&Code] = &[&PENDING, &BUSY];

static PENDING: Code = Code {
    code: "BS-HLM-001",
    title: "A Helm release is pending, and nobody works on it",
    why: "Helm was killed in the middle of an install or upgrade; it refuses to touch the release again",
    tell: "The newest Secret of the release has the label `status: pending-…`; Helm says `another operation is in progress`",
    fix: "run the bootstrap again: it recovers the release; by hand, delete that Secret if it is revision 1, else `helm rollback`",
};

static BUSY: Code = Code {
    code: "BS-HLM-002",
    title: "Helm is at work on a release",
    why: "An install or upgrade takes as long as its hooks",
    tell: "The release is pending for less than five minutes",
    fix: "nothing: wait",
};

/// How long Helm may be at work. Its own default timeout.
const AT_WORK: i64 = 300;

/// A Secret that holds a release, by its labels alone: what it holds is not read.
pub(super) fn look(inquiry: &Inquiry<'_>, secret: &Object) -> Insight {
    let status = label(secret, "status");
    if label(secret, "owner") != "helm" || !status.starts_with("pending-") {
        return Insight::nothing();
    }
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    let (name, revision) = (label(secret, "name"), label(secret, "version"));
    let about = format!("Helm release {namespace}/{name}");
    // helm-controller takes such a lock away by itself.
    let owner = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, name);
    match inquiry.object(&owner) {
        Known::There(_) => return Insight::waits_for([owner]),
        Known::Unknown => return Insight::nothing(),
        Known::Gone => {}
    }
    // Helm writes into a label when it wrote last.
    let written = label(secret, "modifiedAt")
        .parse()
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let since = written.and_then(|written| inquiry.seconds_since(&written.to_string().into()));
    let age = since.unwrap_or_else(|| inquiry.age(secret));
    if age < AT_WORK {
        return Finding::new(&BUSY, format!("is {status} for {age} s (revision {revision})"))
            .about(about)
            .passes()
            .into();
    }
    Finding::new(
        &PENDING,
        format!("is {status} for {age} s (revision {revision}), and Helm refuses to touch it"),
    )
    .about(about)
    .into()
}
