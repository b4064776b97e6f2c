//! The metadata of all objects of a cluster, of every kind.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use kube::api::ListParams;
use kube::core::TypeMeta;
use kube::discovery::{Discovery, verbs};
use kube::{Api, discovery};

use super::Cluster;
use super::calls::{if_there, within_limit};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Object;

/// The maximum number of kinds listed concurrently.
const AT_ONCE: usize = 8;

/// The page size of a list.
const PAGE: u32 = 500;

/// How often discovery is repeated if a group disappears.
const GROUPS_GO: usize = 10;

/// Kinds that are written constantly, and expire by themselves.
const FLEETING: [&str; 5] = ["Event", "Lease", "EndpointSlice", "Endpoints", "ControllerRevision"];

/// The objects of a cluster, and what could not be listed.
#[derive(Debug, Default)]
pub struct Everything {
    /// The metadata of every object, with its kind.
    pub objects: Vec<Object>,
    /// The kind of each CRD, by its name: `gateways.gateway.networking.k8s.io`.
    pub kinds: BTreeMap<String, String>,
    /// Kinds that could not be listed, with the error.
    pub unlisted: Vec<String>,
}

impl Cluster {
    /// The metadata of every object that `keep` accepts, of every kind that can be listed, in its preferred
    /// version. Excludes events, leases and endpoints.
    pub async fn everything(&self, keep: impl Fn(&Object) -> bool + Sync) -> Result<Everything> {
        let discovery = self.served().await?;
        let kinds = discovery.groups().flat_map(discovery::ApiGroup::recommended_resources);
        let listable = kinds.filter(|(resource, capabilities)| {
            capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::DELETE)
                && !FLEETING.contains(&resource.kind.as_str())
        });
        let keep = &keep;
        let lists = listable.map(|(resource, _)| {
            let api: Api<Object> = Api::all_with(self.client.clone(), &resource);
            async move {
                let types =
                    TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
                (resource, listed(&api, &types, keep).await)
            }
        });
        let mut everything = Everything::default();
        let mut lists = stream::iter(lists.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some((resource, list)) = lists.next().await {
            let kind = resource.kind;
            everything.kinds.insert(format!("{}.{}", resource.plural, resource.group), kind.clone());
            match list {
                Ok(objects) => everything.objects.extend(objects),
                Err(failure) => everything.unlisted.push(format!("{kind}: {failure}")),
            }
        }
        Ok(everything)
    }

    /// Discovers group by group. A group whose server is down has no kinds; one that disappears meanwhile
    /// fails the whole discovery, so it is repeated.
    async fn served(&self) -> Result<Discovery> {
        let what = "cannot list the API resources";
        let ask = || Discovery::new(self.client.clone()).run();
        for _ in 0..GROUPS_GO {
            if let Some(discovery) = if_there(what, ask()).await? {
                return Ok(discovery);
            }
        }
        within_limit(what, ask()).await
    }
}

async fn listed(api: &Api<Object>, types: &TypeMeta, keep: impl Fn(&Object) -> bool) -> Result<Vec<Object>> {
    let what = format!("cannot list {} objects", types.kind);
    let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
    let mut kept = Vec::new();
    loop {
        // A kind may disappear while others are listed.
        let Some(page) = if_there(&what, api.list_metadata(&parameters)).await? else { return Ok(kept) };
        kept.extend(page.items.into_iter().filter_map(|item| {
            let data = serde_json::Value::Null;
            let object = Object { types: Some(types.clone()), metadata: item.metadata, data };
            keep(&object).then_some(object)
        }));
        match page.metadata.continue_.filter(|further| !further.is_empty()) {
            Some(further) => parameters.continue_token = Some(further),
            None => return Ok(kept),
        }
    }
}
