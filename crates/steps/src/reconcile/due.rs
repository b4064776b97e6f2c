//! Decides which objects Flux should reconcile now: those that it would retry only after an interval, though
//! what they waited for has happened. Pure.
//!
//! kustomize-controller 1.9 and helm-controller 1.6 check dependencies every 30 s, and retry failures after
//! `retryInterval`, which is `interval` unless set; a source is fetched every `interval`, and after a failure
//! with exponential backoff. A changed artifact or spec is handled immediately.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::facts::{DEPENDENCY_NOT_READY, Facts, Failure};
use super::request_log::RequestLog;
use crate::webhook_backends::Seen;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::PublishedHistory;

/// kustomize-controller handles a new artifact within this time.
const HEARS_WITHIN: Duration = Duration::from_secs(10);
/// How long a failed source or root is left to its controller.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// What is watched.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// The source of the repository.
    pub(super) source: ObjectRef,
    /// The root Kustomization.
    pub(super) root: ObjectRef,
    /// The published commits, if known.
    pub(super) published: Option<PublishedHistory>,
    /// Whether every failed object is requested once, though nothing has changed since.
    pub(super) includes_failed: bool,
}

/// An object to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: ObjectRef,
    /// The reason, for the user.
    pub(super) why: String,
    /// Identifies the cause, which is requested only once.
    pub(super) key: String,
}

/// The due requests in order, and when to check again if nothing changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) due: Vec<Due>,
    pub(super) next: Option<Timestamp>,
}

impl Watched {
    /// The published commit that the source has not fetched, if it has an older one.
    pub(super) fn unfetched(&self, source: &Object) -> Option<&str> {
        let published = self.published.as_ref()?;
        let commit = Facts(source).fetched()?.rsplit(':').next()?;
        published.ancestors.contains(commit).then_some(published.head.as_str())
    }

    /// The due requests now: the source, the root, then other failed objects, Kustomizations first.
    pub(super) fn due(&self, seen: &Seen, asked: &RequestLog, now: Timestamp) -> Plan {
        let get = |id: &ObjectRef| seen.get(id).and_then(Option::as_deref);
        let source = get(&self.source);
        let mut look = Look { watched: self, seen, source, asked, now, plan: Plan::default() };
        if look.source_is_behind() {
            // All others wait for what it fetches.
            return look.plan;
        }
        let is_release = |id: &ObjectRef| id.kind == "HelmRelease";
        let mut others: Vec<&ObjectRef> = seen.keys().filter(|id| **id != self.source).collect();
        others.sort_by_key(|id| (**id != self.root, is_release(id)));
        for id in others {
            if let Some(object) = get(id) {
                look.object(id, object);
            }
        }
        look.plan
    }
}

/// One evaluation of the observed objects.
struct Look<'a> {
    watched: &'a Watched,
    seen: &'a Seen,
    source: Option<&'a Object>,
    asked: &'a RequestLog,
    now: Timestamp,
    plan: Plan,
}

impl Look<'_> {
    /// Adds a request, unless it was sent already or is not due yet.
    fn take(&mut self, id: &ObjectRef, why: String, key: String, not_before: Option<Timestamp>) {
        if self.asked.has(id, &key) {
            return;
        }
        match self.asked.not_before(id).max(not_before) {
            Some(then) if then > self.now => {
                self.plan.next = Some(self.plan.next.map_or(then, |next| next.min(then)));
            }
            _ => self.plan.due.push(Due { id: id.clone(), why, key }),
        }
    }

    /// Whether the source has not fetched the newest push. A failed source is requested, too.
    fn source_is_behind(&mut self) -> bool {
        let Some(source) = self.source else { return false };
        let (facts, watched) = (Facts(source), self.watched);
        if facts.is_suspended() || facts.is_pending() {
            return false;
        }
        if let Some(head) = watched.unfetched(source) {
            let fetched = facts.fetched().unwrap_or_default();
            let why = format!("has fetched {fetched}, and {} is pushed", short(head));
            self.take(&watched.source, why, format!("unfetched {fetched} {head}"), None);
            return !self.plan.due.is_empty();
        }
        if let Some(failure) = facts.failure() {
            self.failed(&watched.source, &failure);
        }
        false
    }

    fn object(&mut self, id: &ObjectRef, object: &Object) {
        let facts = Facts(object);
        let Some(failure) = facts.failure().filter(|_| !facts.is_pending()) else { return };
        if failure.reason == DEPENDENCY_NOT_READY {
            if let Some(state) = dependencies(facts, self.source, self.seen) {
                self.take(id, "its dependencies are ready".to_owned(), state, None);
            }
            return;
        }
        let of_source = self.source.map(Facts).filter(|_| facts.is_of(&self.watched.source));
        let untried =
            of_source.and_then(Facts::fetched).filter(|fetched| facts.attempted() != Some(*fetched));
        if let Some(fetched) = untried {
            let hears = of_source.and_then(Facts::fetched_at).map(|at| at + HEARS_WITHIN);
            self.take(id, format!("has not tried {fetched}"), format!("revision {fetched}"), hears);
        } else if self.watched.includes_failed && self.asked.times(id) == 0 {
            self.take(id, format!("failed: {}", failure.reason), "failed".to_owned(), None);
        } else if !matches!(failure.reason, "SourceNotReady" | "ArtifactFailed") || *id == self.watched.root {
            // A source notifies its users of new artifacts.
            self.failed(id, &failure);
        }
    }

    /// An object failed, and waits for its interval: it is requested once another object has become ready
    /// since. The source and the root are requested anyway, now and then.
    fn failed(&mut self, id: &ObjectRef, failure: &Failure<'_>) {
        // Users of a source are notified of its artifact.
        let others = self.seen.iter().filter(|(other, _)| *other != id && **other != self.watched.source);
        let became_ready = others
            .filter_map(|(other, object)| Some((Facts(object.as_ref()?).ready_since()?, other)))
            .filter(|(since, _)| *since >= failure.since)
            .max();
        if let Some((since, other)) = became_ready {
            let key = format!("ready {other} {since}");
            if !self.asked.has(id, &key) {
                self.take(id, format!("{other} has become ready since it failed"), key, None);
                return;
            }
        }
        if *id == self.watched.source || *id == self.watched.root {
            // Its condition may stay the same over several attempts.
            let key = format!("failed {} {}", failure.since, self.asked.times(id));
            self.take(id, format!("failed: {}", failure.reason), key, Some(failure.since + LEFT_ALONE));
        }
    }
}

/// The state of an object's dependencies, if its controller would find all of them ready.
fn dependencies(facts: Facts<'_>, source: Option<&Object>, seen: &Seen) -> Option<String> {
    let kind = facts.kind();
    let mut states = BTreeSet::new();
    for (namespace, name) in facts.depends_on() {
        let is_it = |id: &&ObjectRef| {
            id.kind == kind && id.name == name && id.namespace.as_deref() == Some(namespace)
        };
        let id = seen.keys().find(is_it)?;
        let dependency = Facts(seen.get(id)?.as_deref()?);
        let since = dependency.ready_since()?;
        // kustomize-controller requires those with the same source to be at its revision.
        if let Some(source) = source {
            let source_id = ObjectRef::of(source);
            let is_of_it = dependency.is_of(&source_id) && facts.is_of(&source_id);
            if is_of_it && dependency.applied() != Facts(source).fetched() {
                return None;
            }
        }
        states.insert(format!("{namespace}/{name} {since} {}", dependency.applied().unwrap_or_default()));
    }
    Some(format!("dependencies {}", states.into_iter().collect::<Vec<_>>().join(", ")))
}

/// An abbreviated commit.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";
    /// An earlier time.
    const EARLY: &str = "2026-01-01T00:10:00Z";
    const LATER: &str = "2026-01-01T00:20:00Z";

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    /// A Flux object: its kind and name, the status, reason and time of `Ready`, and further fields.
    fn flux(kind: &str, name: &str, ready: (&str, &str, &str), more: Value) -> Value {
        let api = match kind {
            "GitRepository" => "source.toolkit.fluxcd.io/v1",
            "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
            _ => "kustomize.toolkit.fluxcd.io/v1",
        };
        let (status, reason, since) = ready;
        let condition = json!({"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": since, "observedGeneration": 1});
        let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "f", "generation": 1},
            "spec": {}, "status": {"observedGeneration": 1, "conditions": [condition]}});
        match kind {
            "GitRepository" => {
                object["status"]["artifact"] = json!({"revision": "main@sha1:b", "lastUpdateTime": EARLY});
            }
            "Kustomization" => {
                object["spec"]["sourceRef"] = json!({"kind": "GitRepository", "name": "s"});
                object["status"]["lastAttemptedRevision"] = "main@sha1:b".into();
                if status == "True" {
                    object["status"]["lastAppliedRevision"] = "main@sha1:b".into();
                }
            }
            _ => {}
        }
        merge(&mut object, more);
        object
    }

    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }

    fn ready(kind: &str, name: &str, since: &str) -> Value {
        flux(kind, name, ("True", "ReconciliationSucceeded", since), json!({}))
    }

    fn failed(kind: &str, name: &str, reason: &str, more: Value) -> Value {
        flux(kind, name, ("False", reason, EARLY), more)
    }

    fn seen(objects: &[Value]) -> Seen {
        let object = |value: &Value| {
            let object: Object = serde_json::from_value(value.clone()).unwrap();
            (ObjectRef::of(&object), Some(Arc::new(object)))
        };
        objects.iter().map(object).collect()
    }

    fn watched() -> Watched {
        let name = |api: &str, kind: &str, name: &str| ObjectRef::namespaced(api, kind, "f", name);
        Watched {
            source: name("source.toolkit.fluxcd.io/v1", "GitRepository", "s"),
            root: name("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "root"),
            published: None,
            includes_failed: false,
        }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.due.iter().map(|due| due.id.name.as_str()).collect()
    }

    fn due_of(objects: &[Value]) -> Plan {
        watched().due(&seen(objects), &RequestLog::default(), at(NOW))
    }

    #[test]
    fn nothing_is_due_when_all_is_ready_or_under_way() {
        let depends = json!({"spec": {"dependsOn": [{"name": "a"}]}});
        let running = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "BuildFailed", "lastTransitionTime": EARLY},
            {"type": "Reconciling", "status": "True", "reason": "Progressing"}]}});
        let all = [
            ready("GitRepository", "s", EARLY),
            ready("Kustomization", "root", LATER),
            flux("Kustomization", "a", ("True", "x", LATER), depends),
            flux("Kustomization", "b", ("Unknown", "Progressing", EARLY), json!({})),
            flux("Kustomization", "c", ("False", "BuildFailed", EARLY), running),
            flux("HelmRelease", "d", ("Unknown", "Progressing", EARLY), json!({})),
        ];
        assert_eq!(due_of(&all), Plan::default());
    }

    /// An object whose dependencies are ready need not wait for 30 s.
    #[test]
    fn what_waits_for_dependencies_is_due_once_all_of_them_are_ready() {
        let depends = |on: Value| json!({"spec": {"dependsOn": on}});
        let waits = |on: Value| failed("Kustomization", "z", DEPENDENCY_NOT_READY, depends(on));
        let s = ready("GitRepository", "s", EARLY);
        let (a, b) = (ready("Kustomization", "a", LATER), ready("Kustomization", "b", LATER));
        let unready = failed("Kustomization", "b", "HealthCheckFailed", json!({"spec": {"suspend": true}}));
        let old = flux(
            "Kustomization",
            "b",
            ("True", "x", LATER),
            json!({"status": {"lastAppliedRevision": "main@sha1:a", "lastAttemptedRevision": "main@sha1:a"}}),
        );
        let release = ready("HelmRelease", "a", LATER);
        let two = || json!([{"name": "a"}, {"name": "b", "namespace": "f"}]);
        for (name, objects, expected) in [
            ("both ready", vec![&s, &a, &b], true),
            ("one is not", vec![&s, &a, &unready], false),
            ("one is at an older revision", vec![&s, &a, &old], false),
            ("one is not there", vec![&s, &a], false),
            ("one of another kind", vec![&s, &release, &b], false),
        ] {
            let mut objects: Vec<Value> = objects.into_iter().cloned().collect();
            objects.push(waits(two()));
            let expected: &[&str] = if expected { &["z"] } else { &[] };
            assert_eq!(names(&due_of(&objects)), expected, "{name}");
        }
        // helm-controller leaves `Reconciling` unchanged when it waits.
        let release = failed(
            "HelmRelease",
            "z",
            DEPENDENCY_NOT_READY,
            json!({
            "spec": {"dependsOn": [{"name": "a"}]},
            "status": {"conditions": [
                {"type": "Ready", "status": "False", "reason": DEPENDENCY_NOT_READY, "lastTransitionTime": EARLY},
                {"type": "Reconciling", "status": "True", "reason": "Progressing"}]}}),
        );
        assert_eq!(names(&due_of(&[ready("HelmRelease", "a", LATER), release])), ["z"]);
    }

    #[test]
    fn what_failed_is_due_once_something_else_has_become_ready_since() {
        let s = ready("GitRepository", "s", EARLY);
        let (before, after) =
            (ready("Kustomization", "a", "2026-01-01T00:00:00Z"), ready("Kustomization", "b", LATER));
        let with = |more: Value| failed("Kustomization", "z", "HealthCheckFailed", more);
        let retries = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "HealthCheckFailed", "lastTransitionTime": EARLY},
            {"type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry"}]}});
        let stalled = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "UpgradeFailed", "lastTransitionTime": EARLY},
            {"type": "Stalled", "status": "True", "reason": "RetriesExceeded"}]}});
        let pending = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "1"}}});
        let handled = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "1"}}, "status": {"lastHandledReconcileAt": "1"}});
        for (name, object, other, expected) in [
            ("nothing since", with(json!({})), &before, false),
            ("something since", with(json!({})), &after, true),
            ("retries later", with(retries), &after, true),
            ("suspended", with(json!({"spec": {"suspend": true}})), &after, false),
            ("asked by somebody", with(pending), &after, false),
            ("asked and handled", with(handled), &after, true),
            ("a newer generation", with(json!({"metadata": {"generation": 2}})), &after, false),
            (
                "its source is not ready",
                failed("HelmRelease", "z", "SourceNotReady", json!({})),
                &after,
                false,
            ),
            ("a release", failed("HelmRelease", "z", "ValuesError", json!({})), &after, true),
            ("retries are exhausted", failed("HelmRelease", "z", "UpgradeFailed", stalled), &after, false),
        ] {
            let expected: &[&str] = if expected { &["z"] } else { &[] };
            assert_eq!(names(&due_of(&[s.clone(), other.clone(), object])), expected, "{name}");
        }
    }

    /// The same state is requested once, and another one after a growing pause.
    #[test]
    fn requests_are_no_loop() {
        let state = |since: &str| {
            seen(&[ready("Kustomization", "a", since), failed("HelmRelease", "z", "ValuesError", json!({}))])
        };
        let (watched, mut asked) = (watched(), RequestLog::default());
        let mut times = Vec::new();
        let second = Duration::from_secs(1);
        let mut now = at(NOW);
        for minute in 0..60_u32 {
            // An object becomes ready each second.
            let since = at(LATER) + second * minute;
            let plan = watched.due(&state(&since.to_string()), &asked, now);
            for due in &plan.due {
                asked.note(due, now);
                times.push(minute);
            }
            assert!(plan.due.is_empty() != plan.next.is_none() || plan.due.len() == 1);
            assert_eq!(watched.due(&state(&since.to_string()), &asked, now).due, []);
            now += second;
        }
        assert_eq!(times, [0, 5, 15, 35]);
        assert_eq!(asked.count(), 4);
    }

    #[test]
    fn a_source_is_due_when_it_lacks_what_is_pushed_and_all_others_wait_for_that() {
        let published = |ancestors: &[&str]| PublishedHistory {
            head: "c".into(),
            ancestors: ancestors.iter().map(ToString::to_string).collect(),
        };
        let objects = seen(&[
            ready("GitRepository", "s", EARLY),
            ready("Kustomization", "a", LATER),
            failed("Kustomization", "z", "BuildFailed", json!({})),
        ]);
        let due = |ancestors: &[&str], asked: &RequestLog| {
            let watched = Watched { published: Some(published(ancestors)), ..watched() };
            watched.due(&objects, asked, at(NOW))
        };
        let behind = due(&["a", "b"], &RequestLog::default());
        assert_eq!(names(&behind), ["s"]);
        assert_eq!(behind.due[0].why, "has fetched main@sha1:b, and c is pushed");
        // A commit that is unknown here may be newer.
        assert_eq!(names(&due(&["a"], &RequestLog::default())), ["z"]);
        let mut asked = RequestLog::default();
        asked.note(&behind.due[0], at(NOW));
        assert_eq!(names(&due(&["a", "b"], &asked)), ["z"]);
    }

    #[test]
    fn the_source_and_the_root_are_requested_periodically() {
        let objects = seen(&[
            failed("GitRepository", "s", "GitOperationFailed", json!({})),
            failed("Kustomization", "root", "BuildFailed", json!({})),
            failed("Kustomization", "z", "BuildFailed", json!({})),
        ]);
        let (watched, mut asked) = (watched(), RequestLog::default());
        let fresh = watched.due(&objects, &asked, at("2026-01-01T00:10:05Z"));
        assert_eq!((names(&fresh).len(), fresh.next), (0, Some(at("2026-01-01T00:10:20Z"))));
        let plan = watched.due(&objects, &asked, at(NOW));
        assert_eq!(names(&plan), ["s", "root"]);
        for due in &plan.due {
            asked.note(due, at(NOW));
        }
        let again = watched.due(&objects, &asked, at(NOW));
        assert_eq!((names(&again).len(), again.next), (0, Some(at("2026-01-01T01:00:05Z"))));
        assert_eq!(names(&watched.due(&objects, &asked, at("2026-01-01T01:00:05Z"))), ["s", "root"]);
    }

    #[test]
    fn an_unattempted_revision_is_requested() {
        let older = json!({"status": {"lastAttemptedRevision": "main@sha1:a"}});
        let objects =
            seen(&[ready("GitRepository", "s", EARLY), failed("Kustomization", "z", "BuildFailed", older)]);
        let due = |now: &str| watched().due(&objects, &RequestLog::default(), at(now));
        assert_eq!((names(&due(EARLY)).len(), due(EARLY).next), (0, Some(at("2026-01-01T00:10:10Z"))));
        assert_eq!(due(NOW).due[0].why, "has not tried main@sha1:b");
    }

    #[test]
    fn on_request_every_failed_object_is_requested_once() {
        let objects = seen(&[
            ready("GitRepository", "s", EARLY),
            failed("HelmRelease", "a", "UpgradeFailed", json!({})),
            failed("Kustomization", "z", "BuildFailed", json!({})),
        ]);
        let watched = Watched { includes_failed: true, ..watched() };
        let plan = watched.due(&objects, &RequestLog::default(), at(NOW));
        assert_eq!(names(&plan), ["z", "a"]);
        let mut asked = RequestLog::default();
        for due in &plan.due {
            asked.note(due, at(NOW));
        }
        assert_eq!(watched.due(&objects, &asked, at("2026-01-01T02:00:00Z")).due, []);
    }
}
