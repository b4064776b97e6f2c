//! Simulates operators whose pods do not run: Flux waits for the status of their objects. The operators and
//! their statuses are data.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use futures::StreamExt as _;
use futures::future::join_all;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{cert_manager, external_secrets};
use crate::site::Site;
use bootstrapper_cluster::{Cluster, seen};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::yaml;
use bootstrapper_readiness as readiness;

const OPERATORS: &str = include_str!("operators.yaml");

/// A simulated operator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operator {
    /// Its Deployment: `namespace/name`.
    operator: String,
    answers: Vec<Answer>,
}

/// The status of an operator for objects of a kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Answer {
    api_version: String,
    kind: String,
    status: Value,
    /// What it creates from them first.
    makes: Option<Made>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Made {
    /// The Secret of an ExternalSecret.
    ExternalSecret,
    /// The Secret of a Certificate.
    Certificate,
}

/// The annotation that makes external-secrets read the vault again when it changes.
const FORCE_SYNC: &str = "force-sync";

/// Makes all ExternalSecrets read the vault again.
pub(crate) async fn force_sync(cluster: &Cluster) -> Result<()> {
    let selection = Selection::of("external-secrets.io/v1", "ExternalSecret");
    let now = jiff::Timestamp::now().to_string();
    for secret in cluster.list(&selection).await? {
        let id = ObjectRef::of(&secret);
        let Some(api): Option<Api<Object>> = cluster.raw_api_in(&id).await? else { continue };
        let patch = Patch::Merge(json!({"metadata": {"annotations": {FORCE_SYNC: now}}}));
        api.patch(&id.name, &PatchParams::default(), &patch)
            .await
            .map_err(|error| Failure::step(format!("cannot look up {id}")).caused_by(&error))?;
    }
    Ok(())
}

fn all() -> Result<Vec<Operator>> {
    yaml::from_str(OPERATORS, Path::new("operators.yaml"))
}

/// Runs while the sandbox runs.
pub(super) async fn run(site: &Site) {
    match all() {
        Ok(operators) => {
            let answers =
                operators.iter().flat_map(|one| one.answers.iter().map(move |answer| (one, answer)));
            join_all(answers.map(|(operator, answer)| keep_answering(site, operator, answer))).await;
        }
        Err(failure) => tracing::error!(%failure, "the simulated operators stopped"),
    }
    // The sandbox runs as long as all of its tasks run.
    std::future::pending::<()>().await;
}

async fn keep_answering(site: &Site, operator: &Operator, answer: &Answer) {
    let (namespace, name) = operator.operator.split_once('/').unwrap_or_default();
    let deployment = ObjectRef::namespaced("apps/v1", "Deployment", namespace, name);
    let mut deployments = seen(site.cluster.follow(vec![deployment.clone()]));
    let mut objects = seen(site.cluster.follow_all(Selection::of(&answer.api_version, &answer.kind)));
    let (mut is_up, mut seen, mut answered) = (false, Vec::new(), BTreeSet::new());
    loop {
        tokio::select! {
            Some(state) = deployments.next() => {
                let deployment = state.get(&deployment).cloned().flatten();
                is_up = deployment.is_some_and(|deployment| readiness::verdict(&deployment).is_ready());
            }
            Some(state) = objects.next() => seen = state,
            else => return,
        }
        for object in seen.iter().filter(|_| is_up) {
            let annotations = object.metadata.annotations.as_ref();
            let wish = annotations.and_then(|annotations| annotations.get(FORCE_SYNC)).cloned();
            let key = (object.metadata.uid.clone(), object.metadata.generation, wish);
            if answered.contains(&key) {
                continue;
            }
            match (|| answer_to(site, object, answer)).retry(policy()).await {
                Ok(()) => drop(answered.insert(key)),
                Err(failure) => tracing::error!(%failure, "cannot update the status for an operator"),
            }
        }
    }
}

fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(8)
}

async fn answer_to(site: &Site, object: &Object, answer: &Answer) -> Result<()> {
    match answer.makes {
        Some(Made::ExternalSecret) => external_secrets::make(site, object).await?,
        Some(Made::Certificate) => cert_manager::make(site, object).await?,
        None => {}
    }
    let id = ObjectRef::of(object);
    let Some(api): Option<Api<Object>> = site.cluster.raw_api_in(&id).await? else { return Ok(()) };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let patch = Patch::Merge(json!({"status": status(answer, object.metadata.generation, &now)}));
    api.patch_status(&id.name, &PatchParams::default(), &patch)
        .await
        .map(drop)
        .map_err(|error| Failure::step(format!("{id} has no status")).caused_by(&error))
}

/// The status, with time and generation.
fn status(answer: &Answer, generation: Option<i64>, now: &str) -> Value {
    let mut status = answer.status.clone();
    status["observedGeneration"] = generation.into();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = now.into();
        condition["observedGeneration"] = generation.into();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_makes_its_object_ready() {
        for answer in all().unwrap().into_iter().flat_map(|operator| operator.answers) {
            let object: Object = serde_json::from_value(json!({
                "apiVersion": answer.api_version, "kind": answer.kind, "metadata": {"name": "x", "generation": 2},
                "status": status(&answer, Some(2), "2026-01-01T00:00:00Z"),
            }))
            .unwrap();
            assert!(readiness::verdict(&object).is_ready(), "{answer:?}");
        }
    }
}
