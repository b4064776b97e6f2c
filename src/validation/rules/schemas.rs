//! Every object against the schema of its kind.

use std::collections::BTreeMap;

use crate::validation::fleet::{Placed, objects_of};
use crate::validation::schema::{BreachKind, Known, Schemas, breaches};
use crate::validation::{Finding, Fleet, Rule, Severity};

pub(in crate::validation) const RULES: &[Rule] = &[
    Rule {
        name: "unknown-field",
        severity: Severity::Error,
        summary: "an object has a field that its kind does not know",
        why: "what it was meant to set is not set; with strict validation the API server refuses the object",
        fix: "correct the name of the field, or its indentation",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::UnknownField),
    },
    Rule {
        name: "missing-field",
        severity: Severity::Error,
        summary: "an object lacks a field that its kind requires",
        why: "the API server refuses the object, and with it Flux the whole Kustomization",
        fix: "add the field",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::MissingField),
    },
    Rule {
        name: "invalid-value",
        severity: Severity::Error,
        summary: "a field holds a value that its kind does not allow there",
        why: "the API server refuses the object, and with it Flux the whole Kustomization",
        fix: "write what may stand there; numbers and flags from variables lose their quotes when Flux substitutes them",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::Value),
    },
    Rule {
        name: "broken-expression",
        severity: Severity::Error,
        summary: "an object breaks a CEL rule of its kind",
        why: "the API server refuses the object, and with it Flux the whole Kustomization",
        fix: "change what the rule is about",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::Expression),
    },
    Rule {
        name: "unserved-version",
        severity: Severity::Error,
        summary: "an object is of an API version that is not served",
        why: "the API server does not know it, and Flux refuses the whole Kustomization",
        fix: "write it for a version that is served; its fields may be called differently there",
        check: unserved_version,
    },
    Rule {
        name: "unknown-kind",
        severity: Severity::Info,
        summary: "no schema of a kind is at hand, so its objects were not checked",
        why: "a mistake in them shows only when Flux applies them",
        fix: "run `bootstrapper validate --charts` once: it fetches the charts, and with them the CRDs that they bring",
        check: unknown_kind,
    },
];

fn of_kind(rule: &Rule, fleet: &Fleet, kind: BreachKind) -> Vec<Finding> {
    fleet.each(|declared| {
        let schemas = Schemas::of(declared);
        let objects = objects_of(declared).filter(is_ours);
        let found = objects.flat_map(|placed| {
            let Known::Schema { schema, definitions, source, .. } = schemas.known(&placed.id()) else {
                return Vec::new();
            };
            let broken =
                breaches(placed.object, schema, definitions).into_iter().filter(|one| one.kind == kind);
            broken
                .map(|one| {
                    let at = if one.path.is_empty() { "it" } else { &one.path };
                    let message = format!("{}: {at} {}", placed.id(), one.what);
                    let fix = format!("{}\nallowed: {} ({source})", rule.fix, one.allowed);
                    placed.finding(rule, &one.path, message).fix(fix)
                })
                .collect()
        });
        found.collect()
    })
}

/// CRDs that are fetched are large, and right or nobody's here to mend; what SOPS encrypted has
/// other values than those that will be applied.
fn is_ours(placed: &Placed<'_>) -> bool {
    let is_fetched_crd =
        placed.written.is_none() && placed.is("apiextensions.k8s.io", "CustomResourceDefinition");
    !is_fetched_crd && !placed.object.data["sops"].is_object()
}

fn unserved_version(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let schemas = Schemas::of(declared);
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            let Known::OtherVersions(others) = schemas.known(&id) else { return None };
            let message =
                format!("{id} is of {}, which is not served: {} is", id.api_version, others.join(", "));
            Some(placed.finding(rule, "apiVersion", message))
        });
        found.collect()
    })
}

/// Told once for a kind, at its first object.
fn unknown_kind(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let schemas = Schemas::of(declared);
        let mut first = BTreeMap::new();
        for placed in objects_of(declared) {
            let id = placed.id();
            if matches!(schemas.known(&id), Known::Nothing) {
                first.entry((id.api_version, id.kind)).or_insert(placed);
            }
        }
        let found = first.into_iter().map(|((api_version, kind), placed)| {
            Finding::of(rule, format!("no schema of {kind} of {api_version} is at hand"))
                .in_cluster(&declared.cluster)
                .at(placed.place("kind"))
        });
        found.collect()
    })
}
