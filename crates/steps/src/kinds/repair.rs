//! Restarts a cilium-operator that started before the Gateway API CRDs: it checks for them only at startup, and
//! does not reconcile Gateways until a restart if one is missing (`operator/pkg/gateway-api/cell.go`).

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use futures::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::Kind;
use crate::explain::Explainer;
use crate::owns_nothing::owns_nothing;
use crate::plan::{Planned, Planner};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step, Stuck};
use bootstrapper_gitops::pipeline::RepairSpec;
use bootstrapper_readiness::{self as readiness, Condition, cilium};

/// The CRDs that Cilium 1.16 to 1.20 check for; `validate` reports missing ones.
const LOOKED_FOR: [&str; 7] = [
    "gatewayclasses",
    "gateways",
    "httproutes",
    "grpcroutes",
    "referencegrants",
    "tlsroutes",
    "backendtlspolicies",
];

/// Restarts a cilium-operator that started before the Gateway API CRDs.
pub(super) struct GatewayRepair {
    cluster: Cluster,
    /// The CRDs; none if Cilium's Gateway API is disabled. Read once: an earlier stage installs them.
    crds: OnceCell<Vec<Object>>,
    explainer: Explainer,
}

impl Kind for RepairSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Self::CiliumGateway = self;
        let step = GatewayRepair::new(planner.inputs.cluster.clone());
        Ok(Planned::step("cilium-operator and the Gateway API", step))
    }
}

/// A pod of the operator, and the CRD that was created after it.
struct Stale {
    pod: ObjectRef,
    crd: String,
    seconds: i64,
}

impl GatewayRepair {
    /// For this cluster's Cilium.
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, crds: OnceCell::new(), explainer: Explainer::default() }
    }

    async fn crds(&self) -> Result<&[Object]> {
        let crds = self.crds.get_or_try_init(async || {
            let config = self.cluster.get(&cilium::settings()).await?;
            if config.is_none_or(|config| config.data["data"]["enable-gateway-api"] != "true") {
                return Ok(Vec::new());
            }
            let ids = LOOKED_FOR.map(|kind| {
                let name = format!("{kind}.gateway.networking.k8s.io");
                ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name)
            });
            let found = try_join_all(ids.iter().map(|id| self.cluster.get(id))).await?;
            Ok(found.into_iter().flatten().collect())
        });
        crds.await.map(Vec::as_slice)
    }

    async fn stale(&self) -> Result<Vec<Stale>> {
        let crds = self.crds().await?;
        if crds.is_empty() {
            return Ok(Vec::new());
        }
        let pods = self.cluster.list(&cilium::operator_pods()).await?;
        Ok(pods.iter().filter_map(|pod| stale(pod, crds)).collect())
    }
}

/// Whether a pod's process started before one of the CRDs was created, and how long before.
fn stale(pod: &Object, crds: &[Object]) -> Option<Stale> {
    let statuses = pod.data["status"]["containerStatuses"].as_array()?;
    let started = time(&statuses.first()?["state"]["running"]["startedAt"])?;
    let newest = crds.iter().filter_map(|crd| Some((established(crd)?, crd))).max_by_key(|(at, _)| *at)?;
    let seconds = newest.0.as_second() - started.as_second();
    (seconds > 0).then(|| Stale {
        pod: ObjectRef::of(pod),
        crd: newest.1.metadata.name.clone().unwrap_or_default(),
        seconds,
    })
}

fn established(crd: &Object) -> Option<Timestamp> {
    let established = readiness::condition(crd, "Established").filter(Condition::is_true)?;
    time(established.since())
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn change(stale: &Stale) -> Change {
    let why = format!("started {} s before {}, which it looks up only at startup", stale.seconds, stale.crd);
    Change { kind: ChangeKind::Deleted, subject: stale.pod.to_string(), details: vec![why] }
}

/// Ready once a pod runs that started after the CRDs, and none that started before.
fn settled(pods: &[Arc<Object>], crds: &[Object]) -> Verdict {
    if pods.iter().any(|pod| stale(pod, crds).is_some()) {
        return Verdict::not_yet(
            "a cilium-operator that started before the Gateway API CRDs is still running",
        );
    }
    if pods.iter().any(|pod| readiness::verdict(pod).is_ready()) {
        return Verdict::Ready;
    }
    Verdict::not_yet("cilium-operator is not running yet")
}

owns_nothing!(GatewayRepair);

#[async_trait]
impl Step for GatewayRepair {
    async fn observe(&self) -> Result<Observation> {
        let stale = self.stale().await?;
        if stale.is_empty() {
            let summary = "cilium-operator has the Gateway API CRDs".to_owned();
            return Ok(Observation::Satisfied { summary, unchanged: 0 });
        }
        Ok(Observation::Drifted(Diff {
            summary: format!("{} of cilium-operator to restart", count(stale.len(), "pod")),
            changes: stale.iter().map(change).collect(),
            unchanged: 0,
        }))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let stale = self.stale().await?;
        for one in &stale {
            (act.say)(format!("restarting {}: it started {} s before {}", one.pod, one.seconds, one.crd));
            self.cluster.delete(&one.pod).await?;
        }
        Ok(Changes {
            summary: format!("restarted {} of cilium-operator", count(stale.len(), "pod")),
            changes: stale.iter().map(change).collect(),
            ..Changes::default()
        })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        self.cluster
            .follow_all(cilium::operator_pods())
            .then(async |pods| {
                let pods = pods?;
                let verdict = match self.crds().await? {
                    [] => Verdict::Ready,
                    crds => settled(&pods, crds),
                };
                Ok(Readiness { observed: pods, ..verdict.into() })
            })
            .boxed()
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        self.explainer.of_selections(&self.cluster, &[cilium::operator_pods()], stuck).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn operator(started: &str) -> Object {
        object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cilium-operator-x", "namespace": "kube-system"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"state": {"running": {"startedAt": started}}}]}}),
        )
    }

    #[test]
    fn what_started_before_a_crd_does_not_know_it() {
        let crd = |name: &str, at: &str| {
            object(
                json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
                "status": {"conditions": [{"type": "Established", "status": "True", "lastTransitionTime": at}]}}),
            )
        };
        let crds = [crd("gateways", "2026-01-01T00:00:00Z"), crd("tlsroutes", "2026-01-01T00:01:00Z")];
        let early = operator("2026-01-01T00:00:30Z");
        let found = stale(&early, &crds).unwrap();
        assert_eq!((found.crd.as_str(), found.seconds), ("tlsroutes", 30));
        let late = operator("2026-01-01T00:01:01Z");
        assert!(stale(&late, &crds).is_none() && stale(&early, &[]).is_none());
        assert!(!settled(&[Arc::new(early), Arc::new(late.clone())], &crds).is_ready());
        assert!(settled(&[Arc::new(late)], &crds).is_ready() && !settled(&[], &crds).is_ready());
    }
}
