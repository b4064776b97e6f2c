//! BGP sessions by what the API tells of them, and where it calls one down for long, by the word of its
//! node's agent.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::asked_sessions::peers_of;
use super::wait::{Seen, seen_by};
use crate::cluster::Cluster;
use crate::object::{Object, ObjectRef};
use crate::readiness::{self, Probe, Verdict};

/// For how long the API must have called a session down in the same word before its agent is asked.
pub(super) const UNCHANGED: Duration = Duration::from_secs(20);

/// Before agents are asked again.
const PAUSE: Duration = Duration::from_secs(15);

/// How many are asked at once. If one of them has no session, no further ones are asked: nothing is ready.
const AT_ONCE: usize = 8;

/// What agents said of themselves, and the version of what the API told when they did.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<BTreeMap<String, Word>>>);

struct Word {
    version: Option<String>,
    peers: Value,
}

impl Words {
    /// The node's config as its agent tells, if that was asked and nothing has been written since.
    fn correct(&self, config: &Object) -> Option<(Object, Vec<String>)> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let word = words.get(name(config)).filter(|word| word.version == config.metadata.resource_version)?;
        Some(readiness::as_agent_tells(config, &word.peers))
    }

    /// Whatever was said before counts no more.
    fn replace(&self, said: BTreeMap<String, Word>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }
}

/// Follows them. `patience` is how long the API is believed that calls a session down.
pub(super) fn verdicts(
    cluster: Cluster,
    patience: Duration,
    words: Words,
    remarks: Remarks,
) -> BoxStream<'static, Verdict> {
    let objects = seen_by(&cluster, Probe::CiliumBgp);
    let follower =
        Follower { cluster, objects, patience, words, remarks, seen: None, doubts: Doubts::default() };
    stream::unfold(follower, |mut follower| async move {
        let verdict = follower.next().await?;
        Some((verdict, follower))
    })
    .boxed()
}

/// What a person should know though all is ready.
pub(super) type Remarks = Arc<Mutex<Vec<String>>>;

struct Follower {
    cluster: Cluster,
    objects: BoxStream<'static, Seen>,
    patience: Duration,
    words: Words,
    remarks: Remarks,
    seen: Option<Seen>,
    doubts: Doubts,
}

impl Follower {
    async fn next(&mut self) -> Option<Verdict> {
        let due = self.doubts.due(self.patience);
        let is_due = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            seen = self.objects.next() => {
                let seen = seen?;
                self.doubts.see(configs(&seen), Instant::now());
                self.seen = Some(seen);
            }
            () = is_due => {}
        }
        if self.doubts.due(self.patience).is_some_and(|due| due <= Instant::now()) {
            self.ask().await;
        }
        self.judge()
    }

    /// The agents of all that is doubted; whose is not well is not asked.
    async fn ask(&mut self) {
        let Some(seen) = &self.seen else { return };
        let now = Instant::now();
        let doubted = self.doubts.nodes(self.patience, now);
        let agents = objects(seen, "Pod").filter(|pod| readiness::verdict(pod).is_ready());
        let agents: BTreeMap<&str, ObjectRef> = agents
            .filter_map(|pod| Some((pod.data["spec"]["nodeName"].as_str()?, ObjectRef::of(pod))))
            .collect();
        let asked: Vec<(&Object, &ObjectRef)> = configs(seen)
            .filter(|config| doubted.contains(name(config)))
            .filter_map(|config| Some((config, agents.get(name(config))?)))
            .collect();
        let mut said = BTreeMap::new();
        for some in asked.chunks(AT_ONCE) {
            let answers =
                some.iter().map(async |(config, agent)| (config, peers_of(&self.cluster, agent).await));
            let mut is_down = false;
            for (config, answer) in futures::future::join_all(answers).await {
                // Of who does not answer, the API's word stands.
                let Ok(peers) = answer else {
                    is_down = true;
                    continue;
                };
                is_down |= !readiness::sessions_down(&readiness::as_agent_tells(config, &peers).0).is_empty();
                let version = config.metadata.resource_version.clone();
                said.insert(name(config).to_owned(), Word { version, peers });
            }
            if is_down {
                break;
            }
        }
        self.words.replace(said);
        self.doubts.asked = Some(Instant::now());
    }

    fn judge(&self) -> Option<Verdict> {
        let mut seen = self.seen.clone()?;
        let mut remarks = Vec::new();
        for config in seen.values_mut().flatten().filter(|object| is_of(object, CONFIG)) {
            if let Some((corrected, up)) = self.words.correct(config) {
                remarks.extend(up.into_iter().map(|up| format!("{}: {up}", name(&corrected))));
                *config = Arc::new(corrected);
            }
        }
        *self.remarks.lock().unwrap_or_else(PoisonError::into_inner) = remarks;
        Some(Probe::CiliumBgp.judge(&seen, jiff::Timestamp::now()))
    }
}

const CONFIG: &str = "CiliumBGPNodeConfig";

fn configs(seen: &Seen) -> impl Iterator<Item = &Object> {
    objects(seen, CONFIG)
}

fn objects<'a>(seen: &'a Seen, kind: &'static str) -> impl Iterator<Item = &'a Object> {
    seen.values().flatten().map(AsRef::as_ref).filter(move |object| is_of(object, kind))
}

fn is_of(object: &Object, kind: &str) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == kind)
}

fn name(object: &Object) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// Sessions that the API calls down, by node and address: in which word, and since when.
#[derive(Default)]
struct Doubts {
    since: BTreeMap<(String, String), (String, Instant)>,
    asked: Option<Instant>,
}

impl Doubts {
    fn see<'a>(&mut self, configs: impl Iterator<Item = &'a Object>, now: Instant) {
        let before = std::mem::take(&mut self.since);
        for config in configs {
            for (address, state) in readiness::sessions_down(config) {
                let session = (name(config).to_owned(), address);
                let same = before.get(&session).filter(|(was, _)| *was == state);
                let since = same.map_or(now, |(_, since)| *since);
                self.since.insert(session, (state, since));
            }
        }
    }

    /// When agents are to be asked next.
    fn due(&self, patience: Duration) -> Option<Instant> {
        let first = self.since.values().map(|(_, since)| *since + patience).min()?;
        Some(self.asked.map_or(first, |asked| first.max(asked + PAUSE)))
    }

    /// Of which nodes sessions are doubted by now.
    fn nodes(&self, patience: Duration, now: Instant) -> BTreeSet<&str> {
        let doubted = self.since.iter().filter(|(_, (_, since))| *since + patience <= now);
        doubted.map(|((node, _), _)| node.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(node: &str, state: &str) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "cilium.io/v2", "kind": CONFIG, "metadata": {"name": node, "resourceVersion": "1"},
            "spec": {"bgpInstances": [{"name": "main", "peers": [{"name": "router", "peerAddress": "10.0.0.1"}]}]},
            "status": {"bgpInstances": [{"name": "main", "peers": [{"name": "router", "peeringState": state}]}]},
        }))
        .unwrap()
    }

    #[test]
    fn what_the_api_calls_down_in_the_same_word_is_doubted_after_a_while_and_not_too_often() {
        let mut doubts = Doubts::default();
        let began = Instant::now();
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        doubts.see([config("a", "open_confirm"), config("b", "established")].iter(), after(0));
        assert_eq!(doubts.due(UNCHANGED), Some(after(20)));
        // One that moves is not stuck.
        doubts.see([config("a", "open_confirm"), config("b", "idle")].iter(), after(10));
        doubts.see([config("a", "open_confirm"), config("b", "active")].iter(), after(15));
        assert_eq!(doubts.due(UNCHANGED), Some(after(20)));
        assert_eq!(doubts.nodes(UNCHANGED, after(20)), BTreeSet::from(["a"]));
        doubts.asked = Some(after(20));
        assert_eq!(doubts.due(UNCHANGED), Some(after(35)));
        assert_eq!(doubts.nodes(UNCHANGED, after(35)), BTreeSet::from(["a", "b"]));
        doubts.see([config("a", "established"), config("b", "established")].iter(), after(40));
        assert_eq!(doubts.due(UNCHANGED), None);
    }

    #[test]
    fn a_word_counts_until_the_api_tells_something_new() {
        let words = Words::default();
        let peers = json!([{"peer-address": "10.0.0.1", "session-state": "established"}]);
        words.replace([("a".to_owned(), Word { version: Some("1".to_owned()), peers })].into());
        let told = config("a", "open_confirm");
        assert_eq!(words.correct(&told).unwrap().1.len(), 1);
        let mut newer = told;
        newer.metadata.resource_version = Some("2".to_owned());
        assert!(words.correct(&newer).is_none());
        assert!(words.correct(&config("b", "idle")).is_none());
    }
}
