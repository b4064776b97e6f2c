//! Releases whose Helm operation was killed.

use super::facts::label;
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};

pub(super) const CODES: &[&Code] = &[&PENDING, &BUSY];

static PENDING: Code = Code {
    code: "BS-HLM-001",
    title: "A Helm release is stuck in a pending state",
    why: "Helm was killed during an install or upgrade, and now rejects every operation on the release",
    tell: "The newest Secret of the release has the label `status: pending-…`; Helm says `another operation is in progress`",
    fix: "run the bootstrap again, which recovers the release; manually, delete that Secret if it is revision 1, otherwise `helm rollback`",
};

static BUSY: Code = Code {
    code: "BS-HLM-002",
    title: "A Helm operation is in progress",
    why: "An install or upgrade takes as long as its hooks",
    tell: "The release has been pending for less than five minutes",
    fix: "wait; no action needed",
};

/// How many seconds a Helm operation may take: Helm's default timeout.
const AT_WORK: i64 = 300;

/// The Secret of a release. Only its labels are read.
pub(super) fn inspect(inquiry: &Inquiry<'_>, secret: &Object) -> Insight {
    let status = label(secret, "status");
    if label(secret, "owner") != "helm" || !status.starts_with("pending-") {
        return Insight::nothing();
    }
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    let (name, revision) = (label(secret, "name"), label(secret, "version"));
    let about = format!("Helm release {namespace}/{name}");
    // helm-controller unlocks its own releases.
    let owner = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, name);
    match inquiry.object(&owner) {
        Known::Found(_) => return Insight::waits_for([owner]),
        Known::Unknown => return Insight::nothing(),
        Known::Missing => {}
    }
    // Helm keeps the time of its last write in a label.
    let written = label(secret, "modifiedAt")
        .parse()
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let since = written.and_then(|written| inquiry.seconds_since(&written.to_string().into()));
    let age = since.unwrap_or_else(|| inquiry.age(secret));
    if age < AT_WORK {
        return Finding::new(&BUSY, format!("{status} for {age} s (revision {revision})"))
            .about(about)
            .transient()
            .into();
    }
    Finding::new(
        &PENDING,
        format!("{status} for {age} s (revision {revision}); Helm rejects every operation on it"),
    )
    .about(about)
    .into()
}
