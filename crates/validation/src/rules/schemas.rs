//! Every object against the schema of its kind.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::{Placed, objects_of};
use crate::schema::{Breach, BreachKind, Known, Schemas};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[
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
        name: "needs-newer-kubernetes",
        severity: Severity::Warning,
        summary: "an object holds what not every supported version of Kubernetes knows",
        why: "an API server of an older version refuses the object, and with it Flux the whole Kustomization",
        fix: "say which version the cluster runs (`kubernetes` of the cluster in bootstrapper.yaml), or do without it",
        check: needs_newer_kubernetes,
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
                breaches.map(|(breach, source)| told(rule, &placed, &breach, &source)).collect::<Vec<_>>()
            })
            .collect();
        // What loading has found wrong there is told in better words.
        let problems = || declared.problems.iter().map(|problem| &problem.failure.location);
        found.retain(|finding| finding.location.is_none() || !problems().any(|at| *at == finding.location));
        found
    })
}

fn told(rule: &Rule, placed: &Placed<'_>, breach: &Breach, source: &str) -> Finding {
    let at = if breach.path.is_empty() { "it" } else { &breach.path };
    let message = format!("{}: {at} {}", placed.id(), breach.what);
    let fix = format!("{}\nallowed: {} ({source})", rule.fix, breach.allowed);
    placed.finding(rule, &breach.path, message).fix(fix)
}

/// What of an object breaks its schema, and who says so.
fn breaches(schemas: &Schemas<'_>, placed: &Placed<'_>) -> Vec<(Breach, String)> {
    let fields = placed.written.map_or(&[][..], |written| &written.metadata);
    let of_metadata = schemas.unknown_metadata(fields).into_iter();
    let mut all: Vec<_> = of_metadata.map(|breach| (breach, "every object".to_owned())).collect();
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

/// What the newest version takes of an object, and an older one does not. A field that only the older
/// one calls required was never asked for: the document was mended.
fn what_older_ones_refuse(rule: &Rule, schemas: &Schemas<'_>, placed: &Placed<'_>) -> Vec<Finding> {
    let id = placed.id();
    let mut before = schemas.known_before(&id).peekable();
    let (Some(_), Known::Schema(newest)) = (before.peek(), schemas.known(&id)) else { return Vec::new() };
    let key = |breach: &Breach| (breach.kind, breach.path.clone());
    let mut told: BTreeSet<_> = newest.breaches(placed.object).iter().map(key).collect();
    let mut found = Vec::new();
    for (since, known) in before {
        let Known::Schema(schema) = known else {
            let message =
                format!("{id}: {} of {} needs Kubernetes {since} or newer", id.kind, id.api_version);
            found.push(placed.finding(rule, "apiVersion", message));
            break;
        };
        for breach in schema.breaches(placed.object) {
            if breach.kind != BreachKind::MissingField && told.insert(key(&breach)) {
                let message = format!("{id}: {} needs Kubernetes {since} or newer", breach.path);
                let fix = format!("{}\nallowed: {} ({})", rule.fix, breach.allowed, schema.source);
                found.push(placed.finding(rule, &breach.path, message).fix(fix));
            }
        }
    }
    found
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
        let schemas = schemas_of(fleet, declared);
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            let finding = |said: &str| {
                placed.finding(rule, "apiVersion", format!("{id} is of {}, which is {said}", id.api_version))
            };
            match schemas.known(&id) {
                Known::OtherVersions(others) => {
                    Some(finding(&format!("not served: {} is", others.join(", "))))
                }
                Known::Schema(_) if schemas.is_off_by_default(&id) => {
                    let said = "served only where the API server is told to (--runtime-config)";
                    Some(finding(said).graded(Severity::Warning))
                }
                Known::Schema(_) | Known::Nothing => None,
            }
        });
        found.collect()
    })
}

/// Told once for a kind, at its first object.
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
            Finding::of(rule, format!("no schema of {kind} of {api_version} is at hand"))
                .in_cluster(&declared.cluster)
                .at(placed.place("kind"))
        });
        found.collect()
    })
}
