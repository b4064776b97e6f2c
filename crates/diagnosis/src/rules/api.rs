//! Kinds and the servers of kinds.

use super::facts::line;
use super::services;
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) const CODES: &[&Code] =
    &[&NAMES_TAKEN, &NOT_ESTABLISHED, &API_DOWN, &super::namespaces::HELD, &super::namespaces::GOING];

static NAMES_TAKEN: Code = Code {
    code: "BS-KND-001",
    title: "A CRD's names are taken by another CRD",
    why: "Two CRDs of one group want the same plural, kind or short name",
    tell: "The condition NamesAccepted is False",
    fix: "remove the other CRD, or rename",
};

static NOT_ESTABLISHED: Code = Code {
    code: "BS-KND-002",
    title: "A CRD is not served",
    why: "The API server has not taken its schema, or has not come to it yet",
    tell: "The condition Established is not True, or NonStructuralSchema is",
    fix: "read the condition's message",
};

static API_DOWN: Code = Code {
    code: "BS-KND-003",
    title: "An API of the cluster is down",
    why: "An APIService hands a group of kinds to a Service that nobody answers for: discovery, deletion of namespaces and garbage collection suffer",
    tell: "The APIService's condition Available is False",
    fix: "bring up the pods of its Service; if the program is gone for good, delete the APIService",
};

pub(super) fn definition(crd: &Object) -> Insight {
    if let Some(names) = condition(crd, "NamesAccepted").filter(Condition::is_false) {
        return Finding::new(&NAMES_TAKEN, format!("its names are taken: {}", line(names.message()))).into();
    }
    match condition(crd, "Established") {
        Some(established) if established.is_true() => Insight::nothing(),
        _ => {
            let schema = condition(crd, "NonStructuralSchema").filter(Condition::is_true);
            schema
                .map(|schema| {
                    Finding::new(&NOT_ESTABLISHED, format!("is not served: {}", line(schema.message())))
                })
                .into()
        }
    }
}

pub(super) fn service(inquiry: &Inquiry<'_>, api: &Object) -> Insight {
    let Some(available) = condition(api, "Available").filter(|available| !available.is_true()) else {
        return Insight::nothing();
    };
    let own = |why: String| Finding::new(&API_DOWN, format!("is down: {why}"));
    let service = &api.data["spec"]["service"];
    let Some(name) = service["name"].as_str() else { return own(line(&available.told())).into() };
    let id = ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), name);
    match inquiry.object(&id) {
        Known::Gone => own(format!("{id} is not there")).into(),
        Known::Unknown => own(line(&available.told())).into(),
        Known::There(_) => Insight {
            findings: vec![own(line(&available.told()))],
            waits_for: services::behind(inquiry, &id),
        },
    }
}
