//! Watches objects until they are ready.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};

use super::webhook_backends::{Seen, with_unanswered};
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::{Progress, Readiness, Verdict};
use bootstrapper_readiness::{CustomRules, WebhookService};

/// Ready without watching anything.
pub(super) fn ready() -> BoxStream<'static, Result<Readiness>> {
    stream::once(async { Ok(Readiness::ready()) }).boxed()
}

/// Watches objects until each is ready by the rule of its kind.
pub(super) fn follow_ready(cluster: &Cluster, refs: Vec<ObjectRef>) -> Followed<Readiness> {
    follow_ready_by(cluster, refs, Arc::default())
}

/// The same, with the rules that a repository adds for its own kinds.
pub(super) fn follow_ready_by(
    cluster: &Cluster,
    refs: Vec<ObjectRef>,
    rules: Arc<CustomRules>,
) -> Followed<Readiness> {
    follow(cluster, refs, move |seen| readiness_of(seen, &rules))
}

/// Watches objects and evaluates all of them at every change. An empty set is ready. Webhooks also need a
/// backend.
pub(super) fn follow(
    cluster: &Cluster,
    refs: Vec<ObjectRef>,
    judge: impl Fn(&Seen) -> Readiness + Send + 'static,
) -> Followed<Readiness> {
    if refs.is_empty() {
        return ready();
    }
    with_unanswered(cluster, cluster.follow(refs))
        .map(move |followed| {
            let (seen, unanswered) = followed?;
            let own = judge(&seen);
            let verdict = unanswered.iter().map(WebhookService::unanswered).fold(own.verdict, Verdict::and);
            let observed = seen.values().flatten().cloned().collect();
            Ok(Readiness { verdict, observed, ..own })
        })
        .boxed()
}

/// Whether each exists and is ready, and how many are.
pub(super) fn readiness_of<'a>(
    seen: impl IntoIterator<Item = (&'a ObjectRef, &'a Option<Arc<Object>>)>,
    rules: &CustomRules,
) -> Readiness {
    let mut progress = Progress { ready: 0, total: 0 };
    let judge = |(id, object): (&ObjectRef, &Option<Arc<Object>>)| {
        let verdict = match object {
            Some(object) => rules.verdict(object),
            None => Verdict::not_yet("not found"),
        };
        progress.total += 1;
        progress.ready += usize::from(verdict.is_ready());
        verdict.of(id)
    };
    let verdict: Verdict = seen.into_iter().map(judge).collect();
    // For a single object, the reason is enough.
    Readiness { progress: (progress.total > 1).then_some(progress), ..verdict.into() }
}

/// Combines two facts, once both are known.
pub(super) fn both(one: Followed<Readiness>, other: Followed<Readiness>) -> Followed<Readiness> {
    let sides = stream::select(one.map(|seen| (0, seen)), other.map(|seen| (1, seen)));
    let joined = sides.scan([None, None], |last, (side, seen)| {
        let answer = match seen {
            Err(failure) => Some(Err(failure)),
            Ok(readiness) => {
                last[side] = Some(readiness);
                match last {
                    [Some(one), Some(other)] => Some(Ok(merged(one.clone(), other.clone()))),
                    _ => None,
                }
            }
        };
        std::future::ready(Some(answer))
    });
    joined.filter_map(std::future::ready).boxed()
}

fn merged(one: Readiness, other: Readiness) -> Readiness {
    Readiness {
        verdict: one.verdict.and(other.verdict),
        progress: one.progress.or(other.progress),
        remarks: [one.remarks, other.remarks].concat(),
        due: one.due || other.due,
        observed: [one.observed, other.observed].concat(),
    }
}
