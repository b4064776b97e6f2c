//! Gateway API: references to Gateways, listeners and classes.

use crate::fleet::objects_of;
use crate::listeners::{GROUP, Parent, listeners, parent, parents};
use crate::{Finding, Fleet, Rule, Severity, known};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "missing-gateway",
        severity: Severity::Error,
        summary: "a route references a Gateway that is not found",
        why: "the route gets no traffic, and only its status reports it",
        fix: "declare the Gateway, or correct the parentRef; its namespace defaults to that of the route",
        check: missing_gateway,
    },
    Rule {
        name: "missing-listener",
        severity: Severity::Error,
        summary: "a route references a listener that its Gateway does not have",
        why: "the route gets no traffic, and only its status reports it",
        fix: "correct the sectionName, or omit it to attach to every matching listener",
        check: missing_listener,
    },
    Rule {
        name: "missing-gateway-class",
        severity: Severity::Warning,
        summary: "a Gateway's class is not found",
        why: "no controller programs the Gateway, and nothing reports it",
        fix: "correct the gatewayClassName, or let Cilium create its class: `gatewayAPI.gatewayClass.create: \"true\"`",
        check: missing_gateway_class,
    },
];

fn missing_gateway(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let missing = parents(placed).into_iter().filter(|one| parent(placed.declared, one).is_none());
        missing
            .map(|Parent { path, kind, namespace, name, .. }| {
                let message =
                    format!("{} references {kind} {namespace}/{name}, which is not found", placed.id());
                let made = known::possible_creator(placed.declared, name);
                placed.finding(rule, &format!("{path}.name"), message).unless_created_by(made)
            })
            .collect()
    })
}

fn missing_listener(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let faults = parents(placed).into_iter().filter_map(|one| {
            let (gateway, listener) = (parent(placed.declared, &one)?, one.listener?);
            let names: Vec<&str> = listeners(gateway)
                .into_iter()
                .filter_map(|(_, listener)| listener["name"].as_str())
                .collect();
            if names.contains(&listener) {
                return None;
            }
            let message = format!(
                "{} references listener {listener} of {}, which has {}",
                placed.id(),
                gateway.id(),
                names.join(", ")
            );
            Some(placed.finding(rule, &format!("{}.sectionName", one.path), message))
        });
        faults.collect()
    })
}

fn missing_gateway_class(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let of_cilium =
            known::cilium(declared).is_some_and(|cilium| cilium.values["gatewayAPI"]["enabled"] == true);
        let is_there = |class: &str| {
            (of_cilium && class == "cilium")
                || known::find(declared, GROUP, "GatewayClass", None, class).is_some()
        };
        let gateways = objects_of(declared).filter(|placed| placed.is(GROUP, "Gateway"));
        let faults = gateways.filter_map(|placed| {
            let class =
                placed.field(&["spec", "gatewayClassName"]).as_str().filter(|class| !is_there(class))?;
            let message = format!("{} has class {class}, which is not found", placed.id());
            let finding = placed.finding(rule, "spec.gatewayClassName", message);
            Some(finding.unless_created_by(known::possible_creator(declared, class)))
        });
        faults.collect()
    })
}
