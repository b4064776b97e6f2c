//! Discovery. Kinds are added while a bootstrap runs, so only served kinds are
//! cached; missing ones are requested each time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Api;
use kube::core::ApiResource;

use super::Cluster;
use super::calls::if_there;
use super::served::Kind;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::object::Object;

impl Cluster {
    /// Whether the API server serves a kind now.
    pub async fn serves(&self, api_version: &str, kind: &str) -> Result<bool> {
        Ok(self.kind(api_version, kind).await?.is_some())
    }

    /// An object with its namespace: `namespace` by default if its kind is namespaced; none if it is not.
    /// `kustomize` adds one to all kinds that it does not know.
    pub async fn located(&self, mut object: Object, namespace: &str) -> Result<Object> {
        let types = object.types.clone().unwrap_or_default();
        let kind = self.kind(&types.api_version, &types.kind).await?;
        match kind {
            Some(kind) if kind.is_namespaced => {
                object.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
            }
            Some(_) => object.metadata.namespace = None,
            None => {}
        }
        Ok(object)
    }

    /// Removes a kind that is no longer served from the cache.
    pub(super) async fn forget(&self, api_version: &str, kind: &str) {
        self.served.kinds.write().await.remove(&(api_version.to_owned(), kind.to_owned()));
    }

    pub(super) async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.served.kinds.read().await.get(&key) {
            return Ok(Some(known.clone()));
        }
        // Concurrent requests for the same version share one response; a group that does not respond does not
        // delay others.
        let _alone = self.served.asking(api_version).await;
        if let Some(known) = self.served.kinds.read().await.get(&key) {
            return Ok(Some(known.clone()));
        }
        let what = format!("cannot list the resources of {api_version}");
        let list = if api_version.contains('/') {
            if_there(&what, self.client.list_api_group_resources(api_version)).await?
        } else {
            if_there(&what, self.client.list_core_api_resources(api_version)).await?
        };
        let mut served = self.served.kinds.write().await;
        served.extend(list.into_iter().flat_map(|list| kinds(api_version, &list)));
        Ok(served.get(&key).cloned())
    }

    /// An API for objects of a kind, in a namespace if the kind is namespaced.
    pub(super) async fn api(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Option<Api<Object>>> {
        let Some(kind) = self.kind(api_version, kind).await? else { return Ok(None) };
        let api = match namespace {
            Some(namespace) if kind.is_namespaced => {
                Api::namespaced_with(self.client.clone(), namespace, &kind.resource)
            }
            _ => Api::all_with(self.client.clone(), &kind.resource),
        };
        Ok(Some(api))
    }

    /// The same for a kind that must be served.
    pub(super) async fn require_api(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Api<Object>> {
        self.api(api_version, kind, namespace).await?.ok_or_else(|| {
            Failure::step(format!("the API server does not serve {kind} {api_version}"))
                .because("its CRD is not installed or not established yet")
                .hint("run the stage `crds` first, which installs CRDs, or declare the source of this one")
                .retry(Retry::MayHelp)
        })
    }
}

fn kinds(api_version: &str, list: &APIResourceList) -> Vec<((String, String), Kind)> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let top_level = list.resources.iter().filter(|resource| !resource.name.contains('/'));
    top_level
        .map(|resource| {
            let kind = Kind {
                resource: ApiResource {
                    group: group.to_owned(),
                    version: version.to_owned(),
                    api_version: api_version.to_owned(),
                    kind: resource.kind.clone(),
                    plural: resource.name.clone(),
                },
                is_namespaced: resource.namespaced,
            };
            ((api_version.to_owned(), resource.kind.clone()), kind)
        })
        .collect()
}
