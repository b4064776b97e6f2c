//! Watches that need no luck: the object or its kind may not be there yet, may go and come back,
//! the connection may break, the API server may restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder as _;
use futures::stream::{self, BoxStream, StreamExt};
use kube::core::TypeMeta;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;

use super::{Cluster, secrets};
use crate::object::{Object, ObjectRef, Selection};

/// All objects of a watch, by name.
type Seen = BTreeMap<ObjectRef, Arc<Object>>;

impl Cluster {
    /// Follows objects by name. Each item is the state of all of them; the first comes once each
    /// was looked for. Changes that follow each other quickly may be told as one.
    pub fn follow(
        &self,
        refs: Vec<ObjectRef>,
    ) -> BoxStream<'static, BTreeMap<ObjectRef, Option<Arc<Object>>>> {
        let mut by_kind: BTreeMap<Selection, Vec<String>> = BTreeMap::new();
        for id in &refs {
            let selection =
                Selection { namespace: id.namespace.clone(), ..Selection::of(&id.api_version, &id.kind) };
            by_kind.entry(selection).or_default().push(id.name.clone());
        }
        let count = by_kind.len();
        let watches = by_kind.into_iter().enumerate().map(|(index, (selection, names))| {
            // One object is watched by its name, several of a kind together.
            let only = if let [name] = names.as_slice() { Some(name.clone()) } else { None };
            self.watched(selection, only).map(move |seen| (index, seen)).boxed()
        });
        let mut all: BTreeMap<usize, Arc<Seen>> = BTreeMap::new();
        stream::select_all(watches)
            .filter_map(move |(index, seen)| {
                all.insert(index, seen);
                let state = (all.len() == count).then(|| {
                    // What is declared may have a namespace that its kind does not have.
                    let bare = |id: &ObjectRef| ObjectRef { namespace: None, ..id.clone() };
                    let find = |id: &ObjectRef| {
                        all.values().find_map(|seen| seen.get(id).or_else(|| seen.get(&bare(id)))).cloned()
                    };
                    refs.iter().map(|id| (id.clone(), find(id))).collect()
                });
                async move { state }
            })
            .boxed()
    }

    /// Follows all objects that `selection` selects.
    pub fn follow_all(&self, selection: Selection) -> BoxStream<'static, Vec<Arc<Object>>> {
        self.watched(selection, None).map(|seen| seen.values().cloned().collect()).boxed()
    }

    /// A task watches; the stream gives what it saw last. Ends when the stream is dropped.
    fn watched(&self, selection: Selection, only: Option<String>) -> BoxStream<'static, Arc<Seen>> {
        let (sender, receiver) = watch::channel(None);
        let cluster = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = keep_watching(&cluster, &selection, only.as_deref(), &sender) => {}
                () = sender.closed() => {}
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let seen = receiver.borrow_and_update().clone();
            Some((seen, receiver))
        })
        .filter_map(|seen| async move { seen })
        .boxed()
    }
}

async fn keep_watching(
    cluster: &Cluster,
    selection: &Selection,
    only: Option<&str>,
    sender: &watch::Sender<Option<Arc<Seen>>>,
) {
    let mut pause = Pause::default();
    loop {
        match cluster.api(&selection.api_version, &selection.kind, selection.namespace.as_deref()).await {
            Ok(Some(api)) => {
                let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
                config.label_selector.clone_from(&selection.labels);
                config.field_selector =
                    only.map(|name| format!("metadata.name={name}")).or_else(|| selection.fields.clone());
                let events = watcher(api, config).backoff(Pause::default());
                until_kind_is_gone(events, selection, sender).await;
                cluster.forget(&selection.api_version, &selection.kind).await;
                sender.send_replace(Some(Arc::default()));
                pause.reset();
            }
            // There is no event for a kind that comes: discovery has to be asked again.
            Ok(None) => {
                sender.send_if_modified(|seen| seen.replace(Arc::default()).is_none());
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

async fn until_kind_is_gone(
    events: impl stream::Stream<Item = Result<watcher::Event<Object>, watcher::Error>> + Send,
    selection: &Selection,
    sender: &watch::Sender<Option<Arc<Seen>>>,
) {
    let mut events = std::pin::pin!(events);
    let mut listed = Seen::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => insert(&mut listed, object, selection),
            Ok(watcher::Event::InitDone) => {
                sender.send_replace(Some(Arc::new(std::mem::take(&mut listed))));
            }
            Ok(watcher::Event::Apply(object)) => {
                change(sender, |seen| insert(seen, object, selection));
            }
            Ok(watcher::Event::Delete(object)) => {
                let mut gone = Seen::new();
                insert(&mut gone, object, selection);
                change(sender, |seen| seen.retain(|id, _| !gone.contains_key(id)));
            }
            Err(error) if kind_is_gone(&error) => return,
            // The watcher starts again by itself, after a pause.
            Err(_) => {}
        }
    }
}

/// What was seen is copied only while somebody still looks at it as it was before.
fn change(sender: &watch::Sender<Option<Arc<Seen>>>, change: impl FnOnce(&mut Seen)) {
    sender.send_modify(|seen| change(Arc::make_mut(seen.get_or_insert_default())));
}

fn insert(seen: &mut Seen, mut object: Object, selection: &Selection) {
    object.types.get_or_insert_with(|| TypeMeta {
        api_version: selection.api_version.clone(),
        kind: selection.kind.clone(),
    });
    secrets::mark_object(&object);
    // Half of an object's size, and nothing that a verdict looks at.
    object.metadata.managed_fields = None;
    seen.insert(ObjectRef::of(&object), Arc::new(object));
}

fn kind_is_gone(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// How long one watch lasts. A connection that is dead and does not say so is noticed a little later.
const WATCH_SECONDS: u32 = 30;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Between attempts: short at first, and never so long that a person would wonder.
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
