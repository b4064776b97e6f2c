//! HelmReleases: chart, values, Helm's message, and the workloads that are not ready.

use super::super::facts::{line, namespace};
use super::super::refusals;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, Condition, condition};

pub(super) static HELM_FAILED: Code = Code {
    code: "BS-FLX-013",
    title: "Helm cannot install or upgrade a release",
    why: "A template fails, the API server rejects an object, or an object is not ready within the timeout",
    tell: "The HelmRelease's reason is InstallFailed or UpgradeFailed; the finding quotes Helm's message",
    fix: "fix what Helm reports, commit and push; `helm history` lists the revisions",
};

pub(super) static UNFIT: Code = Code {
    code: "BS-FLX-023",
    title: "A chart can never be installed as it is declared",
    why: "Its own version differs from the version of its artifact, is no semantic version, or the chart does not support this version of Kubernetes",
    tell: "Flux says `artifact revision … does not match chart version …`; Helm says `chart.metadata.version … is invalid` or `chart requires kubeVersion`",
    fix: "use another version of the chart, or have it published again: retries do not help",
};

pub(super) static GAVE_UP: Code = Code {
    code: "BS-FLX-014",
    title: "helm-controller has stopped retrying a release",
    why: "It failed as often as `remediation.retries` permits, and nothing has changed since",
    tell: "The HelmRelease is Stalled with RetriesExceeded",
    fix: "fix what failed, commit and push; or `flux reconcile helmrelease <name> --reset` to retry",
};

pub(super) static VALUES_REFUSED: Code = Code {
    code: "BS-FLX-015",
    title: "A chart rejects its values",
    why: "They do not match the chart's schema, or a template of the chart rejects them",
    tell: "Helm says `values don't meet the specifications of the schema`",
    fix: "correct the value that the message names; `bootstrapper validate --charts` detects it before the install",
};

const WORKLOADS: [(&str, &str); 5] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("v1", "PersistentVolumeClaim"),
];

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let spec = &object.data["spec"];
    let before = super::dependencies(inquiry, id, object)
        .join(super::source(inquiry, id, &spec["chartRef"]))
        .join(super::source(inquiry, id, &spec["chart"]["spec"]["sourceRef"]))
        .join(super::values(inquiry, id, &spec["valuesFrom"]));
    if !before.is_empty() {
        return before;
    }
    let chart = chart(inquiry, object);
    if !chart.is_empty() {
        return chart;
    }
    let Some(ready) = condition(object, "Ready") else { return Insight::nothing() };
    let workloads = Insight::waits_for(workloads(inquiry, id, object));
    // What it waited for has become ready; helm-controller has not looked again yet.
    let has_waited = matches!(ready.reason(), "DependencyNotReady" | "SourceNotReady");
    if !ready.is_false() || has_waited {
        return workloads;
    }
    // Ready may only report that retries are exhausted; Released has the failure.
    let released = condition(object, "Released").filter(Condition::is_false);
    let said = released.map_or(ready.message(), |released| released.message());
    let is_final = condition(object, "Stalled").is_some_and(|stalled| stalled.is_true());
    let own = |code: &'static Code, what: String| {
        let finding = Finding::new(code, what).evidence(line(&ready.describe()));
        let again = "when fixed, retry at once with `flux reconcile helmrelease <name> --reset`";
        if is_final { finding.remedy(again).stands() } else { finding }
    };
    if let Some((what, remedy)) = unfit(said) {
        return own(&UNFIT, what).remedy(remedy).stands().into();
    }
    if said.contains("don't meet the specifications of the schema") {
        return own(&VALUES_REFUSED, format!("its chart rejects the values: {}", schema_complaint(said)))
            .into();
    }
    let mut refused = refusals::refusal(inquiry, said);
    if refused.is_empty() {
        let (code, what) = if is_final {
            (&GAVE_UP, "Helm failed, and Flux has stopped retrying")
        } else {
            (&HELM_FAILED, "Helm fails")
        };
        refused = own(code, format!("{what}: {}", reason(said))).into();
    }
    workloads.join(refused)
}

/// What of a chart itself no retry and no values can settle, and what to do.
pub(super) fn unfit(said: &str) -> Option<(String, String)> {
    if let Some((_, rest)) = said.split_once("artifact revision ")
        && let Some((tag, version)) = rest.split_once(" does not match chart version ")
    {
        let version = version.split_whitespace().next().unwrap_or_default();
        return Some((
            format!(
                "the chart of artifact {tag} calls itself version {version}: Flux accepts only equal ones"
            ),
            format!(
                "reference the artifact by digest (`ref.digest`) instead of by tag, or publish the chart with `version: {tag}` in its Chart.yaml"
            ),
        ));
    }
    let of = |sign: &str| said.find(sign).and_then(|at| said.get(at..)).map(line);
    if let Some(said) = of("invalid chart version ").or_else(|| of("chart.metadata.version ")) {
        return Some((
            format!("the chart's own version is no semantic version: {said}"),
            "correct `version` in its Chart.yaml (`1.2.3`), and publish it again".to_owned(),
        ));
    }
    let said = of("chart requires kubeVersion")?;
    Some((
        said,
        "use a version of the chart that supports this Kubernetes, or upgrade the cluster".to_owned(),
    ))
}

/// Its HelmChart, which helm-controller creates.
fn chart(inquiry: &Inquiry<'_>, object: &Object) -> Insight {
    let Some((namespace, name)) =
        object.data["status"]["helmChart"].as_str().and_then(|chart| chart.split_once('/'))
    else {
        return Insight::nothing();
    };
    let id = ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", "HelmChart", namespace, name);
    let is_unready = inquiry.found(&id).is_some_and(|chart| !readiness::verdict(chart).is_ready());
    if is_unready { Insight::waits_for([id]) } else { Insight::nothing() }
}

/// The workloads of the release that are not ready.
fn workloads(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Vec<ObjectRef> {
    let here = namespace(id);
    let target = object.data["spec"]["targetNamespace"].as_str().unwrap_or(here);
    let labels = format!("helm.toolkit.fluxcd.io/name={},helm.toolkit.fluxcd.io/namespace={here}", id.name);
    let of_kind = |(api_version, kind): (&str, &str)| {
        inquiry.all(&Selection::of(api_version, kind).within(target).labelled(&labels))
    };
    let all = WORKLOADS.into_iter().flat_map(of_kind);
    all.filter(|workload| !readiness::verdict(workload).is_ready()).map(ObjectRef::of).collect()
}

/// `Helm install failed for release a/b with chart c@1: reason`.
fn reason(said: &str) -> String {
    let first = line(said);
    match first.split_once(" with chart ").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, reason)) => reason.to_owned(),
        None => first,
    }
}

/// The schema violations, which follow the name of the chart.
fn schema_complaint(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with('-')).collect();
    if lines.is_empty() { line(said.rsplit(": ").next().unwrap_or(said)) } else { line(&lines.join("; ")) }
}
