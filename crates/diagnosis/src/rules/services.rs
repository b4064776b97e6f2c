//! Services: their endpoints and addresses.

use super::facts::{all_in, as_selector, endpoints, has_labels, namespace};
use super::{cilium, dns};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness as readiness;

pub(super) const CODES: &[&Code] = &[&NOBODY, &dns::DOWN, &dns::NO_SUCH_NAME, &ABSENT];

pub(super) static NOBODY: Code = Code {
    code: "BS-SVC-001",
    title: "A Service has no ready endpoints",
    why: "No pod has the labels of its selector, or none of them is ready",
    tell: "Its EndpointSlices have no ready endpoint",
    fix: "compare the Service's selector with the labels of the pods; check why those pods are not ready",
};

static ABSENT: Code = Code {
    code: "BS-SVC-004",
    title: "An object calls a Service that does not exist",
    why: "The Service is misspelled, is in another namespace, or the program behind it is not installed",
    tell: "An address `<service>.<namespace>.svc` in the object or in its controller's message has no Service",
    fix: "correct the address, or install the program that brings the Service",
};

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, service: &Object) -> Insight {
    let address = cilium::address(inquiry, id, service);
    if !address.is_empty() {
        return address;
    }
    let Some(selector) = as_selector(&service.data["spec"]["selector"]) else { return Insight::nothing() };
    match endpoints(inquiry, id) {
        None | Some(1..) => Insight::nothing(),
        Some(0) => {
            let behind = behind(inquiry, id);
            let own = if behind.is_empty() {
                format!("has no endpoints: no pod has the labels {selector}")
            } else {
                "has no ready endpoints".to_owned()
            };
            Insight { findings: vec![Finding::new(&NOBODY, own)], waits_for: behind }
        }
    }
}

/// Why a Service that a program calls cannot answer, and the workloads behind it; none if it may.
pub(super) fn silent(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Option<(String, Vec<ObjectRef>)> {
    match inquiry.object(id) {
        Known::Missing => Some((format!("{id} not found"), Vec::new())),
        // A Service without a selector has endpoints of its own, and an alias has none.
        Known::Found(service) if service.data["spec"]["type"] == "ExternalName" => None,
        Known::Found(_) if endpoints(inquiry, id) == Some(0) => {
            Some((format!("{id} has no ready endpoints"), behind(inquiry, id)))
        }
        Known::Found(_) | Known::Unknown => None,
    }
}

/// Of the Services that an object calls, those that cannot answer, and why.
pub(super) fn unanswered(inquiry: &Inquiry<'_>, called: Vec<ObjectRef>) -> Insight {
    let mut all = Insight::nothing();
    for service in called {
        match inquiry.object(&service) {
            Known::Missing => all.findings.push(Finding::new(&ABSENT, "not found").about(&service)),
            Known::Found(_) if silent(inquiry, &service).is_some() => all.waits_for.push(service),
            Known::Found(_) | Known::Unknown => {}
        }
    }
    all
}

/// The workloads, else the pods, of a Service without ready endpoints.
pub(super) fn behind(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Vec<ObjectRef> {
    let Some(service) = inquiry.found(id) else { return Vec::new() };
    if endpoints(inquiry, id) != Some(0) {
        return Vec::new();
    }
    let selector = &service.data["spec"]["selector"];
    let workloads: Vec<ObjectRef> = ["Deployment", "DaemonSet", "StatefulSet"]
        .into_iter()
        .flat_map(|kind| inquiry.all(&all_in("apps/v1", kind, namespace(id))))
        .filter(|workload| has_labels(&workload.data["spec"]["template"]["metadata"]["labels"], selector))
        .map(ObjectRef::of)
        .collect();
    if !workloads.is_empty() {
        return workloads;
    }
    let Some(labels) = as_selector(selector) else { return Vec::new() };
    let pods = inquiry.all(&all_in("v1", "Pod", namespace(id)).labelled(&labels));
    pods.into_iter().filter(|pod| !readiness::verdict(pod).is_ready()).map(ObjectRef::of).collect()
}
