//! BGP sessions as the API reports them; for a session that is reported down for long, the node's agent is
//! queried: the status in the API may be stale.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::judged;
use crate::merged_watches::{Seen, seen_by};
use bootstrapper_cluster::cilium;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_readiness::{self as readiness, Probe};

/// How long the API must report a session in the same state before its agent is queried.
pub(super) const UNCHANGED: Duration = Duration::from_secs(20);

/// The pause between two queries.
const PAUSE: Duration = Duration::from_secs(15);

/// How many agents are queried concurrently. If one has no session, no others are queried: the step is not
/// ready.
const AT_ONCE: usize = 8;

/// The answers of agents about their sessions. An answer is valid until the API reports something newer.
#[derive(Clone, Default)]
pub(super) struct AgentAnswers(Arc<Mutex<BTreeMap<String, AgentAnswer>>>);

struct AgentAnswer {
    /// The version of the node's config when its agent was queried.
    version: Option<String>,
    peers: Value,
}

impl AgentAnswers {
    /// The node's config as its agent reports it, if queried and unchanged since.
    fn correct(&self, config: &Object) -> Option<(Object, Vec<String>)> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer =
            answers.get(name(config)).filter(|answer| answer.version == config.metadata.resource_version)?;
        Some(readiness::cilium::as_reported_by_agent(config, &answer.peers))
    }

    /// Replaces all earlier answers.
    fn replace(&self, answers: BTreeMap<String, AgentAnswer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }
}

/// Watches the sessions. `trust` is how long the API is trusted when it reports one down.
pub(super) fn readiness(cluster: Cluster, trust: Duration, answers: AgentAnswers) -> Followed<Readiness> {
    let objects = seen_by(&cluster, Probe::CiliumBgp);
    let agents: Agents = Box::new(move |agent| {
        let cluster = cluster.clone();
        async move { cilium::sessions_of(&cluster, &agent).await }.boxed()
    });
    Follower { agents, objects, trust, answers, seen: None, stale: StaleSessions::default() }.follow()
}

/// Queries an agent for its sessions.
type Agents = Box<dyn Fn(ObjectRef) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

struct Follower {
    agents: Agents,
    objects: Followed<Seen>,
    trust: Duration,
    answers: AgentAnswers,
    seen: Option<Seen>,
    stale: StaleSessions,
}

impl Follower {
    fn follow(self) -> Followed<Readiness> {
        stream::unfold(self, |mut follower| async move {
            let readiness = follower.next().await?;
            Some((readiness, follower))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Result<Readiness>> {
        let due = self.stale.due(self.trust);
        let is_due = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            seen = self.objects.next() => {
                let seen = match seen? {
                    Ok(seen) => seen,
                    Err(failure) => return Some(Err(failure)),
                };
                self.stale.see(configs(&seen), Instant::now());
                self.seen = Some(seen);
            }
            () = is_due => {}
        }
        if self.stale.due(self.trust).is_some_and(|due| due <= Instant::now()) {
            self.ask().await;
        }
        self.judge().map(Ok)
    }

    /// Queries the agents of stale sessions; an agent that is not ready is skipped.
    async fn ask(&mut self) {
        let Some(seen) = &self.seen else { return };
        let now = Instant::now();
        let doubted = self.stale.nodes(self.trust, now);
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
                some.iter().map(async |(config, agent)| (config, (self.agents)((*agent).clone()).await));
            let mut is_down = false;
            for (config, answer) in join_all(answers).await {
                // Without an answer, the API's report counts.
                let Ok(peers) = answer else {
                    is_down = true;
                    continue;
                };
                is_down |= !readiness::cilium::sessions_down(
                    &readiness::cilium::as_reported_by_agent(config, &peers).0,
                )
                .is_empty();
                let version = config.metadata.resource_version.clone();
                said.insert(name(config).to_owned(), AgentAnswer { version, peers });
            }
            if is_down {
                break;
            }
        }
        self.answers.replace(said);
        self.stale.asked = Some(Instant::now());
    }

    fn judge(&self) -> Option<Readiness> {
        let mut seen = self.seen.clone()?;
        let mut remarks = Vec::new();
        for config in seen.values_mut().flatten().filter(|object| is_of(object, CONFIG)) {
            if let Some((corrected, up)) = self.answers.correct(config) {
                remarks.extend(up.into_iter().map(|up| format!("{}: {up}", name(&corrected))));
                *config = Arc::new(corrected);
            }
        }
        let readiness = judged(Probe::CiliumBgp, &seen);
        // Until it is ready, its reasons are enough.
        let remarks = if readiness.verdict.is_ready() { remarks } else { Vec::new() };
        Some(Readiness { remarks, ..readiness })
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

/// Sessions that the API reports down, by node and address: the state, and since when.
#[derive(Default)]
struct StaleSessions {
    since: BTreeMap<(String, String), (String, Instant)>,
    asked: Option<Instant>,
}

impl StaleSessions {
    fn see<'a>(&mut self, configs: impl Iterator<Item = &'a Object>, now: Instant) {
        let before = std::mem::take(&mut self.since);
        for config in configs {
            for (address, state) in readiness::cilium::sessions_down(config) {
                let session = (name(config).to_owned(), address);
                let same = before.get(&session).filter(|(was, _)| *was == state);
                let since = same.map_or(now, |(_, since)| *since);
                self.since.insert(session, (state, since));
            }
        }
    }

    /// When to query agents next.
    fn due(&self, trust: Duration) -> Option<Instant> {
        let first = self.since.values().map(|(_, since)| *since + trust).min()?;
        Some(self.asked.map_or(first, |asked| first.max(asked + PAUSE)))
    }

    /// The nodes with sessions that are down for too long.
    fn nodes(&self, trust: Duration, now: Instant) -> BTreeSet<&str> {
        let doubted = self.since.iter().filter(|(_, (_, since))| *since + trust <= now);
        doubted.map(|((node, _), _)| node.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
    fn a_session_reported_down_unchanged_is_rechecked_with_a_pause() {
        let mut stale = StaleSessions::default();
        let began = Instant::now();
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        stale.see([config("a", "open_confirm"), config("b", "established")].iter(), after(0));
        assert_eq!(stale.due(UNCHANGED), Some(after(20)));
        // A session whose state changes is not stuck.
        stale.see([config("a", "open_confirm"), config("b", "idle")].iter(), after(10));
        stale.see([config("a", "open_confirm"), config("b", "active")].iter(), after(15));
        assert_eq!(stale.due(UNCHANGED), Some(after(20)));
        assert_eq!(stale.nodes(UNCHANGED, after(20)), BTreeSet::from(["a"]));
        stale.asked = Some(after(20));
        assert_eq!(stale.due(UNCHANGED), Some(after(35)));
        assert_eq!(stale.nodes(UNCHANGED, after(35)), BTreeSet::from(["a", "b"]));
        stale.see([config("a", "established"), config("b", "established")].iter(), after(40));
        assert_eq!(stale.due(UNCHANGED), None);
    }

    #[test]
    fn an_answer_counts_until_the_api_reports_something_new() {
        let answers = AgentAnswers::default();
        let peers = json!([{"peer-address": "10.0.0.1", "session-state": "established"}]);
        answers.replace([("a".to_owned(), AgentAnswer { version: Some("1".to_owned()), peers })].into());
        let told = config("a", "open_confirm");
        assert_eq!(answers.correct(&told).unwrap().1.len(), 1);
        let mut newer = told;
        newer.metadata.resource_version = Some("2".to_owned());
        assert!(answers.correct(&newer).is_none());
        assert!(answers.correct(&config("b", "idle")).is_none());
    }

    /// A cluster of one node, as its watches report it.
    fn seen(state: &str) -> Seen {
        let object = |value: Value| Arc::new(serde_json::from_value::<Object>(value).unwrap());
        let peers = json!([{"name": "router", "peerAddress": "10.0.0.1"}]);
        let cluster = object(json!({"apiVersion": "cilium.io/v2", "kind": "CiliumBGPClusterConfig",
            "metadata": {"name": "bgp"}, "spec": {"bgpInstances": [{"name": "main", "peers": peers}]}}));
        let member =
            object(json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "a"}}));
        let agent = object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cilium-a", "namespace": "kube-system"},
            "spec": {"nodeName": "a"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
        let objects =
            [vec![cluster], vec![Arc::new(config("a", state))], vec![member], vec![agent], vec![], vec![]];
        objects.into_iter().enumerate().collect()
    }

    /// Its agent always answers this, after `at_first` was answered the given number of times.
    fn follower(
        trust: Duration,
        at_first: (usize, &'static str),
        then: &'static str,
    ) -> (Follower, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let agents: Agents = Box::new(move |agent| {
            assert_eq!(agent.name, "cilium-a");
            let (times, said) = at_first;
            let state = if count.fetch_add(1, Ordering::SeqCst) < times { said } else { then };
            async move { Ok(json!([{"peer-address": "10.0.0.1", "session-state": state}])) }.boxed()
        });
        let objects = stream::iter([Ok(seen("open_confirm"))]).chain(stream::pending()).boxed();
        let (answers, stale) = (AgentAnswers::default(), StaleSessions::default());
        (Follower { agents, objects, trust, answers, seen: None, stale }, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_is_queried_after_a_while_and_trusted() {
        let (follower, asked) = follower(UNCHANGED, (2, "active"), "established");
        let began = Instant::now();
        let mut items = follower.follow();
        let first = items.next().await.unwrap().unwrap();
        let texts = first.verdict.texts();
        assert!(texts[0].starts_with("Node a: 10.0.0.1: session is open_confirm"), "{texts:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        // The agent's answer is also in the reason.
        for count in 1..=2 {
            let item = items.next().await.unwrap().unwrap();
            let texts = item.verdict.texts();
            assert!(texts[0].starts_with("Node a: 10.0.0.1: session is active"), "{texts:?}");
            assert_eq!(asked.load(Ordering::SeqCst), count);
            assert!(item.remarks.is_empty());
        }
        let last = items.next().await.unwrap().unwrap();
        assert!(last.verdict.is_ready());
        assert_eq!(began.elapsed().as_secs(), (UNCHANGED + 2 * PAUSE).as_secs());
        assert!(last.remarks[0].starts_with("a: its session with 10.0.0.1 is up"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_asks_at_once() {
        let (follower, asked) = follower(Duration::ZERO, (0, ""), "established");
        assert!(follower.follow().next().await.unwrap().unwrap().verdict.is_ready());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
