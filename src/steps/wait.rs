//! Waits for a fact of the cluster, and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use super::asked_sessions;
use super::objects::follow_ready_by;
use crate::cluster::Cluster;
use crate::engine::{Act, Cause, Changes, Observation, Step};
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::readiness::{OwnRules, Probe, Verdict};

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
    /// The API server.
    pub cluster: Cluster,
    /// What is waited for.
    pub awaited: Awaited,
}

impl Wait {
    fn verdicts(&self) -> BoxStream<'static, Verdict> {
        match &self.awaited {
            Awaited::Probe(Probe::CiliumBgp) => bgp_verdicts(self.cluster.clone()),
            Awaited::Probe(probe) => probe_verdicts(&self.cluster, *probe),
            Awaited::Object { id, readiness } => {
                follow_ready_by(&self.cluster, vec![id.clone()], Arc::clone(readiness))
            }
        }
    }
}

/// By objects, or by the agents' own word where no object tells.
fn bgp_verdicts(cluster: Cluster) -> BoxStream<'static, Verdict> {
    stream::once(async move {
        match asked_sessions::are_needed(&cluster).await {
            Ok(true) => asked_sessions::verdicts(cluster),
            _ => probe_verdicts(&cluster, Probe::CiliumBgp),
        }
    })
    .flatten()
    .boxed()
}

/// Joins the watches of all that a probe needs to see; judges once each has answered, and then at
/// every change.
fn probe_verdicts(cluster: &Cluster, probe: Probe) -> BoxStream<'static, Verdict> {
    let selections = probe.watches();
    let count = selections.len();
    let watches = selections
        .into_iter()
        .enumerate()
        .map(|(index, selection)| cluster.follow_all(selection).map(move |objects| (index, objects)).boxed());
    let mut seen: BTreeMap<usize, Vec<Arc<Object>>> = BTreeMap::new();
    stream::select_all(watches)
        .filter_map(move |(index, objects)| {
            seen.insert(index, objects);
            let verdict = (seen.len() == count).then(|| probe.judge(&seen, jiff::Timestamp::now()));
            async move { verdict }
        })
        .boxed()
}

#[async_trait]
impl Step for Wait {
    async fn observe(&self) -> Result<Observation> {
        Ok(super::watching::observe(self.verdicts(), "ready".to_owned(), 0).await)
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Verdict> {
        self.verdicts()
    }

    async fn explain(&self, failure: Option<&Failure>) -> Vec<Cause> {
        match &self.awaited {
            Awaited::Object { id, .. } => {
                super::explain::explain(&self.cluster, std::slice::from_ref(id), failure).await
            }
            Awaited::Probe(probe) => {
                super::explain::explain_selections(&self.cluster, &probe.watches()).await
            }
        }
    }
}
