//! Watches objects, and the Services behind the webhooks among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::merged_watches::MergedWatches;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{WebhookService, webhook_services};

/// The watched objects in their last state.
pub(super) type Seen = BTreeMap<ObjectRef, Option<Arc<Object>>>;

/// The objects, and the Services of webhooks among them that have no ready endpoint.
pub(super) fn with_unanswered(
    cluster: &Cluster,
    objects: Followed<Seen>,
) -> Followed<(Seen, Vec<WebhookService>)> {
    let cluster = cluster.clone();
    let following = Following::of(move |slices| cluster.follow_all(slices), objects);
    stream::unfold(following, |mut following| async move {
        let told = following.next().await?;
        Some((told, following))
    })
    .boxed()
}

struct Following<F> {
    /// Watches the EndpointSlices of a selection.
    follow: F,
    objects: Followed<Seen>,
    seen: Option<Seen>,
    called: Vec<WebhookService>,
    /// The slices of each Service in `called`.
    slices: MergedWatches,
}

impl<F: Fn(Selection) -> Followed<Vec<Arc<Object>>>> Following<F> {
    fn of(follow: F, objects: Followed<Seen>) -> Self {
        Self { follow, objects, seen: None, called: Vec::new(), slices: MergedWatches::of([]) }
    }

    async fn next(&mut self) -> Option<Result<(Seen, Vec<WebhookService>)>> {
        loop {
            tokio::select! {
                told = self.objects.next() => match told? {
                    Ok(seen) => self.see(seen),
                    Err(failure) => return Some(Err(failure)),
                },
                Some(()) = self.slices.change() => {}
            }
            if let Some(seen) = &self.seen
                && self.slices.is_complete()
            {
                let slices = match self.slices.seen() {
                    Ok(slices) => slices,
                    Err(failure) => return Some(Err(failure)),
                };
                let called = self.called.iter().zip(slices.values());
                let unanswered = called.filter(|(called, slices)| !called.is_answered(slices));
                return Some(Ok((seen.clone(), unanswered.map(|(called, _)| called.clone()).collect())));
            }
        }
    }

    fn see(&mut self, seen: Seen) {
        let called: Vec<WebhookService> =
            seen.values().flatten().flat_map(|object| webhook_services(object)).collect();
        if called != self.called {
            self.slices = MergedWatches::of(called.iter().map(|called| (self.follow)(called.slices())));
            self.called = called;
        }
        self.seen = Some(seen);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use bootstrapper_core::object::ObjectRef;

    fn seen(webhooks: &serde_json::Value) -> Seen {
        let object: Object = serde_json::from_value(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "m"}, "webhooks": webhooks
        }))
        .unwrap();
        [(ObjectRef::of(&object), Some(Arc::new(object)))].into()
    }

    fn slice(is_ready: bool) -> Vec<Arc<Object>> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s", "namespace": "n"},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": is_ready}}]
        });
        vec![Arc::new(serde_json::from_value(slice).unwrap())]
    }

    #[tokio::test]
    async fn a_later_webhook_is_waited_for_until_it_has_a_ready_endpoint() {
        let webhook = json!([{"name": "w", "clientConfig": {"service": {"namespace": "n", "name": "s"}}}]);
        let objects = [seen(&json!([])), seen(&webhook), seen(&webhook)];
        let asked = Arc::new(Mutex::new(Vec::new()));
        let follow = {
            let asked = Arc::clone(&asked);
            move |slices: Selection| {
                asked.lock().unwrap().push(slices);
                // An immediate item is consumed immediately.
                let later = stream::once(async {
                    tokio::task::yield_now().await;
                    slice(true)
                });
                stream::iter([slice(false)]).chain(later).map(Ok).chain(stream::pending()).boxed()
            }
        };
        let objects = stream::iter(objects).map(Ok).chain(stream::pending()).boxed();
        let mut following = Following::of(follow, objects);
        let (_, without) = following.next().await.unwrap().unwrap();
        assert!(without.is_empty());
        let mut told = Vec::new();
        while !told.last().is_some_and(Vec::is_empty) {
            told.push(following.next().await.unwrap().unwrap().1);
        }
        assert_eq!(told[0].len(), 1, "{told:?}");
        // The configuration was reported twice unchanged, and its slices are watched once.
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}
