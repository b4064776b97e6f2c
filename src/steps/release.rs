//! A Helm release, as its HelmRelease declares it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use super::flux_owner::FluxOwner;
use super::objects::follow_ready;
use crate::cluster::{Cluster, StoredRelease};
use crate::engine::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step};
use crate::failure::{Failure, Result, Retry};
use crate::gitops;
use crate::object::{Object, ObjectRef};
use crate::readiness::Verdict;
use crate::tools::Helm;

/// A Helm release, as its HelmRelease declares it.
pub struct Release {
    /// The API server.
    pub cluster: Cluster,
    /// Installs it; or why there is no Helm, which preflight tells first.
    pub helm: Result<Arc<Helm>>,
    /// What is declared.
    pub declared: Arc<gitops::Release>,
    /// Whether its workloads must be ready, or Helm's word is enough. A network plugin's own
    /// workloads wait for what comes after it: load-balancer addresses, cluster DNS.
    pub await_workloads: bool,
}

impl Release {
    fn owner(&self) -> FluxOwner {
        FluxOwner(self.declared.id.clone())
    }

    fn name(&self) -> String {
        format!("release {}/{}", self.declared.release_namespace, self.declared.release_name)
    }

    async fn stored(&self) -> Result<Option<StoredRelease>> {
        self.cluster.helm_release(&self.declared.release_namespace, &self.declared.release_name).await
    }
}

/// What has to happen to a release, from what is stored and what is declared.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Install,
    /// From, to, and what differs.
    Upgrade(Vec<String>),
    /// A run was killed in the middle of it.
    Recover,
}

fn need(stored: Option<&StoredRelease>, declared: &gitops::Release) -> Need {
    let Some(stored) = stored else { return Need::Install };
    if stored.is_pending() {
        return Need::Recover;
    }
    if stored.status == "uninstalled" || stored.status == "uninstalling" {
        return Need::Install;
    }
    let mut differences = Vec::new();
    if let Some(version) = declared.chart.exact_version()
        && version != stored.chart_version
    {
        differences.push(format!("chart {} → {version}", stored.chart_version));
    }
    if stored.values != declared.values {
        differences.push("values differ".to_owned());
    }
    if stored.status != "deployed" {
        differences.push(format!("revision {} is {}", stored.revision, stored.status));
    }
    if differences.is_empty() { Need::Nothing } else { Need::Upgrade(differences) }
}

#[async_trait]
impl Step for Release {
    async fn observe(&self) -> Result<Observation> {
        if let Some(since) = self.owner().owns(&self.cluster).await? {
            return Ok(Observation::Satisfied { summary: since, unchanged: 1 });
        }
        let stored = self.stored().await?;
        let change = |kind, details| Diff {
            summary: self.name(),
            changes: vec![Change { kind, subject: self.name(), details }],
            unchanged: 0,
        };
        Ok(match (need(stored.as_ref(), &self.declared), stored) {
            (Need::Nothing, Some(stored)) => Observation::Satisfied {
                summary: format!("{} revision {} as declared", self.name(), stored.revision),
                unchanged: 1,
            },
            (Need::Nothing | Need::Install, _) => {
                Observation::Missing(change(ChangeKind::Created, vec![self.declared.chart.to_string()]))
            }
            (Need::Upgrade(differences), _) => {
                Observation::Drifted(change(ChangeKind::Configured, differences))
            }
            (Need::Recover, _) => Observation::Drifted(change(
                ChangeKind::Configured,
                vec!["an earlier run was killed in the middle of it: it is recovered first".to_owned()],
            )),
        })
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        // Flux may have taken over, and an earlier attempt may have succeeded, since the observation.
        if self.owner().owns(&self.cluster).await?.is_some() {
            return Ok(Changes { summary: format!("{} owned by Flux", self.name()), ..Changes::default() });
        }
        let stored = self.stored().await?;
        let need = need(stored.as_ref(), &self.declared);
        let kind = match &need {
            Need::Nothing => return Ok(Changes { summary: self.name(), changes: Vec::new(), unchanged: 1 }),
            Need::Install => ChangeKind::Created,
            Need::Upgrade(_) | Need::Recover => ChangeKind::Configured,
        };
        if let (Need::Recover, Some(stored)) = (&need, &stored) {
            (act.say)(format!(
                "removing revision {} that a killed run left {}",
                stored.revision, stored.status
            ));
            // The lock is ours, and Flux has no history of it: nobody is at work on this revision.
            self.cluster.delete(&stored.secret).await?;
        }
        (act.say)(format!("helm: {} {}", self.name(), self.declared.chart));
        let helm = self.helm.as_ref().map_err(Clone::clone)?;
        helm.upgrade_install(&self.declared.helm_request(), self.cluster.access()).await?;
        let change = Change { kind, subject: self.name(), details: vec![self.declared.chart.to_string()] };
        Ok(Changes {
            summary: format!("{} {}", self.name(), self.declared.chart.version_text()),
            changes: vec![change],
            unchanged: 0,
        })
    }

    fn settle(&self) -> BoxStream<'_, Verdict> {
        let own = stream::once(async move {
            match self.workloads().await {
                Ok(workloads) => follow_ready(&self.cluster, workloads),
                Err(failure) => stream::once(async move { Verdict::never(failure.to_string()) }).boxed(),
            }
        })
        .flatten()
        .boxed();
        self.owner().settle_or(&self.cluster, own)
    }

    async fn explain(&self, failure: Option<&Failure>) -> Vec<Cause> {
        let workloads = self.workloads().await.unwrap_or_default();
        super::explain::explain(&self.cluster, &workloads, failure).await
    }
}

impl Release {
    /// What of the release runs. Services are left out: one that waits for an address often waits
    /// for an object that only a later step can make.
    async fn workloads(&self) -> Result<Vec<ObjectRef>> {
        if !self.await_workloads {
            return Ok(Vec::new());
        }
        let stored = self.stored().await?.ok_or_else(|| {
            Failure::step(format!("{} has no stored state", self.name())).retry(Retry::MayHelp)
        })?;
        Ok(stored
            .objects
            .iter()
            .filter(|object| is_workload(object))
            .map(|object| self.located(object))
            .collect())
    }

    /// Charts often leave the namespace of their objects to Helm.
    fn located(&self, object: &Object) -> ObjectRef {
        let mut id = ObjectRef::of(object);
        id.namespace.get_or_insert_with(|| self.declared.release_namespace.clone());
        id
    }
}

fn is_workload(object: &Object) -> bool {
    object
        .types
        .as_ref()
        .is_some_and(|types| matches!(types.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet"))
}
