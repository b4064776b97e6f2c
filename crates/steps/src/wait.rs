//! Waits for a fact of the cluster, and changes nothing.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt as _};

use super::asked_sessions;
use super::doubted_sessions::{self, Remarks, UNCHANGED, Words};
use super::explain::Explainer;
use super::objects::follow_ready_by;
use super::seeing::{Seen, seen_by};
use super::unheard_peers;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_engine::{Act, Cause, Changes, Observation, Step};
use bootstrapper_readiness::{OwnRules, Probe, Verdict};

/// What is waited for.
pub enum Awaited {
    /// A probe by name, over whatever it needs to see.
    Probe(Probe),
    /// One object: by the rule of its kind, or by a user's own expressions.
    Object {
        /// The object.
        id: ObjectRef,
        /// The rule of its kind, or a user's own.
        readiness: Arc<OwnRules>,
    },
}

/// Waits for a fact of the cluster.
pub struct Wait {
    cluster: Cluster,
    awaited: Awaited,
    words: Words,
    remarks: Remarks,
    explainer: Explainer,
}

impl Wait {
    /// Waits for this of a cluster.
    pub fn new(cluster: Cluster, awaited: Awaited) -> Self {
        Self {
            cluster,
            awaited,
            words: Words::default(),
            remarks: Remarks::default(),
            explainer: Explainer::default(),
        }
    }

    /// `patience` is for what the API may tell wrongly, and others could tell better.
    fn verdicts(&self, patience: Duration) -> Followed<Verdict> {
        match &self.awaited {
            Awaited::Probe(Probe::CiliumBgp) => self.bgp_verdicts(patience),
            Awaited::Probe(Probe::CiliumClustermesh) => self.mesh_verdicts(),
            Awaited::Probe(probe) => probe_verdicts(&self.cluster, *probe, &self.explainer),
            Awaited::Object { id, readiness } => {
                follow_ready_by(&self.cluster, vec![id.clone()], Arc::clone(readiness), &self.explainer)
            }
        }
    }

    /// About this side; of the others is told what its own programs hear, once it is ready.
    fn mesh_verdicts(&self) -> Followed<Verdict> {
        let (cluster, remarks) = (self.cluster.clone(), Arc::clone(&self.remarks));
        let told = move |verdict: Result<Verdict>| {
            let (cluster, remarks) = (cluster.clone(), Arc::clone(&remarks));
            async move {
                if verdict.as_ref().is_ok_and(Verdict::is_ready) {
                    let unheard = unheard_peers::remarks(&cluster).await;
                    *remarks.lock().unwrap_or_else(PoisonError::into_inner) = unheard;
                }
                verdict
            }
        };
        probe_verdicts(&self.cluster, Probe::CiliumClustermesh, &self.explainer).then(told).boxed()
    }

    /// By objects, or by the agents' own word where no object tells.
    fn bgp_verdicts(&self, patience: Duration) -> Followed<Verdict> {
        let (cluster, words, remarks) = (self.cluster.clone(), self.words.clone(), Arc::clone(&self.remarks));
        let explainer = self.explainer.clone();
        stream::once(async move {
            match asked_sessions::are_needed(&cluster).await {
                Ok(true) => asked_sessions::verdicts(cluster),
                Err(failure) => stream::once(async move { Err(failure) }).boxed(),
                Ok(false) => doubted_sessions::verdicts(cluster, patience, words, remarks, &explainer),
            }
        })
        .flatten()
        .boxed()
    }
}

fn probe_verdicts(cluster: &Cluster, probe: Probe, explainer: &Explainer) -> Followed<Verdict> {
    let judge = move |seen: Seen| probe.judge(&seen, jiff::Timestamp::now());
    seen_by(cluster, probe, explainer).map_ok(judge).boxed()
}

#[async_trait]
impl Step for Wait {
    async fn observe(&self) -> Result<Observation> {
        // Who looks once, cannot see what stays as it is.
        super::watching::observe(self.verdicts(Duration::ZERO), "ready".to_owned(), 0).await
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Result<Verdict>> {
        self.verdicts(UNCHANGED)
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn explain(&self, failure: Option<&Failure>) -> Vec<Cause> {
        match &self.awaited {
            Awaited::Object { id, .. } => {
                self.explainer.of_objects(&self.cluster, std::slice::from_ref(id), failure).await
            }
            Awaited::Probe(probe) => self.explainer.of_selections(&self.cluster, &probe.watches()).await,
        }
    }
}
