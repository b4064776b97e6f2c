//! What Helm stores of a release: a Secret per revision, `sh.helm.release.v1.<name>.v<revision>`.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::Value;

use super::Cluster;
use super::calls::{if_there, within_limit};
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::yaml;

/// The newest revision of a release.
#[derive(Debug, Clone)]
pub struct StoredRelease {
    /// The revision.
    pub revision: u64,
    /// `deployed`, `failed`, `pending-install`, …
    pub status: String,
    /// The chart's version.
    pub chart_version: String,
    /// Whether Helm applied it server-side.
    pub is_server_side: bool,
    /// The values it was installed with.
    pub values: Value,
    /// The Secret that stores it.
    pub secret: ObjectRef,
    /// The objects it was rendered to.
    pub objects: Vec<Object>,
}

impl StoredRelease {
    /// Whether a Helm that is at work, or was killed, holds it.
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }
}

/// The part of Helm's own record that is read (`helm.sh/helm/v4/pkg/release`).
#[derive(Deserialize)]
struct Record {
    version: u64,
    info: Info,
    chart: Chart,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    apply_method: String,
}

#[derive(Deserialize)]
struct Info {
    status: String,
}

#[derive(Deserialize)]
struct Chart {
    metadata: ChartMetadata,
}

#[derive(Deserialize)]
struct ChartMetadata {
    version: String,
}

impl Cluster {
    /// The newest revision of a release; none if Helm knows of none.
    pub async fn helm_release(&self, namespace: &str, name: &str) -> Result<Option<StoredRelease>> {
        let what = format!("the state of release {namespace}/{name} cannot be read");
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let of_release = ListParams::default().labels(&format!("owner=helm,name={name}"));
        // Revisions are large: only the newest is read in whole.
        let Some(list) = if_there(&what, secrets.list_metadata(&of_release)).await? else { return Ok(None) };
        let revision = |labels: Option<&std::collections::BTreeMap<String, String>>| -> Option<u64> {
            labels?.get("version")?.parse().ok()
        };
        let newest = list.items.into_iter().max_by_key(|item| revision(item.metadata.labels.as_ref()));
        let Some(secret) = newest.and_then(|newest| newest.metadata.name) else { return Ok(None) };
        let stored = within_limit(&what, secrets.get(&secret)).await?;
        let encoded =
            stored.data.and_then(|mut data| data.remove("release")).map(|bytes| bytes.0).unwrap_or_default();
        let unreadable =
            || Failure::step(what.clone()).because(format!("Secret {namespace}/{secret} holds no release"));
        let record: Record = decode(&encoded).ok_or_else(unreadable)?;
        let documents: Vec<Option<Object>> = yaml::from_multiple(
            &record.manifest,
            std::path::Path::new(&format!("manifest of {namespace}/{name}")),
        )?;
        Ok(Some(StoredRelease {
            revision: record.version,
            status: record.info.status,
            chart_version: record.chart.metadata.version,
            is_server_side: record.apply_method == "ssa",
            values: record.config.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            secret: ObjectRef::namespaced("v1", "Secret", namespace, &secret),
            objects: documents.into_iter().flatten().collect(),
        }))
    }
}

/// Base64, then gzip, then JSON.
fn decode(encoded: &[u8]) -> Option<Record> {
    let compressed = STANDARD.decode(encoded).ok()?;
    let mut json = Vec::new();
    GzDecoder::new(compressed.as_slice()).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}
