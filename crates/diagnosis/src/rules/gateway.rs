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
    title: "Cilium's operator started before the Gateway API's CRDs were there",
    why: "It looks for them once, as it starts; what comes later it does not see, and its pod stays ready",
    tell: "The GatewayClass is not accepted, and the operator's pods are older than the CRDs; its log says `Required GatewayAPI resources are not found`",
    fix: "kubectl -n kube-system rollout restart deployment/cilium-operator; install the CRDs before Cilium next time, as the stage `crds` does",
};

static NO_CONTROLLER: Code = Code {
    code: "BS-GTW-002",
    title: "No controller accepts a GatewayClass",
    why: "The controller that it names does not run, or has the Gateway API switched off (Cilium: gatewayAPI.enabled and kubeProxyReplacement)",
    tell: "The GatewayClass's condition Accepted is not True",
    fix: "install the controller of `spec.controllerName`, or switch its Gateway API on",
};

static NO_CLASS: Code = Code {
    code: "BS-GTW-003",
    title: "A Gateway's class is not there",
    why: "`gatewayClassName` is misspelt, or the class comes with something that is not installed",
    tell: "No GatewayClass has that name",
    fix: "install what brings the class, or correct the name",
};

static LISTENER: Code = Code {
    code: "BS-GTW-004",
    title: "A Gateway's listener does not work",
    why: "It refers to a certificate that is not there or not allowed, or clashes with another listener",
    tell: "A condition of the listener is False, and its message says which reference",
    fix: "declare what the listener refers to, in its namespace or with a ReferenceGrant",
};

static ROUTE: Code = Code {
    code: "BS-GTW-005",
    title: "A route is not taken, or leads to nothing",
    why: "Its Gateway does not allow it, or a backend Service is not there",
    tell: "The condition Accepted or ResolvedRefs of one of its parents is False",
    fix: "correct the route's parentRefs and backendRefs; check allowedRoutes of the listener",
};

static COMING: Code = Code {
    code: "BS-GTW-006",
    title: "A Gateway is being set up",
    why: "Its controller has not come to it yet",
    tell: "It is younger than half a minute",
    fix: "nothing: wait",
};

/// What Cilium's operator looks for.
const REQUIRED: [&str; 4] = ["gatewayclasses", "gateways", "httproutes", "grpcroutes"];

/// What a controller may take.
const PATIENCE: i64 = 20;

pub(super) fn look(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
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
    let said = accepted.map(|accepted| line(&accepted.told())).unwrap_or_default();
    let own =
        Finding::new(&NO_CONTROLLER, format!("controller {controller} has not accepted it")).evidence(said);
    if controller != "io.cilium/gateway-controller" {
        return if inquiry.age(class) < PATIENCE { own.passes().into() } else { own.into() };
    }
    if let Some(late) = crds_came_later(inquiry, class) {
        return late.into();
    }
    let own = if inquiry.age(class) < PATIENCE { own.passes() } else { own };
    Insight::from(own).join(cilium::operator(inquiry))
}

/// Whether every pod of the operator is older than the CRDs that it looks for as it starts.
fn crds_came_later(inquiry: &Inquiry<'_>, class: &Object) -> Option<Finding> {
    let crd = |plural: &&str| {
        let name = format!("{plural}.gateway.networking.k8s.io");
        ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name)
    };
    let made = REQUIRED.iter().map(crd).filter_map(|crd| Some(inquiry.age(inquiry.there(&crd)?))).min()?;
    let pods = inquiry.list(&Selection::of("v1", "Pod").labelled(OPERATOR))?;
    let containers = pods.iter().flat_map(|pod| list(&pod.data["status"]["containerStatuses"]));
    let began =
        containers.filter_map(|container| inquiry.seconds_since(&container["state"]["running"]["startedAt"]));
    let running: Vec<i64> = began.collect();
    let youngest = running.iter().min()?;
    // Times are of whole seconds: of the same one, it is the class that tells, by staying unanswered.
    let is_late = *youngest > made || (*youngest == made && inquiry.age(class) >= PATIENCE);
    is_late.then(|| {
        Finding::new(&CRDS_CAME_LATER, "Cilium's operator started before the Gateway API's CRDs were there, and looks for them only then")
            .evidence(format!("the youngest pod of the operator started {youngest} s ago, the CRDs came {made} s ago"))
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
        return Finding::new(&LISTENER, broken).into();
    }
    if is_programmed {
        return Insight::nothing();
    }
    let name = text(&gateway.data["spec"]["gatewayClassName"]);
    let class = ObjectRef::cluster_scoped("gateway.networking.k8s.io/v1", "GatewayClass", name);
    if matches!(inquiry.object(&class), Known::Gone) {
        return Finding::new(&NO_CLASS, format!("its class {name} is not there")).into();
    }
    let service =
        ObjectRef::namespaced("v1", "Service", namespace(id), &format!("cilium-gateway-{}", id.name));
    let waits = Insight::waits_for([class, service]);
    if inquiry.age(gateway) < PATIENCE {
        return waits.join(Finding::new(&COMING, "is being set up").passes().into());
    }
    waits
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
