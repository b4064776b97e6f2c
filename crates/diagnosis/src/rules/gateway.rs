//! Gateway API: classes, gateways and routes.

use super::cilium;
use super::facts::{line, list, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::cilium::OPERATOR;
use bootstrapper_readiness::{Condition, condition, text};

pub(super) const CODES: &[&Code] = &[&CRDS_CAME_LATER, &NO_CONTROLLER, &NO_CLASS, &LISTENER, &ROUTE, &COMING];

static CRDS_CAME_LATER: Code = Code {
    code: "BS-GTW-001",
    title: "Cilium's operator started before the Gateway API CRDs were installed",
    why: "It looks them up only at startup; its pod stays ready, but it serves no Gateway",
    tell: "The GatewayClass is not accepted, and the operator's pods are older than the CRDs; the operator's log says `Required GatewayAPI resources are not found`",
    fix: "kubectl -n kube-system rollout restart deployment/cilium-operator; next time install the CRDs before Cilium, as the stage `crds` does",
};

static NO_CONTROLLER: Code = Code {
    code: "BS-GTW-002",
    title: "No controller accepts a GatewayClass",
    why: "The controller of `spec.controllerName` does not run, or its Gateway API is disabled (Cilium: gatewayAPI.enabled and kubeProxyReplacement)",
    tell: "The GatewayClass's condition Accepted is not True",
    fix: "install the controller of `spec.controllerName`, or enable its Gateway API",
};

static NO_CLASS: Code = Code {
    code: "BS-GTW-003",
    title: "A Gateway's class is not found",
    why: "`gatewayClassName` is misspelled, or the component that provides the class is not installed",
    tell: "No GatewayClass has that name",
    fix: "install the component that provides the class, or correct the name",
};

static LISTENER: Code = Code {
    code: "BS-GTW-004",
    title: "A Gateway's listener is not ready",
    why: "It references a certificate that does not exist or is not permitted, or conflicts with another listener",
    tell: "A condition of the listener is False; its message names the reference",
    fix: "declare what the listener references in its namespace, or permit it with a ReferenceGrant",
};

static ROUTE: Code = Code {
    code: "BS-GTW-005",
    title: "A route is not accepted, or its backend is not found",
    why: "Its Gateway does not permit it, or a backend Service does not exist",
    tell: "The condition Accepted or ResolvedRefs of one of its parents is False",
    fix: "correct the route's parentRefs and backendRefs; check the listener's allowedRoutes",
};

static COMING: Code = Code {
    code: "BS-GTW-006",
    title: "A Gateway is in progress",
    why: "Its controller has not processed it yet",
    tell: "It is less than 20 seconds old",
    fix: "wait; no action needed",
};

/// The CRDs that Cilium's operator looks up.
const REQUIRED: [&str; 4] = ["gatewayclasses", "gateways", "httproutes", "grpcroutes"];

/// How many seconds a controller may take.
const PATIENCE: i64 = 20;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    match id.kind.as_str() {
        "GatewayClass" => class(inquiry, object),
        "Gateway" => gateway(inquiry, id, object),
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" => route(object),
        _ => Insight::nothing(),
    }
}

fn class(inquiry: &Inquiry<'_>, class: &Object) -> Insight {
    let accepted = condition(class, "Accepted");
    if accepted.as_ref().is_some_and(Condition::is_true) {
        return Insight::nothing();
    }
    let controller = text(&class.data["spec"]["controllerName"]);
    let said = accepted.map(|accepted| line(&accepted.describe())).unwrap_or_default();
    let own =
        Finding::new(&NO_CONTROLLER, format!("controller {controller} has not accepted it")).evidence(said);
    if controller != "io.cilium/gateway-controller" {
        return if inquiry.age(class) < PATIENCE { own.transient().into() } else { own.into() };
    }
    if let Some(late) = crds_came_later(inquiry, class) {
        return late.into();
    }
    let own = if inquiry.age(class) < PATIENCE { own.transient() } else { own };
    Insight::from(own).join(cilium::operator(inquiry))
}

/// Whether every pod of the operator is older than the CRDs that it looks up at startup.
fn crds_came_later(inquiry: &Inquiry<'_>, class: &Object) -> Option<Finding> {
    let crd = |plural: &&str| {
        let name = format!("{plural}.gateway.networking.k8s.io");
        ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name)
    };
    let made = REQUIRED.iter().map(crd).filter_map(|crd| Some(inquiry.age(inquiry.found(&crd)?))).min()?;
    let pods = inquiry.list(&Selection::of("v1", "Pod").labelled(OPERATOR))?;
    let containers = pods.iter().flat_map(|pod| list(&pod.data["status"]["containerStatuses"]));
    let began =
        containers.filter_map(|container| inquiry.seconds_since(&container["state"]["running"]["startedAt"]));
    let running: Vec<i64> = began.collect();
    let youngest = running.iter().min()?;
    // Timestamps have whole seconds: within the same second, a class that is not accepted decides.
    let is_late = *youngest > made || (*youngest == made && inquiry.age(class) >= PATIENCE);
    is_late.then(|| {
        Finding::new(
            &CRDS_CAME_LATER,
            "Cilium's operator started before the Gateway API CRDs, which it looks up only at startup",
        )
        .evidence(format!(
            "the newest operator pod started {youngest} s ago; the CRDs were installed {made} s ago"
        ))
    })
}

fn gateway(inquiry: &Inquiry<'_>, id: &ObjectRef, gateway: &Object) -> Insight {
    let is_programmed = condition(gateway, "Programmed").is_some_and(|programmed| programmed.is_true());
    let broken = list(&gateway.data["status"]["listeners"]).find_map(|listener| {
        let refused = list(&listener["conditions"]).find(|one| {
            one["status"] == "False"
                && matches!(text(&one["type"]), "ResolvedRefs" | "Accepted" | "Programmed")
        })?;
        Some(format!("listener {}: {}", text(&listener["name"]), line(text(&refused["message"]))))
    });
    if let Some(broken) = broken {
        let wanted = certificates_of(gateway).filter(|id| matches!(inquiry.object(id), Known::Missing));
        return Insight::from(Finding::new(&LISTENER, broken)).join(Insight::waits_for(wanted));
    }
    if is_programmed {
        return Insight::nothing();
    }
    let name = text(&gateway.data["spec"]["gatewayClassName"]);
    let class = ObjectRef::cluster_scoped("gateway.networking.k8s.io/v1", "GatewayClass", name);
    if matches!(inquiry.object(&class), Known::Missing) {
        return Finding::new(&NO_CLASS, format!("GatewayClass {name} not found")).into();
    }
    let service =
        ObjectRef::namespaced("v1", "Service", namespace(id), &format!("cilium-gateway-{}", id.name));
    let waits = Insight::waits_for([class, service]);
    if inquiry.age(gateway) < PATIENCE {
        return waits.join(Finding::new(&COMING, "in progress").transient().into());
    }
    waits
}

/// The Secrets of a Gateway's listeners.
fn certificates_of(gateway: &Object) -> impl Iterator<Item = ObjectRef> {
    let home = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let references = list(&gateway.data["spec"]["listeners"])
        .flat_map(|listener| list(&listener["tls"]["certificateRefs"]));
    references.filter_map(move |reference| {
        let namespace = reference["namespace"].as_str().unwrap_or(home);
        Some(ObjectRef::namespaced("v1", "Secret", namespace, reference["name"].as_str()?))
    })
}

fn route(route: &Object) -> Insight {
    let refused = list(&route.data["status"]["parents"])
        .flat_map(|parent| list(&parent["conditions"]))
        .find(|one| one["status"] == "False" && matches!(text(&one["type"]), "Accepted" | "ResolvedRefs"));
    refused
        .map(|refused| {
            Finding::new(&ROUTE, format!("{}: {}", text(&refused["reason"]), line(text(&refused["message"]))))
        })
        .into()
}
