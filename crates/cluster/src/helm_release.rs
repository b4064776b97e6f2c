//! The releases of a cluster, as Helm stores them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::Cluster;
use super::calls::{if_there, within_limit};
use super::helm_record::StoredRelease;
use bootstrapper_core::failure::Result;

impl Cluster {
    /// The newest revision of a release; none if Helm has no record of it.
    pub async fn helm_release(&self, namespace: &str, name: &str) -> Result<Option<StoredRelease>> {
        let what = unreadable(namespace, name);
        let Some((_, secret)) = self.newest_revision(namespace, name).await? else { return Ok(None) };
        let secret = within_limit(&what, self.secrets(namespace).get(&secret)).await?;
        StoredRelease::read(&secret, namespace, name).map(Some)
    }

    /// The number of a release's newest revision; none if Helm has no record of it.
    pub async fn helm_revision(&self, namespace: &str, name: &str) -> Result<Option<u64>> {
        Ok(self.newest_revision(namespace, name).await?.and_then(|(revision, _)| revision))
    }

    /// Revisions are large: this reads only their metadata.
    async fn newest_revision(&self, namespace: &str, name: &str) -> Result<Option<(Option<u64>, String)>> {
        let of_release = ListParams::default().labels(&format!("owner=helm,name={name}"));
        let secrets = self.secrets(namespace);
        let list = if_there(&unreadable(namespace, name), secrets.list_metadata(&of_release)).await?;
        let all = list.into_iter().flat_map(|list| list.items);
        Ok(all
            .filter_map(|item| Some((revision(item.metadata.labels.as_ref()), item.metadata.name?)))
            .max_by_key(|(revision, _)| *revision))
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn unreadable(namespace: &str, name: &str) -> String {
    format!("cannot read the state of release {namespace}/{name}")
}

fn revision(labels: Option<&BTreeMap<String, String>>) -> Option<u64> {
    labels?.get("version")?.parse().ok()
}
