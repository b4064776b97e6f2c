//! Routes and backends: what listeners allow, and what they lead to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::listeners::{GROUP, Parent, listeners, parent, parents};
use crate::paths::values_at;
use crate::schema::is_unknown;
use crate::services::{self, Port};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::selector::selects;
use bootstrapper_gitops::UNKNOWN;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "route-not-allowed",
        severity: Severity::Error,
        summary: "no listener of a Gateway allows a route",
        why: "the route gets no traffic (NotAllowedByListeners, NoMatchingListenerHostname), and only its status reports it",
        fix: "change `allowedRoutes` of the listener, or the namespace, kind or host names of the route",
        check: not_allowed,
    },
    Rule {
        name: "missing-backend",
        severity: Severity::Error,
        summary: "a route, an Ingress, a webhook or an aggregated API leads to a Service or port that is not found",
        why: "requests are answered with an error (500 or 503), and only the status of the route reports it (BackendNotFound); what a webhook checks is refused",
        fix: "declare the Service, or correct its name or port: the port is that of the Service, not that of its pods",
        check: missing_backend,
    },
    Rule {
        name: "reference-not-granted",
        severity: Severity::Error,
        summary: "a route or Gateway references an object in another namespace, which no ReferenceGrant there allows",
        why: "the reference is refused (RefNotPermitted): the route has no backend, or the listener no certificate",
        fix: "declare a ReferenceGrant in the namespace of the referenced object, or move the object",
        check: not_granted,
    },
];

fn not_allowed(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let refused = parents(placed).into_iter().filter_map(|one| {
            let owner = parent(placed.declared, &one)?;
            let why = if placed.id().kind == "ListenerSet" {
                let from = owner.field(&["spec", "allowedListeners", "namespaces"]);
                refused_namespace(from, "None", placed, owner)?
            } else {
                refused_route(placed, owner, &one)?
            };
            let message = format!("{} is not allowed by {}: {why}", placed.id(), owner.id());
            Some(placed.finding(rule, &one.path, message))
        });
        refused.collect()
    })
}

/// Why no listener allows a route; none if one does, or may.
fn refused_route(route: Placed<'_>, owner: Placed<'_>, one: &Parent<'_>) -> Option<String> {
    let all = listeners(owner);
    let meant = |listener: &Value| {
        one.listener.is_none_or(|name| listener["name"] == name)
            && one.port.is_none_or(|port| listener["port"] == port)
    };
    let named: Vec<&Value> = all.iter().map(|(_, listener)| *listener).filter(|it| meant(it)).collect();
    if named.is_empty() {
        // `missing-listener` reports one that is not found.
        let is_known = one.listener.is_none_or(|name| all.iter().any(|(_, it)| it["name"] == name));
        let port = one.port.filter(|_| is_known && !all.is_empty())?;
        return Some(format!("no listener that it names has port {port}"));
    }
    let whys: Option<Vec<String>> = named
        .into_iter()
        .map(|listener| {
            let why = refused_by(listener, route, owner)?;
            Some(format!("listener {} {why}", listener["name"].as_str().unwrap_or_default()))
        })
        .collect();
    whys.map(|whys| whys.join("; "))
}

fn refused_by(listener: &Value, route: Placed<'_>, owner: Placed<'_>) -> Option<String> {
    refused_kind(listener, &route.id().kind)
        .or_else(|| refused_namespace(&listener["allowedRoutes"]["namespaces"], "Same", route, owner))
        .or_else(|| refused_hosts(listener, route))
}

/// The kinds of routes that a protocol takes, if it is one of Gateway API.
fn kinds_of(protocol: &str) -> Option<&'static [&'static str]> {
    Some(match protocol {
        "HTTP" | "HTTPS" => &["HTTPRoute", "GRPCRoute"],
        "TLS" => &["TLSRoute", "TCPRoute"],
        "TCP" => &["TCPRoute"],
        "UDP" => &["UDPRoute"],
        _ => return None,
    })
}

fn refused_kind(listener: &Value, kind: &str) -> Option<String> {
    let protocol = listener["protocol"].as_str().unwrap_or_default();
    let by_protocol = kinds_of(protocol).is_some_and(|kinds| !kinds.contains(&kind));
    if by_protocol {
        return Some(format!("has protocol {protocol}, which takes no {kind}"));
    }
    let listed = listener["allowedRoutes"]["kinds"].as_array().filter(|kinds| !kinds.is_empty())?;
    let is_it = |one: &Value| one["kind"] == kind && one["group"].as_str().is_none_or(|it| it == GROUP);
    let names = listed.iter().filter_map(|one| one["kind"].as_str()).collect::<Vec<_>>().join(", ");
    (!listed.iter().any(is_it)).then(|| format!("takes only {names}"))
}

/// Why `namespaces` of a listener or Gateway keep out what is in the namespace of `placed`.
fn refused_namespace(
    namespaces: &Value,
    default: &str,
    placed: Placed<'_>,
    owner: Placed<'_>,
) -> Option<String> {
    let own = placed.object.metadata.namespace.as_deref()?;
    let home = owner.object.metadata.namespace.as_deref()?;
    match namespaces["from"].as_str().unwrap_or(default) {
        "Same" if own != home => Some(format!("takes only what is in its own namespace ({home})")),
        "None" if default == "None" => Some("it takes no ListenerSets (allowedListeners)".to_owned()),
        "None" => Some("takes no routes".to_owned()),
        "Selector" => {
            let selector = &namespaces["selector"];
            let labels = labels_of(placed, own, selector)?;
            (!selects(selector, &labels))
                .then(|| format!("selects namespaces by {selector}, and {own} does not have these labels"))
        }
        _ => None,
    }
}

/// The labels of a namespace, as far as a selector needs them to be known.
fn labels_of(placed: Placed<'_>, namespace: &str, selector: &Value) -> Option<BTreeMap<String, String>> {
    const NAME: &str = "kubernetes.io/metadata.name";
    if selector.to_string().contains(UNKNOWN) {
        return None;
    }
    let declared = known::find(placed.declared, "", "Namespace", None, namespace);
    let keys = selector["matchLabels"].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let keys = keys.chain(expressions.filter_map(|one| one["key"].as_str()));
    if declared.is_none() && keys.into_iter().any(|key| key != NAME) {
        return None;
    }
    let mut labels = declared.and_then(|it| it.object.metadata.labels.clone()).unwrap_or_default();
    labels.insert(NAME.to_owned(), namespace.to_owned());
    Some(labels)
}

fn refused_hosts(listener: &Value, route: Placed<'_>) -> Option<String> {
    let host = listener["hostname"].as_str().filter(|host| !host.is_empty())?;
    let names = route.field(&["spec", "hostnames"]).as_array().filter(|names| !names.is_empty())?;
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    if is_unknown(host) || names.iter().any(|name| is_unknown(name) || intersect(host, name)) {
        return None;
    }
    Some(format!("has host name {host}, and the route {}", names.join(", ")))
}

/// Whether two host names, with `*.` for any number of labels, have one in common.
fn intersect(one: &str, other: &str) -> bool {
    let is_under = |name: &str, wildcard: &str| {
        wildcard.strip_prefix('*').is_some_and(|suffix| name.ends_with(suffix) && name.len() > suffix.len())
    };
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    one == other || is_under(&one, &other) || is_under(&other, &one)
}

/// A reference from an object to another one.
struct Reference<'a> {
    path: String,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    port: Option<Port<'a>>,
    /// What `path` needs for the field of the port.
    port_path: &'static str,
}

const BACKENDS: [&str; 4] = [
    "spec.rules[].backendRefs[]",
    "spec.rules[].filters[].requestMirror.backendRef",
    "spec.rules[].backendRefs[].filters[].requestMirror.backendRef",
    "spec.rules[].filters[].externalAuth.backendRef",
];

const INGRESS: [&str; 2] = ["spec.defaultBackend.service", "spec.rules[].http.paths[].backend.service"];

/// What API servers call: group, kind, and where the Service is.
const CALLERS: [(&str, &str, &str); 3] = [
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "webhooks[].clientConfig.service"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "webhooks[].clientConfig.service"),
    ("apiregistration.k8s.io", "APIService", "spec.service"),
];

const CERTIFICATES: [&str; 2] =
    ["spec.listeners[].tls.certificateRefs[]", "spec.tls.backend.clientCertificateRef"];

/// The Services that a route or an Ingress leads to.
fn backends(placed: Placed<'_>) -> Vec<Reference<'_>> {
    let id = placed.id();
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    if placed.is("networking.k8s.io", "Ingress") {
        let services = INGRESS.iter().flat_map(|path| values_at(&placed.object.data, path));
        return services
            .filter_map(|(path, service)| {
                let port = &service["port"];
                let port =
                    port["number"].as_u64().map(Port::Number).or(port["name"].as_str().map(Port::Name));
                let name = service["name"].as_str()?;
                Some(Reference { path, kind: "Service", namespace: own, name, port, port_path: ".port" })
            })
            .collect();
    }
    if let Some((.., path)) = CALLERS.iter().find(|(group, kind, _)| placed.is(group, kind)) {
        let services = values_at(&placed.object.data, path).into_iter();
        return services
            .filter_map(|(path, one)| {
                let (name, namespace) = (one["name"].as_str()?, one["namespace"].as_str()?);
                let port = Some(Port::Number(one["port"].as_u64().unwrap_or(443)));
                Some(Reference { path, kind: "Service", namespace, name, port, port_path: ".port" })
            })
            .collect();
    }
    if id.group() != GROUP || !id.kind.ends_with("Route") {
        return Vec::new();
    }
    let found = BACKENDS.iter().flat_map(|path| values_at(&placed.object.data, path));
    found
        .filter_map(|(path, one)| {
            let mut reference = reference(path, one, "Service", own)?;
            reference.port = one["port"].as_u64().map(Port::Number);
            Some(reference)
        })
        .collect()
}

/// A reference of Gateway API to an object of the core group.
fn reference<'a>(path: String, one: &'a Value, kind: &'a str, own: &'a str) -> Option<Reference<'a>> {
    let namespace = one["namespace"].as_str().unwrap_or(own);
    let kind = one["kind"].as_str().unwrap_or(kind);
    let is_core = one["group"].as_str().is_none_or(str::is_empty);
    let name = one["name"].as_str().filter(|_| is_core)?;
    Some(Reference { path, kind, namespace, name, port: None, port_path: ".port" })
}

fn missing_backend(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let services = backends(placed).into_iter().filter(|one| one.kind == "Service");
        let faults =
            services.filter(|one| !is_unknown(one.name) && !is_unknown(one.namespace)).filter_map(|one| {
                let Reference { path, namespace, name, port, port_path, .. } = one;
                let Some(service) = services::find(placed.declared, namespace, name) else {
                    return missing_service(rule, placed, &path, namespace, name);
                };
                let wanted = port?;
                let ports = services::lacks_port(service, wanted)?;
                let message =
                    format!("{} leads to {wanted} of {}, which has {ports}", placed.id(), service.id());
                Some(placed.finding(rule, &format!("{path}{port_path}"), message))
            });
        faults.collect()
    })
}

fn missing_service(
    rule: &Rule,
    placed: Placed<'_>,
    path: &str,
    namespace: &str,
    name: &str,
) -> Option<Finding> {
    // Services of the platform itself.
    if namespace == "kube-system" || (namespace, name) == ("default", "kubernetes") {
        return None;
    }
    let message = format!("{} leads to Service {namespace}/{name}, which is not found", placed.id());
    let made = known::possible_creator_in(placed.declared, namespace, name);
    // Charts make most Services: a note for each would hide the rest.
    made.is_none().then(|| placed.finding(rule, &format!("{path}.name"), message))
}

fn not_granted(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let id = placed.id();
        let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
        let is_served = id.group() == GROUP && (id.kind == "Gateway" || id.kind == "ListenerSet");
        let secrets = CERTIFICATES.iter().filter(|_| is_served);
        let secrets = secrets
            .flat_map(|path| values_at(&placed.object.data, path))
            .filter_map(|(path, one)| reference(path, one, "Secret", own));
        let routed = backends(placed).into_iter().filter(|_| id.group() == GROUP);
        let across = routed.chain(secrets).filter(|one| one.namespace != own);
        let refused = across.filter(|one| !is_unknown(one.namespace) && !is_granted(placed, one));
        refused
            .filter(|_| !may_be_granted(placed))
            .map(|one| {
                let message = format!(
                    "{id} references {} {}/{}, and no ReferenceGrant in {} allows that",
                    one.kind, one.namespace, one.name, one.namespace
                );
                placed.finding(rule, &format!("{}.namespace", one.path), message)
            })
            .collect()
    })
}

/// Whether a declared ReferenceGrant allows the reference.
fn is_granted(placed: Placed<'_>, one: &Reference<'_>) -> bool {
    let id = placed.id();
    let mut grants = objects_of(placed.declared).filter(|grant| {
        grant.is(GROUP, "ReferenceGrant") && grant.object.metadata.namespace.as_deref() == Some(one.namespace)
    });
    let is_from = |from: &Value| {
        from["kind"] == id.kind
            && from["group"] == GROUP
            && from["namespace"].as_str() == placed.object.metadata.namespace.as_deref()
    };
    let is_to = |to: &Value| {
        to["kind"] == one.kind
            && to["group"].as_str().is_none_or(str::is_empty)
            && to["name"].as_str().is_none_or(|name| name.is_empty() || name == one.name)
    };
    let any = |list: &Value, is_it: &dyn Fn(&Value) -> bool| {
        list.as_array().is_some_and(|all| all.iter().any(is_it))
    };
    grants.any(|grant| {
        let spec = grant.field(&["spec"]);
        any(&spec["from"], &is_from) && any(&spec["to"], &is_to)
    })
}

/// Whether something that was not looked at may grant it: other charts make no ReferenceGrants by themselves.
fn may_be_granted(placed: Placed<'_>) -> bool {
    let declared = placed.declared;
    let names_kind = |value: &Value| value.to_string().contains("ReferenceGrant");
    declared.has_unseen_parts()
        || declared.releases.iter().any(|release| names_kind(&release.values))
        || objects_of(declared)
            .any(|one| one.is("kyverno.io", "ClusterPolicy") && names_kind(&one.object.data))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn host_names_meet() {
        for (one, other, meet) in [
            ("a.example.org", "a.example.org", true),
            ("A.example.org", "a.example.org", true),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("a.example.org", "*.example.org", true),
            ("*.example.org", "*.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("a.example.org", "b.example.org", false),
            ("*.example.org", "aexample.org", false),
        ] {
            assert_eq!(intersect(one, other), meet, "{one} {other}");
        }
    }

    #[test]
    fn kinds_that_a_listener_takes() {
        let of = |listener: Value, kind: &str| refused_kind(&listener, kind).is_some();
        assert!(!of(json!({"protocol": "HTTPS"}), "GRPCRoute"));
        assert!(of(json!({"protocol": "HTTP"}), "TLSRoute"));
        assert!(of(
            json!({"protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}),
            "HTTPRoute"
        ));
        assert!(!of(json!({"protocol": "example.org/own"}), "HTTPRoute"));
        assert!(!of(json!({"protocol": "HTTP", "allowedRoutes": {"kinds": []}}), "HTTPRoute"));
    }
}
