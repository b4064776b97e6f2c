//! HelmReleases: chart, values, Helm's message, and the workloads that are not ready.

use std::sync::LazyLock;

use regex::Regex;

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

pub(super) static OWNED: Code = Code {
    code: "BS-FLX-024",
    title: "An object of a chart exists already, and belongs to something else",
    why: "Another release, a manifest or a person made it: Helm takes over only what has the labels of the same release",
    tell: "Helm says `exists and cannot be imported into the current release: invalid ownership metadata`",
    fix: "remove the object from the other owner; or give it the label `app.kubernetes.io/managed-by: Helm` and the annotations `meta.helm.sh/release-name` and `meta.helm.sh/release-namespace` of this release; or let helm-controller take it (`install.disableTakeOwnership: false`, its default)",
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
    if said.contains("template: ") && said.contains("executing \"") {
        let what = format!("its chart cannot be rendered with these values: {}", reason(said));
        return own(&VALUES_REFUSED, what).into();
    }
    if let Some(what) = owned_elsewhere(said) {
        return own(&OWNED, what).into();
    }
    if let Some((hook, job)) = failed_hook(said) {
        let target = object.data["spec"]["targetNamespace"].as_str().unwrap_or(namespace(id));
        let job = ObjectRef::namespaced("batch/v1", "Job", target, &job);
        let what = format!("its {hook} hook fails, {job}: {}", reason(said));
        let finding = own(&HELM_FAILED, what).remedy("read the log of the Job's pods, and its events");
        return Insight::from(finding).join(Insight::waits_for([job]));
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

/// An object that Helm finds, and that is not of the release.
fn owned_elsewhere(said: &str) -> Option<String> {
    static EXISTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(\w+) "([^"]+)" in namespace "([^"]*)" exists and cannot be imported"#).ok()
    });
    let found = EXISTS.as_ref()?.captures(said)?;
    let (kind, name, namespace) = (&found[1], &found[2], &found[3]);
    let place = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let of = said.split_once("must equal ").and_then(|(_, rest)| rest.split_once("current value is "));
    let other = of.and_then(|(_, rest)| rest.split('"').nth(1)).filter(|other| !other.is_empty());
    let other = other.map(|other| format!(" (it says {other})")).unwrap_or_default();
    Some(format!("{kind} {place} exists already, and is not of this release{other}"))
}

/// A hook whose Job fails: which hook, and the Job.
fn failed_hook(said: &str) -> Option<(String, String)> {
    static HOOK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?s)((?:pre|post)-(?:install|upgrade|rollback|delete)).*?[Jj]ob ([a-z0-9][a-z0-9.-]*) failed",
        )
        .ok()
    });
    let found = HOOK.as_ref()?.captures(said)?;
    Some((found[1].to_owned(), found[2].to_owned()))
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
    // `1 error occurred:`, and the error in a line of its own.
    let mut lines = said.lines().map(str::trim).filter(|one| !one.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = match lines.next().filter(|_| first.ends_with(':')) {
        Some(next) => line(&format!("{first} {}", next.trim_start_matches("* "))),
        None => line(first),
    };
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
