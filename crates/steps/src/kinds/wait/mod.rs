//! Waits for a fact about the cluster, and changes nothing.

mod bgp_peering_policy_status;
mod bgp_status_recheck;
mod mesh_peers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt as _};

use crate::explain::Explainer;
use crate::following::follow_ready_by;
use crate::merged_watches::{Seen, seen_by};
use crate::owns_nothing::owns_nothing;
use bgp_status_recheck::{AgentAnswers, UNCHANGED};

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_engine::{Act, Cause, Changes, Observation, Step, Stuck};
use bootstrapper_gitops::pipeline::WaitSpec;
use bootstrapper_readiness::{CustomRules, Expressions, Probe, RuleTexts};

/// What a step waits for.
pub enum Awaited {
    /// A named probe, over the objects that it needs.
    Probe(Probe),
    /// One object: by the rule of its kind, or with CEL expressions of the user.
    Object {
        /// The object.
        id: ObjectRef,
        /// The rule of its kind, or the user's.
        readiness: Arc<CustomRules>,
    },
}

/// Waits for a fact about the cluster.
pub struct Wait {
    cluster: Cluster,
    awaited: Awaited,
    /// Agents' answers during observation are reused while settling.
    agents: AgentAnswers,
    explainer: Explainer,
}

impl Wait {
    /// Waits for this fact in a cluster.
    pub fn new(cluster: Cluster, awaited: Awaited) -> Self {
        Self { cluster, awaited, agents: AgentAnswers::default(), explainer: Explainer::default() }
    }

    /// `trust` is how long the API is trusted when it reports a session down, before its agent is queried.
    fn readiness(&self, trust: Duration) -> Followed<Readiness> {
        match &self.awaited {
            Awaited::Probe(Probe::CiliumBgp) => self.bgp(trust),
            Awaited::Probe(Probe::CiliumClustermesh) => self.mesh(),
            Awaited::Probe(
                probe @ (Probe::CiliumAgents | Probe::CiliumGateway | Probe::Nodes | Probe::FluxControllers),
            ) => probe_readiness(&self.cluster, *probe),
            Awaited::Object { id, readiness } => {
                follow_ready_by(&self.cluster, vec![id.clone()], Arc::clone(readiness))
            }
        }
    }

    /// The mesh state of this cluster; the state of its peers is a remark, once it is ready.
    fn mesh(&self) -> Followed<Readiness> {
        let cluster = self.cluster.clone();
        let with_remarks = move |readiness: Result<Readiness>| {
            let cluster = cluster.clone();
            async move {
                let mut readiness = readiness?;
                if readiness.verdict.is_ready() {
                    readiness.remarks = mesh_peers::remarks(&cluster).await;
                }
                Ok(readiness)
            }
        };
        probe_readiness(&self.cluster, Probe::CiliumClustermesh).then(with_remarks).boxed()
    }

    /// By objects, or by agents' answers where no object reports it.
    fn bgp(&self, trust: Duration) -> Followed<Readiness> {
        let (cluster, agents) = (self.cluster.clone(), self.agents.clone());
        stream::once(async move {
            match bgp_peering_policy_status::is_needed(&cluster).await {
                Ok(true) => bgp_peering_policy_status::readiness(cluster),
                Err(failure) => stream::once(async move { Err(failure) }).boxed(),
                Ok(false) => bgp_status_recheck::readiness(cluster, trust, agents),
            }
        })
        .flatten()
        .boxed()
    }
}

impl Kind for WaitSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let cluster = planner.inputs.cluster.clone();
        Ok(match self {
            Self::Probe(probe) => {
                Planned::step(probe.to_string(), Wait::new(cluster, Awaited::Probe(*probe)))
            }
            Self::Object { id, ready, failed } => {
                let readiness = if ready.is_some() || failed.is_some() {
                    let texts =
                        RuleTexts { current: ready.clone(), failed: failed.clone(), ..RuleTexts::default() };
                    let mut rules = CustomRules::default();
                    rules.add(id.api_version.clone(), id.kind.clone(), Expressions::compile(&texts)?);
                    Arc::new(rules)
                } else {
                    Arc::clone(&planner.inputs.pipeline.readiness)
                };
                let id = id.clone();
                Planned::step(id.to_string(), Wait::new(cluster, Awaited::Object { id, readiness }))
            }
        })
    }
}

/// Waits until another owner has applied an object.
pub(super) fn awaited(planner: &Planner<'_>, object: &Object) -> Planned {
    let id = ObjectRef::of(object);
    let mut rules = CustomRules::default();
    if let Ok(exists) =
        Expressions::compile(&RuleTexts { current: Some("true".to_owned()), ..RuleTexts::default() })
    {
        rules.add(id.api_version.clone(), id.kind.clone(), exists);
    }
    let title = format!("{id} (applied by the Flux operator)");
    let awaited = Awaited::Object { id, readiness: Arc::new(rules) };
    Planned::step(title, Wait::new(planner.inputs.cluster.clone(), awaited))
}

fn probe_readiness(cluster: &Cluster, probe: Probe) -> Followed<Readiness> {
    seen_by(cluster, probe).map_ok(move |seen| judged(probe, &seen)).boxed()
}

/// Evaluates a probe on the observed objects.
pub(super) fn judged(probe: Probe, seen: &Seen) -> Readiness {
    let verdict = probe.judge(seen, jiff::Timestamp::now());
    let observed = seen.values().flatten().cloned().collect();
    Readiness { observed, progress: probe.progress(seen, &verdict), ..verdict.into() }
}

owns_nothing!(Wait);

#[async_trait]
impl Step for Wait {
    async fn observe(&self) -> Result<Observation> {
        // A single observation cannot tell what is stuck: agents are queried immediately.
        crate::watching::observe(self.readiness(Duration::ZERO), "ready".to_owned(), 0).await
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        self.readiness(UNCHANGED)
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        match &self.awaited {
            Awaited::Object { id, .. } => {
                self.explainer.of_objects(&self.cluster, std::slice::from_ref(id), stuck).await
            }
            Awaited::Probe(probe) => {
                self.explainer.of_selections(&self.cluster, &probe.watches(), stuck).await
            }
        }
    }
}
