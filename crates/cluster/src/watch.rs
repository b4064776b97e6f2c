//! Robust watches: the object or its kind may not exist yet, may be deleted and recreated,
//! the connection may break, the API server may restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder as _;
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt};
use kube::Api;
use kube::core::TypeMeta;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::failures::{failure, of_code};
use super::{Cluster, secrets};
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// The state of all objects of a watch, by name.
type Seen = BTreeMap<ObjectRef, Arc<Object>>;

/// An item of a watch: its state, or the current error. A permanent error remains until a permission is
/// granted.
pub type Followed<T> = BoxStream<'static, Result<T>>;

/// Only the states, without errors: for the sandbox's programs, which have nobody to report to.
pub fn seen<T: Send + 'static>(followed: Followed<T>) -> BoxStream<'static, T> {
    followed.filter_map(|item| ready(item.ok())).boxed()
}

impl Cluster {
    /// Watches objects by name. Each item has the state of all of them; the first comes once each has been
    /// read. Rapid changes may be combined.
    pub fn follow(&self, refs: Vec<ObjectRef>) -> Followed<BTreeMap<ObjectRef, Option<Arc<Object>>>> {
        let mut by_kind: BTreeMap<Selection, Vec<String>> = BTreeMap::new();
        for id in &refs {
            let selection =
                Selection { namespace: id.namespace.clone(), ..Selection::of(&id.api_version, &id.kind) };
            by_kind.entry(selection).or_default().push(id.name.clone());
        }
        let count = by_kind.len();
        let watches = by_kind.into_iter().enumerate().map(|(index, (selection, names))| {
            // Watches a single object by name, several of a kind together.
            let only = if let [name] = names.as_slice() { Some(name.clone()) } else { None };
            self.watched(selection, only).map(move |item| (index, item)).boxed()
        });
        let mut all: BTreeMap<usize, Result<Arc<Seen>>> = BTreeMap::new();
        stream::select_all(watches)
            .filter_map(move |(index, item)| {
                all.insert(index, item);
                ready((all.len() == count).then(|| state(&refs, all.values())))
            })
            .boxed()
    }

    /// Watches all objects that match `selection`.
    pub fn follow_all(&self, selection: Selection) -> Followed<Vec<Arc<Object>>> {
        let all = |seen: Arc<Seen>| seen.values().cloned().collect();
        self.watched(selection, None).map(move |item| item.map(all)).boxed()
    }

    /// A task watches; the stream returns its latest state. Ends when the stream is dropped.
    fn watched(&self, selection: Selection, only: Option<String>) -> Followed<Arc<Seen>> {
        let (sender, receiver) = watch::channel(None);
        let mut watching =
            Watching { cluster: self.clone(), selection, only, sender, outage: Outage::default() };
        tokio::spawn(async move {
            let nobody_listens = watching.sender.clone();
            tokio::select! {
                () = watching.keep_on() => {}
                () = nobody_listens.closed() => {}
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let item = receiver.borrow_and_update().clone();
            Some((item, receiver))
        })
        .filter_map(ready)
        .boxed()
    }
}

/// The states of `refs`, once all watches have an initial state; objects of a failed watch are unknown.
fn state<'a>(
    refs: &[ObjectRef],
    all: impl Iterator<Item = &'a Result<Arc<Seen>>>,
) -> Result<BTreeMap<ObjectRef, Option<Arc<Object>>>> {
    let all = joined(all)?;
    // A declaration may have a namespace although its kind is cluster-scoped.
    let bare = |id: &ObjectRef| ObjectRef { namespace: None, ..id.clone() };
    let find =
        |id: &ObjectRef| all.iter().find_map(|seen| seen.get(id).or_else(|| seen.get(&bare(id)))).cloned();
    Ok(refs.iter().map(|id| (id.clone(), find(id))).collect())
}

/// The states of several watches; or their errors as one. A permanent one has precedence.
pub fn joined<'a, T: Clone + 'a>(all: impl Iterator<Item = &'a Result<T>>) -> Result<Vec<T>> {
    let (mut seen, mut failures): (Vec<T>, Vec<&Failure>) = (Vec::new(), Vec::new());
    for item in all {
        match item {
            Ok(item) => seen.push(item.clone()),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort_by_key(|failure| failure.retry != Retry::Useless);
    let Some((first, others)) = failures.split_first() else { return Ok(seen) };
    let mut all = (*first).clone();
    for other in others {
        all = all.because(other);
        for hint in &other.hints {
            if !all.hints.contains(hint) {
                all.hints.push(hint.clone());
            }
        }
    }
    Err(all)
}

/// One watch, kept open while it has a receiver.
struct Watching {
    cluster: Cluster,
    selection: Selection,
    only: Option<String>,
    sender: watch::Sender<Option<Result<Arc<Seen>>>>,
    outage: Outage,
}

/// How a watch ended.
enum End {
    /// The API server does not serve the kind (any more).
    KindGone(Failure),
    /// An error: lists everything again.
    Lost,
}

impl Watching {
    async fn keep_on(&mut self) {
        let mut pause = Pause::default();
        loop {
            self.outage.may_begin();
            let Selection { api_version, kind, namespace, .. } = &self.selection;
            match self.cluster.api(api_version, kind, namespace.as_deref()).await {
                Ok(Some(api)) => match self.until_lost(api, &mut pause).await {
                    // Discovery shows whether it is no longer served, or only not found.
                    End::KindGone(failure) => {
                        self.cluster.forget(&self.selection.api_version, &self.selection.kind).await;
                        self.report(failure, true);
                    }
                    End::Lost => {}
                },
                // There is no event for a new kind: repeats discovery.
                Ok(None) => {
                    self.outage = Outage::default();
                    self.see(Arc::default());
                }
                Err(failure) => {
                    self.report(failure, true);
                }
            }
            tokio::time::sleep(pause.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    async fn until_lost(&mut self, api: Api<Object>, pause: &mut Pause) -> End {
        let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
        config.label_selector.clone_from(&self.selection.labels);
        let named = self.only.as_ref().map(|name| format!("metadata.name={name}"));
        config.field_selector = named.or_else(|| self.selection.fields.clone());
        let mut events = std::pin::pin!(watcher(api, config).backoff(Pause::default()));
        let mut listed = Seen::new();
        let mut is_listing = true;
        loop {
            let event = if is_listing {
                let Ok(event) = timeout(LIST_LIMIT, events.next()).await else {
                    self.report(self.unanswered(), true);
                    return End::Lost;
                };
                event
            } else {
                events.next().await
            };
            let Some(event) = event else { return End::Lost };
            let error = match event {
                Ok(event) => {
                    is_listing = self.take(event, &mut listed, is_listing);
                    if !is_listing {
                        self.outage = Outage::default();
                        pause.reset();
                    }
                    continue;
                }
                Err(error) => error,
            };
            let failure = self.failure(&error);
            if kind_is_gone(&error) {
                return End::KindGone(failure);
            }
            // A reported error is resolved only by a new list.
            if self.report(failure, is_listing) || is_list_outdated(&error) {
                return End::Lost;
            }
        }
    }

    /// Processes an event; returns whether a list is still in progress.
    fn take(&self, event: watcher::Event<Object>, listed: &mut Seen, is_listing: bool) -> bool {
        match event {
            watcher::Event::Init => {
                listed.clear();
                return true;
            }
            watcher::Event::InitApply(object) => {
                insert(listed, object, &self.selection);
                return true;
            }
            watcher::Event::InitDone => {
                self.sender.send_replace(Some(Ok(Arc::new(std::mem::take(listed)))));
                return false;
            }
            watcher::Event::Apply(object) => {
                change(&self.sender, |seen| insert(seen, object, &self.selection));
            }
            watcher::Event::Delete(object) => {
                let mut gone = Seen::new();
                insert(&mut gone, object, &self.selection);
                change(&self.sender, |seen| seen.retain(|id, _| !gone.contains_key(id)));
            }
        }
        is_listing
    }

    /// The list is complete; report it if it changed.
    fn see(&self, all: Arc<Seen>) {
        self.sender.send_if_modified(|latest| {
            let is_news = !matches!(latest, Some(Ok(before)) if *before == all);
            *latest = Some(Ok(all));
            is_news
        });
    }

    /// Reports an error that has lasted for a while; returns whether it did.
    fn report(&mut self, failure: Failure, is_listing: bool) -> bool {
        if !self.outage.lasts(is_listing) {
            return false;
        }
        self.sender.send_if_modified(|latest| {
            let is_news = !matches!(latest, Some(Err(before)) if before.to_string() == failure.to_string());
            *latest = Some(Err(failure));
            is_news
        });
        true
    }

    fn failure(&self, error: &watcher::Error) -> Failure {
        let Selection { api_version, kind, namespace, .. } = &self.selection;
        let what = |verb: &str| {
            let place = namespace.as_ref().map(|namespace| format!(" in namespace {namespace}"));
            let group = api_version.split_once('/').map(|(group, _)| format!(" of {group}"));
            format!("cannot {verb} {kind} objects{}{}", group.unwrap_or_default(), place.unwrap_or_default())
        };
        let (verb, error) = match error {
            watcher::Error::InitialListFailed(error) => ("list", error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => ("watch", error),
            watcher::Error::WatchError(status) => return Self::granted(of_code(what("watch"), status)),
            watcher::Error::NoResourceVersion => {
                let because = "the API server's answer has no resourceVersion";
                return Failure::step(what("watch")).because(because).retry(Retry::MayHelp);
            }
        };
        Self::granted(match error {
            kube::Error::Api(status) => of_code(what(verb), status),
            error => failure(what(verb), error),
        })
    }

    /// All missing permissions that a watch needs.
    fn granted(mut failure: Failure) -> Failure {
        for hint in &mut failure.hints {
            if let Some(right) =
                ["grant list on ", "grant watch on "].iter().find_map(|one| hint.strip_prefix(one))
            {
                *hint = format!("grant list,watch on {right}");
            }
        }
        failure
    }

    fn unanswered(&self) -> Failure {
        let what = format!("cannot list {} objects", self.selection.kind);
        Failure::new(FailureKind::Connection, what)
            .because(format!("timed out after {} s", LIST_LIMIT.as_secs()))
            .retry(Retry::MayHelp)
    }
}

/// The start of the error.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Outage {
    /// Records an error, if there is none yet.
    fn may_begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether the error has lasted long enough to be reported. After a while without errors, the next one is
    /// new.
    fn lasts(&mut self, is_listing: bool) -> bool {
        let now = Instant::now();
        if !is_listing && self.last.is_none_or(|last| now - last > QUIET) {
            self.since = None;
        }
        self.last = Some(now);
        now - *self.since.get_or_insert(now) >= UNTOLD
    }
}

/// The state is copied only while a reader still has the previous one.
fn change(sender: &watch::Sender<Option<Result<Arc<Seen>>>>, change: impl FnOnce(&mut Seen)) {
    sender.send_modify(|latest| {
        if !matches!(latest, Some(Ok(_))) {
            *latest = Some(Ok(Arc::default()));
        }
        if let Some(Ok(seen)) = latest {
            change(Arc::make_mut(seen));
        }
    });
}

fn insert(seen: &mut Seen, mut object: Object, selection: &Selection) {
    object.types.get_or_insert_with(|| TypeMeta {
        api_version: selection.api_version.clone(),
        kind: selection.kind.clone(),
    });
    secrets::mark_object(&object);
    // Managed fields are half of an object's size, and no verdict uses them.
    object.metadata.managed_fields = None;
    seen.insert(ObjectRef::of(&object), Arc::new(object));
}

fn kind_is_gone(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// A list without a resource version to resume from. kube would request the same again.
fn is_list_outdated(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { return false };
    status.code == 410 || status.message.contains("resource version")
}

/// Transient errors shorter than this are not reported, including a missing permission: an aggregated role
/// takes a moment to include the rules that the run has just installed.
const UNTOLD: Duration = Duration::from_secs(3);

/// After this long without errors, the next one is new.
const QUIET: Duration = Duration::from_secs(10);

/// The timeout for a page of a list.
const LIST_LIMIT: Duration = Duration::from_secs(20);

/// The duration of one watch. A dead connection is detected a little later.
const WATCH_SECONDS: u32 = 30;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The delay between attempts: short at first, and limited to what a user would tolerate.
struct Pause(backon::ExponentialBackoff);

impl Default for Pause {
    fn default() -> Self {
        let pauses = backon::ExponentialBuilder::default()
            .with_min_delay(SHORTEST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times();
        Self(pauses.build())
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
