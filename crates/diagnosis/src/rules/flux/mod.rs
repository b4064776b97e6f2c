//! Flux: the conditions of its objects, and what they wait for.

mod charts;
mod kustomizations;
mod others;
mod releases;
mod sources;

pub(super) use charts::failed as chart_failed;

use super::facts::{line, list, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, Condition, condition, text};

pub(super) const CODES: &[&Code] = &[
    &sources::REFUSED,
    &sources::UNREACHED,
    &sources::PULL_FAILED,
    &sources::NO_BRANCH,
    &sources::NO_VERSION,
    &sources::FETCHING,
    &sources::NOT_VERIFIED,
    &kustomizations::BUILD_FAILED,
    &kustomizations::NO_PATH,
    &kustomizations::NO_VARIABLE,
    &kustomizations::NOT_DECRYPTED,
    &kustomizations::NOT_APPLIED,
    &kustomizations::UNHEALTHY,
    &releases::HELM_FAILED,
    &releases::GAVE_UP,
    &releases::VALUES_REFUSED,
    &releases::UNFIT,
    &releases::OWNED,
    &others::NOT_READY,
    &NO_DEPENDENCY,
    &CIRCLE,
    &SUSPENDED,
    &NO_CONTROLLER,
    &MISSING,
    &AT_WORK,
];

static NO_DEPENDENCY: Code = Code {
    code: "BS-FLX-016",
    title: "A Flux object's dependency is not found",
    why: "`dependsOn` is misspelled, is in another namespace, or is declared in a Kustomization that is not applied yet",
    tell: "`spec.dependsOn` names an object that does not exist",
    fix: "correct the name or add `namespace`; `bootstrapper validate` detects it",
};

static CIRCLE: Code = Code {
    code: "BS-FLX-017",
    title: "Flux objects have a dependency cycle",
    why: "Each of them waits for the next",
    tell: "Following `dependsOn` returns to the first object",
    fix: "remove one of the dependencies; `bootstrapper graph` draws them",
};

static SUSPENDED: Code = Code {
    code: "BS-FLX-018",
    title: "A Flux object is suspended",
    why: "It was suspended, and stays suspended until it is resumed",
    tell: "`spec.suspend` is true",
    fix: "flux resume <kind> <name>, or remove `suspend: true` from its declaration",
};

static NO_CONTROLLER: Code = Code {
    code: "BS-FLX-019",
    title: "A Flux object is not picked up by its controller",
    why: "The controller of its kind does not run, or watches other namespaces",
    tell: "The object has no status for its latest generation",
    fix: "check the Deployments in flux-system, and the controller's log",
};

static MISSING: Code = Code {
    code: "BS-FLX-020",
    title: "A Flux object references an object that is not found",
    why: "Its source, or a ConfigMap or Secret with its values, does not exist in the referenced namespace",
    tell: "`sourceRef`, `chartRef`, `substituteFrom`, `valuesFrom` or `secretRef` references it",
    fix: "declare it, or set `optional: true` on the reference where Flux supports it",
};

static AT_WORK: Code = Code {
    code: "BS-FLX-021",
    title: "A Flux object is reconciling",
    why: "It has just started, or waits for its objects to become ready",
    tell: "The condition Ready is Unknown with `Progressing`",
    fix: "wait; no action needed",
};

/// How many seconds a controller may take to observe a change.
const GLANCE: i64 = 15;
/// How many seconds a reconciliation may take.
const PATIENCE: i64 = 120;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    if object.metadata.deletion_timestamp.is_some() || readiness::verdict(object).is_ready() {
        return Insight::nothing();
    }
    if object.data["spec"]["suspend"] == true {
        return Finding::new(&SUSPENDED, "is suspended").into();
    }
    let unseen = unseen(inquiry, id, object);
    if !unseen.is_empty() {
        return unseen;
    }
    let specific = match id.kind.as_str() {
        "Kustomization" => kustomizations::inspect(inquiry, id, object),
        "HelmRelease" => releases::inspect(inquiry, id, object),
        "FluxInstance" | "FluxReport" | "ResourceSet" => instance(inquiry, object),
        "Alert" | "ArtifactGenerator" | "ImagePolicy" | "ImageUpdateAutomation" | "Provider" | "Receiver" => {
            others::inspect(inquiry, id, object)
        }
        _ => sources::inspect(inquiry, id, object),
    };
    specific.or(|| at_work(inquiry, object))
}

/// An object that its controller has not picked up.
fn unseen(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    if condition(object, "Ready").is_some() || condition(object, "Reconciling").is_some() {
        return Insight::nothing();
    }
    let age = inquiry.age(object);
    let own = Finding::new(&NO_CONTROLLER, format!("not picked up by its controller after {age} s"));
    let own = if age < GLANCE { own.transient() } else { own };
    let component = match id.group() {
        "source.toolkit.fluxcd.io" => "source-controller",
        "kustomize.toolkit.fluxcd.io" => "kustomize-controller",
        "helm.toolkit.fluxcd.io" => "helm-controller",
        "notification.toolkit.fluxcd.io" => "notification-controller",
        "fluxcd.controlplane.io" => "flux-operator",
        _ => return own.into(),
    };
    let all = inquiry.all(&Selection::of("apps/v1", "Deployment").within("flux-system"));
    let controller =
        all.into_iter().filter(|deployment| deployment.metadata.name.as_deref() == Some(component));
    Insight::from(own).and_for(controller)
}

fn at_work(inquiry: &Inquiry<'_>, object: &Object) -> Insight {
    let Some(ready) = condition(object, "Ready").filter(|ready| !ready.is_true() && !ready.is_false()) else {
        return Insight::nothing();
    };
    let since = inquiry.seconds_since(ready.since()).unwrap_or(i64::MAX);
    if since > PATIENCE {
        return Insight::nothing();
    }
    Finding::new(&AT_WORK, format!("reconciling for {since} s: {}", line(ready.message()))).transient().into()
}

fn instance(inquiry: &Inquiry<'_>, object: &Object) -> Insight {
    let here = object.metadata.namespace.as_deref().unwrap_or_default();
    let deployments = inquiry.all(&Selection::of("apps/v1", "Deployment").within(here));
    let unready = deployments.into_iter().filter(|deployment| !readiness::verdict(deployment).is_ready());
    let own = condition(object, "Ready").filter(Condition::is_false).map(|ready| {
        super::refusals::refusal(inquiry, ready.message()).or(|| {
            Finding::new(
                &kustomizations::NOT_APPLIED,
                format!("{}: {}", ready.reason(), line(ready.message())),
            )
            .into()
        })
    });
    own.unwrap_or_default().and_for(unready)
}

/// The objects in `dependsOn`: not found, in a cycle, or not ready.
fn dependencies(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let mut insight = Insight::nothing();
    for next in depends_on(id, object) {
        match inquiry.object(&next) {
            Known::Missing => {
                return Finding::new(&NO_DEPENDENCY, format!("dependency {next} not found")).into();
            }
            Known::Unknown => {}
            Known::Found(other) => {
                if let Some(circle) = circle(inquiry, id, &next) {
                    let names: Vec<String> =
                        circle.iter().map(|one| format!("{}/{}", namespace(one), one.name)).collect();
                    return Finding::new(&CIRCLE, format!("dependency cycle: {}", names.join(" → "))).into();
                }
                if !readiness::verdict(other).is_ready() {
                    insight.waits_for.push(next);
                }
            }
        }
    }
    insight
}

fn depends_on(id: &ObjectRef, object: &Object) -> Vec<ObjectRef> {
    list(&object.data["spec"]["dependsOn"])
        .map(|dependency| ObjectRef {
            api_version: id.api_version.clone(),
            kind: id.kind.clone(),
            namespace: Some(dependency["namespace"].as_str().unwrap_or(namespace(id)).to_owned()),
            name: text(&dependency["name"]).to_owned(),
        })
        .collect()
}

/// The path from `next` back to `start`, if there is one.
fn circle(inquiry: &Inquiry<'_>, start: &ObjectRef, next: &ObjectRef) -> Option<Vec<ObjectRef>> {
    let mut ways = vec![vec![start.clone(), next.clone()]];
    let mut seen = vec![next.clone()];
    while let Some(way) = ways.pop() {
        let Some(last) = way.last() else { continue };
        let Some(object) = inquiry.found(last) else { continue };
        for further in depends_on(last, object) {
            let mut longer = way.clone();
            longer.push(further.clone());
            if &further == start {
                return Some(longer);
            }
            if !seen.contains(&further) {
                seen.push(further);
                ways.push(longer);
            }
        }
    }
    None
}

/// A source: not found, or not ready.
fn source(inquiry: &Inquiry<'_>, id: &ObjectRef, reference: &serde_json::Value) -> Insight {
    let (Some(kind), Some(name)) = (reference["kind"].as_str(), reference["name"].as_str()) else {
        return Insight::nothing();
    };
    let here = reference["namespace"].as_str().unwrap_or(namespace(id));
    let source = ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", kind, here, name);
    match inquiry.object(&source) {
        Known::Missing => others::generator(inquiry, &source)
            .or(|| Finding::new(&MISSING, format!("source {source} not found")).into()),
        Known::Found(object) if !readiness::verdict(object).is_ready() => Insight::waits_for([source]),
        Known::Found(_) | Known::Unknown => Insight::nothing(),
    }
}

/// A ConfigMap or Secret with values.
fn values(inquiry: &Inquiry<'_>, id: &ObjectRef, references: &serde_json::Value) -> Insight {
    let missing = list(references).filter(|reference| reference["optional"] != true).find_map(|reference| {
        let values =
            ObjectRef::namespaced("v1", text(&reference["kind"]), namespace(id), text(&reference["name"]));
        matches!(inquiry.object(&values), Known::Missing).then_some(values)
    });
    let own = missing.map(|missing| {
        let own = Finding::new(&MISSING, format!("values source {missing} not found"));
        Insight { findings: vec![own], waits_for: vec![missing] }
    });
    own.unwrap_or_default()
}
