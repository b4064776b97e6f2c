//! Notes of steps for reports and hints; correctness never depends on them.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::FIELD_MANAGER;
use super::calls::if_there;
use super::identity::{RECORD, record};
use super::{Cluster, HOME};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::masked_json;

impl Cluster {
    /// The note with this name; none if it does not exist or cannot be parsed.
    pub async fn read_note<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(ledger) = self.get(&record()).await? else { return Ok(None) };
        Ok(ledger.data["data"][name].as_str().and_then(|text| serde_json::from_str(text).ok()))
    }

    /// Writes a note under a name.
    pub async fn note(&self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(what)
            .map_err(|error| Failure::internal(format!("cannot serialize {name}")).caused_by(&error))?;
        let text = masked_json(&text);
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), HOME);
        let patch = serde_json::json!({"data": {name: text}});
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        if_there("cannot write the ledger", maps.patch(RECORD, &parameters, &Patch::Merge(&patch)))
            .await
            .map(drop)
    }
}
