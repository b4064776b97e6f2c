//! Validation of every object against its schema.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::{Placed, objects_of};
use crate::schema::{Breach, BreachKind, Known, Schemas};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "unknown-field",
        severity: Severity::Error,
        summary: "an object has an unknown field",
        why: "the field has no effect; with strict validation the API server rejects the object",
        fix: "correct the name of the field, or its indentation",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::UnknownField),
    },
    Rule {
        name: "missing-field",
        severity: Severity::Error,
        summary: "an object has no value for a required field",
        why: "the API server rejects the object, and Flux the whole Kustomization",
        fix: "add the field",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::MissingField),
    },
    Rule {
        name: "invalid-value",
        severity: Severity::Error,
        summary: "a field has an invalid value",
        why: "the API server rejects the object, and Flux the whole Kustomization",
        fix: "use an allowed value; numbers and booleans from variables lose their quotes in Flux's substitution",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::Value),
    },
    Rule {
        name: "broken-expression",
        severity: Severity::Error,
        summary: "an object violates a CEL rule of its kind",
        why: "the API server rejects the object, and Flux the whole Kustomization",
        fix: "change the fields that the rule checks",
        check: |rule, fleet| of_kind(rule, fleet, BreachKind::Expression),
    },
    Rule {
        name: "needs-newer-kubernetes",
        severity: Severity::Warning,
        summary: "an object uses a field or value that not every supported version of Kubernetes has",
        why: "an API server of an older version rejects the object, and Flux the whole Kustomization",
        fix: "declare the cluster's version (`kubernetes` of the cluster in bootstrapper.yaml), or avoid it",
        check: needs_newer_kubernetes,
    },
    Rule {
        name: "unserved-version",
        severity: Severity::Error,
        summary: "an object has an API version that is not served",
        why: "the API server does not serve it, and Flux rejects the whole Kustomization",
        fix: "migrate it to a served version; its fields may have other names there",
        check: unserved_version,
    },
    Rule {
        name: "unknown-kind",
        severity: Severity::Info,
        summary: "a kind has no known schema, so its objects were not checked",
        why: "Flux reports their errors only when it applies them",
        fix: "run `bootstrapper validate --charts` once: it fetches the charts with their CRDs",
        check: unknown_kind,
    },
];

fn schemas_of<'a>(fleet: &Fleet, declared: &'a Declared) -> Schemas<'a> {
    Schemas::of(declared, fleet.config.kubernetes_of(&declared.cluster))
}

fn of_kind(rule: &Rule, fleet: &Fleet, kind: BreachKind) -> Vec<Finding> {
    fleet.each(|declared| {
        let schemas = schemas_of(fleet, declared);
        let objects = objects_of(declared).filter(is_ours);
        let mut found: Vec<Finding> = objects
            .flat_map(|placed| {
                let breaches = breaches(&schemas, &placed).into_iter().filter(|(one, _)| one.kind == kind);
                breaches
                    .map(|(breach, source)| breach_finding(rule, &placed, &breach, &source))
                    .collect::<Vec<_>>()
            })
            .collect();
        // Loading problems have better messages.
        let problems = || declared.problems.iter().map(|problem| &problem.failure.location);
        found.retain(|finding| finding.location.is_none() || !problems().any(|at| *at == finding.location));
        found
    })
}

fn breach_finding(rule: &Rule, placed: &Placed<'_>, breach: &Breach, source: &str) -> Finding {
    let at = if breach.path.is_empty() { "it" } else { &breach.path };
    let message = format!("{}: {at} {}", placed.id(), breach.what);
    let fix = format!("{}\nallowed: {} ({source})", rule.fix, breach.allowed);
    placed.finding(rule, &breach.path, message).fix(fix)
}

/// The schema violations of an object, and the schema's source.
fn breaches(schemas: &Schemas<'_>, placed: &Placed<'_>) -> Vec<(Breach, String)> {
    let fields = placed.written.map_or(&[][..], |written| &written.metadata);
    let of_metadata = schemas.unknown_metadata(fields).into_iter();
    let mut all: Vec<_> = of_metadata.map(|breach| (breach, "all objects".to_owned())).collect();
    if let Known::Schema(schema) = schemas.known(&placed.id()) {
        all.extend(schema.breaches(placed.object).into_iter().map(|breach| (breach, schema.source.clone())));
    }
    all
}

fn needs_newer_kubernetes(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let schemas = schemas_of(fleet, declared);
        let objects = objects_of(declared).filter(is_ours);
        objects.flat_map(|placed| what_older_ones_refuse(rule, &schemas, &placed)).collect()
    })
}

/// What the newest version accepts, and an older one rejects. A field that only the older version requires is
/// not reported: the document is already updated.
fn what_older_ones_refuse(rule: &Rule, schemas: &Schemas<'_>, placed: &Placed<'_>) -> Vec<Finding> {
    let id = placed.id();
    let mut before = schemas.known_before(&id).peekable();
    let (Some(_), Known::Schema(newest)) = (before.peek(), schemas.known(&id)) else { return Vec::new() };
    let key = |breach: &Breach| (breach.kind, breach.path.clone());
    let mut reported: BTreeSet<_> = newest.breaches(placed.object).iter().map(key).collect();
    let mut found = Vec::new();
    for (since, known) in before {
        let Known::Schema(schema) = known else {
            let message =
                format!("{id}: {} of {} needs Kubernetes {since} or newer", id.kind, id.api_version);
            found.push(placed.finding(rule, "apiVersion", message));
            break;
        };
        for breach in schema.breaches(placed.object) {
            if breach.kind != BreachKind::MissingField && reported.insert(key(&breach)) {
                let message = format!("{id}: {} needs Kubernetes {since} or newer", breach.path);
                let fix = format!("{}\nallowed: {} ({})", rule.fix, breach.allowed, schema.source);
                found.push(placed.finding(rule, &breach.path, message).fix(fix));
            }
        }
    }
    found
}

/// Whether the object is worth checking: downloaded CRDs are large and cannot be fixed here, and objects
/// encrypted by SOPS have other values than will be applied.
fn is_ours(placed: &Placed<'_>) -> bool {
    let is_fetched_crd =
        placed.written.is_none() && placed.is("apiextensions.k8s.io", "CustomResourceDefinition");
    !is_fetched_crd && !placed.object.data["sops"].is_object()
}

fn unserved_version(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let schemas = schemas_of(fleet, declared);
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            let finding = |said: &str| {
                placed.finding(
                    rule,
                    "apiVersion",
                    format!("{id} has apiVersion {}, which is {said}", id.api_version),
                )
            };
            match schemas.known(&id) {
                Known::OtherVersions(others) => {
                    Some(finding(&format!("not served (use {})", others.join(", "))))
                }
                Known::Schema(_) if schemas.is_off_by_default(&id) => {
                    let said = "served only if the API server enables it (--runtime-config)";
                    Some(finding(said).with_severity(Severity::Warning))
                }
                Known::Schema(_) | Known::Nothing => None,
            }
        });
        found.collect()
    })
}

/// Reported once per kind, at its first object.
fn unknown_kind(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let schemas = schemas_of(fleet, declared);
        let mut first = BTreeMap::new();
        for placed in objects_of(declared) {
            let id = placed.id();
            if matches!(schemas.known(&id), Known::Nothing) {
                first.entry((id.api_version, id.kind)).or_insert(placed);
            }
        }
        let found = first.into_iter().map(|((api_version, kind), placed)| {
            Finding::of(rule, format!("no schema of {kind} {api_version}"))
                .in_cluster(&declared.cluster)
                .at(placed.place("kind"))
        });
        found.collect()
    })
}
