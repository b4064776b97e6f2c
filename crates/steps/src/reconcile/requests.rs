//! Requests to Flux while a step waits for it: due requests are marked in the readiness, and sent when the step
//! acts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::due::{Due, Plan, Watched, short};
use super::facts::Facts;
use super::request_log::RequestLog;
use crate::webhook_backends::Seen;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Change, ChangeKind, Changes, Diff};
use bootstrapper_gitops::Declared;
use bootstrapper_tools::published_history;

/// A GitRepository's default branch.
const DEFAULT_BRANCH: &str = "master";

/// The requests of a step to Flux while it waits.
pub(crate) struct Requests {
    cluster: Cluster,
    source: ObjectRef,
    root: ObjectRef,
    repository: PathBuf,
    /// The branch of the source; none if it follows something else.
    branch: Option<String>,
    includes_failed: bool,
    watched: OnceCell<Watched>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: RequestLog,
    due: Vec<Due>,
}

impl Requests {
    /// For a cluster's declaration in a repository.
    pub(crate) fn of(cluster: Cluster, declared: &Declared, repository: &Path) -> Self {
        Self::new(cluster, &declared.source, ObjectRef::of(&declared.sync), repository)
    }

    /// For a source, and the root Kustomization.
    pub(super) fn new(cluster: Cluster, source: &Object, root: ObjectRef, repository: &Path) -> Self {
        Self {
            cluster,
            source: ObjectRef::of(source),
            root,
            repository: repository.to_owned(),
            branch: branch(source),
            includes_failed: false,
            watched: OnceCell::new(),
            state: Mutex::default(),
        }
    }

    /// The same; every failed object is requested once, though nothing has changed since.
    pub(crate) fn including_failed(self) -> Self {
        Self { includes_failed: true, ..self }
    }

    /// The requests that would be sent now.
    pub(crate) fn diff(&self) -> Diff {
        let due = self.state().due.clone();
        let summary = match due.as_slice() {
            [one] => format!("request reconciliation of {}", one.id),
            all => format!("request {}", count(all.len(), "reconciliation")),
        };
        Diff { summary, changes: due.iter().map(change).collect(), unchanged: 0 }
    }

    /// Sends the due requests, in order.
    pub(crate) async fn send(&self, say: &(dyn Fn(String) + Send + Sync)) -> Result<Changes> {
        let due = std::mem::take(&mut self.state().due);
        let mut changes = Vec::new();
        for one in &due {
            say(format!("requesting reconciliation of {}: {}", one.id, one.why));
            let now = Timestamp::now();
            if self.cluster.request_reconciliation(&one.id, &now.to_string(), false).await? {
                changes.push(change(one));
            }
            self.state().asked.note(one, now);
        }
        let summary = format!("{} requested", count(self.state().asked.count(), "reconciliation"));
        Ok(Changes { summary, changes, ..Changes::default() })
    }

    /// Marks the readiness when requests are due: at each change, and at the due time.
    pub(crate) fn marking(&self, items: Followed<Readiness>) -> BoxStream<'_, Result<Readiness>> {
        let begin = Marking { requests: self, items, last: None, next: None };
        stream::unfold(begin, |mut marking| async move {
            let item = marking.next().await?;
            Some((item, marking))
        })
        .boxed()
    }

    async fn watched(&self) -> &Watched {
        let watched = || async {
            let published = match &self.branch {
                Some(branch) => published_history(&self.repository, branch).await,
                None => None,
            };
            let (source, root) = (self.source.clone(), self.root.clone());
            Watched { source, root, published, includes_failed: self.includes_failed }
        };
        self.watched.get_or_init(watched).await
    }

    /// The readiness with its due requests, and when to check again.
    fn marked(&self, watched: &Watched, readiness: Readiness) -> (Readiness, Option<Timestamp>) {
        let seen: Seen = readiness
            .observed
            .iter()
            .map(|object| (ObjectRef::of(object), Some(Arc::clone(object))))
            .collect();
        let mut state = self.state();
        let Plan { due, next } = watched.due(&seen, &state.asked, Timestamp::now());
        let readiness = with_unfetched(readiness, watched, &seen, &due);
        if readiness.verdict.is_ready() {
            return (readiness, None);
        }
        state.due = due;
        (Readiness { due: !state.due.is_empty(), ..readiness }, next)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pushed commit that was not fetched is waited for until Flux was requested to. If the source then still has
/// an older commit, it follows another repository, which is only a remark.
fn with_unfetched(readiness: Readiness, watched: &Watched, seen: &Seen, due: &[Due]) -> Readiness {
    let Some(source) = seen.get(&watched.source).and_then(Option::as_deref) else { return readiness };
    let Some(head) = watched.unfetched(source) else { return readiness };
    let fetched = Facts(source).fetched().unwrap_or_default();
    let text = format!("has fetched {fetched}, and {} is pushed", short(head));
    if Facts(source).is_pending() || due.iter().any(|due| due.id == watched.source) {
        let awaited = Verdict::not_yet(text).of(&watched.source);
        let verdict = match readiness.verdict {
            Verdict::Never(reasons) => awaited.and(Verdict::NotYet(reasons)),
            other => awaited.and(other),
        };
        return Readiness { verdict, ..readiness };
    }
    let mut remarks = readiness.remarks;
    remarks.push(format!("{} {text}", watched.source));
    Readiness { remarks, ..readiness }
}

/// A stream of readiness with due requests.
struct Marking<'a> {
    requests: &'a Requests,
    items: Followed<Readiness>,
    last: Option<Readiness>,
    next: Option<Timestamp>,
}

impl Marking<'_> {
    async fn next(&mut self) -> Option<Result<Readiness>> {
        let watched = self.requests.watched().await;
        loop {
            tokio::select! {
                item = self.items.next() => match item? {
                    Ok(readiness) => {
                        self.last = Some(readiness.clone());
                        let (readiness, next) = self.requests.marked(watched, readiness);
                        self.next = next;
                        return Some(Ok(readiness));
                    }
                    Err(failure) => return Some(Err(failure)),
                },
                () = until(self.next) => {
                    self.next = None;
                    if let Some(last) = self.last.clone() {
                        let (readiness, next) = self.requests.marked(watched, last);
                        self.next = next;
                        if readiness.due {
                            return Some(Ok(readiness));
                        }
                    }
                }
            }
        }
    }
}

/// Returns at that time; never without one.
async fn until(then: Option<Timestamp>) {
    match then {
        Some(then) => {
            let left = Duration::try_from(then.duration_since(Timestamp::now())).unwrap_or_default();
            // Due times use the same clock.
            tokio::time::sleep(left + Duration::from_millis(10)).await;
        }
        None => std::future::pending().await,
    }
}

fn change(due: &Due) -> Change {
    Change { kind: ChangeKind::Configured, subject: due.id.to_string(), details: vec![due.why.clone()] }
}

/// The branch that a source follows.
fn branch(source: &Object) -> Option<String> {
    let reference = &source.data["spec"]["ref"];
    let is_fixed = ["tag", "semver", "name", "commit"].iter().any(|key| !reference[*key].is_null());
    let is_git = source.types.as_ref().is_some_and(|types| types.kind == "GitRepository");
    (is_git && !is_fixed).then(|| reference["branch"].as_str().unwrap_or(DEFAULT_BRANCH).to_owned())
}
