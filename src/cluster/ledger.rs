//! The ledger: what the last run came to. For reports and hints; correctness never depends on it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::apply::FIELD_MANAGER;
use super::calls::if_there;
use super::identity::{RECORD, record};
use super::{Cluster, HOME};
use crate::failure::{Failure, Result};

/// What a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// When it began.
    pub started: jiff::Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether everything is as declared and ready.
    pub succeeded: bool,
    /// How many objects changed.
    pub changed: usize,
    /// How many were as declared.
    pub unchanged: usize,
    /// The version of this program.
    pub version: String,
}

impl Cluster {
    /// Writes down what a run came to.
    pub async fn record_run(&self, run: &RunRecord) -> Result<()> {
        self.note("lastRun", run).await
    }

    /// What was written down under a name; none if nothing was, or nothing that can be read.
    pub async fn noted<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(ledger) = self.get(&record()).await? else { return Ok(None) };
        Ok(ledger.data["data"][name].as_str().and_then(|text| serde_json::from_str(text).ok()))
    }

    /// Writes something down under a name.
    pub async fn note(&self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(what)
            .map_err(|error| Failure::internal(format!("{name} cannot be written down")).caused_by(&error))?;
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), HOME);
        let patch = serde_json::json!({"data": {name: text}});
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        if_there("the ledger cannot be written", maps.patch(RECORD, &parameters, &Patch::Merge(&patch)))
            .await
            .map(drop)
    }
}
