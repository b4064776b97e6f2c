//! Objects that no rule matches: their own conditions and events.

use super::facts::line;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{self as readiness, Verdict, condition};

pub(super) const CODES: &[&Code] = &[&UNEXPLAINED];

static UNEXPLAINED: Code = Code {
    code: "BS-OBJ-001",
    title: "An object is not ready, and no rule matches",
    why: "Its controller reports an unknown reason, or none",
    tell: "The finding quotes the object's condition, or its newest warning event",
    fix: "read the object's conditions and events (`kubectl describe`), and the log of its controller",
};

/// Changes that are younger than this many seconds count as in progress.
pub(super) const SETTLING: i64 = 60;

/// Whether a finding only repeats an object's status.
pub(crate) fn is_vague(finding: &Finding) -> bool {
    finding.code == &UNEXPLAINED
}

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let verdict = readiness::verdict(object);
    if verdict.is_ready() {
        return Insight::nothing();
    }
    let is_final = matches!(verdict, Verdict::Never(_));
    let said = line(&verdict.texts().join("; "));
    let mut finding = Finding::new(&UNEXPLAINED, said);
    let warning = inquiry.events(id).into_iter().rev().find(|event| event.is_warning());
    if let Some(warning) = warning {
        finding = finding.evidence(format!("{}: {}", warning.reason(), line(warning.message())));
    }
    let since = condition(object, "Ready").and_then(|ready| inquiry.seconds_since(ready.since()));
    let age = since.unwrap_or(i64::MAX).min(inquiry.age(object));
    if !is_final && age < SETTLING { finding.transient().into() } else { finding.into() }
}
