//! Deployments, DaemonSets, StatefulSets and Jobs: the rollout of their pods.

use super::crashes::telling;
use super::facts::{all_in, is_owned_by, line, list, namespace};
use super::refusals;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::selector;
use bootstrapper_readiness::{self as readiness, Condition, condition, number, text};

pub(super) const CODES: &[&Code] =
    &[&JOB_FAILED, &JOB_TOO_LATE, &NOT_PROGRESSING, &PAUSED, &NO_PODS, &JOB_RUNS, &ROLLING, &NO_CONTROLLER];

static JOB_FAILED: Code = Code {
    code: "BS-WRK-001",
    title: "A Job has failed",
    why: "Its pods failed more often than `backoffLimit` permits",
    tell: "The condition Failed has the reason BackoffLimitExceeded",
    fix: "read the log of its last pod, fix the error, and recreate the Job",
};

static JOB_TOO_LATE: Code = Code {
    code: "BS-WRK-002",
    title: "A Job exceeded its deadline",
    why: "It did not finish within `activeDeadlineSeconds`",
    tell: "The condition Failed has the reason DeadlineExceeded",
    fix: "find out what delayed it, or raise the deadline",
};

static NOT_PROGRESSING: Code = Code {
    code: "BS-WRK-003",
    title: "A Deployment makes no progress",
    why: "Its new pods did not become ready within `progressDeadlineSeconds`, and none of them reports a reason",
    tell: "The condition Progressing is False with ProgressDeadlineExceeded",
    fix: "check its newest pods; roll back with `kubectl rollout undo` if the old ones worked",
};

static PAUSED: Code = Code {
    code: "BS-WRK-004",
    title: "A Deployment is paused",
    why: "`kubectl rollout pause` was run",
    tell: "`spec.paused` is true",
    fix: "kubectl rollout resume deployment/<name>",
};

static NO_PODS: Code = Code {
    code: "BS-WRK-005",
    title: "A workload has no pods",
    why: "It is scaled to 0, or no node matches it",
    tell: "The desired number of replicas is 0, or the DaemonSet's `desiredNumberScheduled` is 0",
    fix: "scale it up; for a DaemonSet, compare its node selector with the nodes' labels",
};

static JOB_RUNS: Code = Code {
    code: "BS-WRK-006",
    title: "A Job is in progress",
    why: "It has not finished yet",
    tell: "Its pod runs",
    fix: "wait; no action needed",
};

static ROLLING: Code = Code {
    code: "BS-WRK-007",
    title: "A rollout is in progress",
    why: "The controller replaces old pods as new ones become ready",
    tell: "The controller replaces pods, and none of them fails",
    fix: "wait; no action needed",
};

static NO_CONTROLLER: Code = Code {
    code: "BS-WRK-008",
    title: "The Kubernetes controllers do not work",
    why: "kube-controller-manager is down or has lost its lease",
    tell: "The workload's status is older than its generation, and it has no pods",
    fix: "check the pods of kube-controller-manager in kube-system, and their logs",
};

/// How many pods of one workload are inspected.
const MOST_PODS: usize = 8;
/// How many seconds a rollout may take.
const PATIENCE: i64 = 120;
/// How many seconds a controller may take to observe a change.
const GLANCE: i64 = 20;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, workload: &Object) -> Insight {
    if workload.metadata.deletion_timestamp.is_some() {
        return Insight::nothing();
    }
    let empty = empty(id, workload);
    if empty.is_some() || readiness::verdict(workload).is_ready() {
        return empty.into();
    }
    if workload.data["spec"]["paused"] == true {
        return Finding::new(&PAUSED, "is paused and creates no new pods").into();
    }
    let children = children(inquiry, id, workload);
    let refused = refused(inquiry, id, workload);
    Insight::nothing().and_for(children).join(refused).join(own(inquiry, workload))
}

/// A workload without pods, once its controller has observed it.
fn empty(id: &ObjectRef, workload: &Object) -> Option<Finding> {
    match id.kind.as_str() {
        _ if !is_observed(workload) => None,
        "DaemonSet" if number(&workload.data["status"]["desiredNumberScheduled"]) == 0 => {
            Some(Finding::new(&NO_PODS, "has no pods: no node matches it"))
        }
        "Deployment" | "StatefulSet" if workload.data["spec"]["replicas"] == 0 => {
            Some(Finding::new(&NO_PODS, "is scaled to 0"))
        }
        _ => None,
    }
}

/// Whether its controller has observed its current generation.
fn is_observed(workload: &Object) -> bool {
    let seen = workload.data["status"]["observedGeneration"].as_i64();
    seen.is_some_and(|seen| Some(seen) >= workload.metadata.generation)
}

/// The pods or sets that are not ready, the newest first.
fn children<'a>(inquiry: &Inquiry<'a>, id: &ObjectRef, workload: &Object) -> Vec<&'a Object> {
    let kind = if id.kind == "Deployment" { ("apps/v1", "ReplicaSet") } else { ("v1", "Pod") };
    let selection = all_in(kind.0, kind.1, namespace(id));
    let selection = match selector::query(&workload.data["spec"]["selector"]) {
        Some(labels) => selection.labelled(&labels),
        None => selection,
    };
    let mut children: Vec<&Object> =
        inquiry.all(&selection).into_iter().filter(|child| is_owned_by(child, workload)).collect();
    children.sort_by_key(|child| std::cmp::Reverse(child.metadata.creation_timestamp.clone()));
    if id.kind == "Deployment" {
        children.truncate(1);
    }
    children.retain(|child| !readiness::verdict(child).is_ready());
    children.truncate(MOST_PODS);
    children
}

/// Pods that the API server rejects.
fn refused(inquiry: &Inquiry<'_>, id: &ObjectRef, workload: &Object) -> Insight {
    let condition = condition(workload, "ReplicaFailure").filter(Condition::is_true);
    let said = condition.map(|failure| failure.message());
    let event = || {
        let failed = inquiry.events(id).into_iter().rev().find(|event| event.reason() == "FailedCreate")?;
        // A failure before a success does not count.
        (inquiry.seconds_since(failed.time())? < 3600).then(|| failed.message())
    };
    let has_pods = number(&workload.data["status"]["replicas"]) > 0
        || number(&workload.data["status"]["currentNumberScheduled"]) > 0;
    let said = said.or_else(|| if has_pods { None } else { event() });
    said.map_or_else(Insight::nothing, |said| refusals::refusal(inquiry, said).stands())
}

fn own(inquiry: &Inquiry<'_>, workload: &Object) -> Insight {
    if let Some(stuck) = condition(workload, "Progressing")
        .filter(|progressing| progressing.reason() == "ProgressDeadlineExceeded")
    {
        return Finding::new(
            &NOT_PROGRESSING,
            format!("the rollout makes no progress: {}", line(stuck.message())),
        )
        .stands()
        .into();
    }
    let age = inquiry.age(workload);
    if !is_observed(workload) && age > GLANCE {
        return Finding::new(&NO_CONTROLLER, format!("not picked up by its controller after {age} s")).into();
    }
    let progressed = condition(workload, "Progressing")
        .and_then(|progressing| inquiry.seconds_since(progressing.last_update()));
    let since = progressed.unwrap_or(age).min(age);
    if since < PATIENCE {
        let told = readiness::verdict(workload).texts().join("; ");
        return Finding::new(&ROLLING, format!("rollout in progress: {told}")).transient().into();
    }
    Insight::nothing()
}

pub(super) fn job(inquiry: &Inquiry<'_>, id: &ObjectRef, job: &Object) -> Insight {
    if readiness::verdict(job).is_ready() {
        return Insight::nothing();
    }
    let pods: Vec<&Object> = inquiry
        .all(
            &Selection::of("v1", "Pod")
                .within(namespace(id))
                .labelled(&format!("batch.kubernetes.io/job-name={}", id.name)),
        )
        .into_iter()
        .filter(|pod| is_owned_by(pod, job))
        .collect();
    if let Some(failed) = condition(job, "Failed").filter(Condition::is_true) {
        let code = if failed.reason() == "DeadlineExceeded" { &JOB_TOO_LATE } else { &JOB_FAILED };
        let what = if code == &JOB_FAILED { "failed" } else { "exceeded its deadline" };
        let attempts = bootstrapper_core::words::count(
            number(&job.data["status"]["failed"]).unsigned_abs(),
            "failed attempt",
        );
        let finding = match last_words(inquiry, &pods) {
            Some(said) => Finding::new(code, format!("{what} after {attempts}: \"{said}\"")),
            None => Finding::new(code, format!("{what} after {attempts}: {}", line(failed.message()))),
        };
        return finding.evidence(failed.describe()).into();
    }
    if job.data["spec"]["suspend"] == true {
        return Finding::new(&PAUSED, "is suspended").remedy("set `spec.suspend` to false").into();
    }
    let refused = refused(inquiry, id, job);
    let since = inquiry.seconds_since(&job.data["status"]["startTime"]).unwrap_or_default();
    let unready = pods.into_iter().filter(|pod| pod.data["status"]["phase"] != "Failed");
    let unready: Vec<&Object> = unready.filter(|pod| !readiness::verdict(pod).is_ready()).collect();
    let runs = Finding::new(&JOB_RUNS, format!("running for {since} s")).transient();
    Insight::from(runs).and_for(unready).join(refused)
}

/// The most relevant log line of the last failed pod.
fn last_words(inquiry: &Inquiry<'_>, pods: &[&Object]) -> Option<String> {
    let failed = pods
        .iter()
        .filter(|pod| pod.data["status"]["phase"] == "Failed")
        .max_by_key(|pod| pod.metadata.creation_timestamp.clone())?;
    let containers = list(&failed.data["status"]["containerStatuses"]);
    let ended = containers.filter(|container| number(&container["state"]["terminated"]["exitCode"]) != 0);
    ended
        .map(|container| telling(inquiry.log(&ObjectRef::of(failed), text(&container["name"]), false)))
        .next()
        .flatten()
}
