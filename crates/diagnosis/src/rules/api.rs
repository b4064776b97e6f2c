//! CRDs and APIServices.

use super::facts::line;
use super::services;
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) const CODES: &[&Code] = &[
    &NAMES_TAKEN,
    &NOT_ESTABLISHED,
    &API_DOWN,
    &super::namespaces::HELD,
    &super::namespaces::GOING,
    &super::conversion::NOT_CONVERTED,
];

static NAMES_TAKEN: Code = Code {
    code: "BS-KND-001",
    title: "A CRD's names conflict with another CRD",
    why: "Two CRDs of the same group claim the same plural, kind or short name",
    tell: "The condition NamesAccepted is False",
    fix: "delete the other CRD, or rename one of them",
};

static NOT_ESTABLISHED: Code = Code {
    code: "BS-KND-002",
    title: "A CRD is not served",
    why: "The API server rejected its schema, or has not processed it yet",
    tell: "The condition Established is not True, or NonStructuralSchema is True",
    fix: "read the condition's message",
};

static API_DOWN: Code = Code {
    code: "BS-KND-003",
    title: "An aggregated API is unavailable",
    why: "An APIService delegates an API group to a Service without ready endpoints; discovery, namespace deletion and garbage collection fail",
    tell: "The APIService's condition Available is False",
    fix: "fix the pods of its Service, or delete the APIService if the program was uninstalled",
};

pub(super) fn definition(inquiry: &Inquiry<'_>, crd: &Object) -> Insight {
    served(crd).or(|| super::conversion::inspect(inquiry, crd))
}

fn served(crd: &Object) -> Insight {
    if let Some(names) = condition(crd, "NamesAccepted").filter(Condition::is_false) {
        return Finding::new(&NAMES_TAKEN, format!("its names conflict: {}", line(names.message()))).into();
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
    let own = |why: String| Finding::new(&API_DOWN, format!("is unavailable: {why}"));
    let service = &api.data["spec"]["service"];
    let Some(name) = service["name"].as_str() else { return own(line(&available.describe())).into() };
    let id = ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), name);
    match inquiry.object(&id) {
        Known::Missing => own(format!("{id} not found")).into(),
        Known::Unknown => own(line(&available.describe())).into(),
        Known::Found(_) => Insight {
            findings: vec![own(line(&available.describe()))],
            waits_for: services::behind(inquiry, &id),
        },
    }
}
