//! Reads.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams, PostParams};
use kube::core::{PartialObjectMeta, TypeMeta};

use super::Cluster;
use super::calls::{if_there, within_limit};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// The maximum size of a log.
const LOG_BYTES: i64 = 64 * 1024;

/// The page size of a list.
const PAGE: u32 = 500;

impl Cluster {
    /// An object; none if it or its kind does not exist.
    pub async fn get(&self, id: &ObjectRef) -> Result<Option<Object>> {
        let Some(api) = self.api(&id.api_version, &id.kind, id.namespace.as_deref()).await? else {
            return Ok(None);
        };
        if_there(&format!("cannot read {id}"), api.get(&id.name)).await
    }

    /// All objects that match `selection`; none if their kind does not exist.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Object>> {
        let namespace = selection.namespace.as_deref();
        let Some(api) = self.api(&selection.api_version, &selection.kind, namespace).await? else {
            return Ok(Vec::new());
        };
        let list = if_there(&unlisted(selection), api.list(&parameters(selection))).await?;
        // Items of a list have no kind.
        let typed = |mut object: Object| {
            object.types.get_or_insert_with(|| types(selection));
            object
        };
        Ok(list.into_iter().flat_map(|list| list.items).map(typed).collect())
    }

    /// The metadata of all objects that match `selection`.
    pub async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Object>> {
        let namespace = selection.namespace.as_deref();
        let Some(api) = self.api(&selection.api_version, &selection.kind, namespace).await? else {
            return Ok(Vec::new());
        };
        let list = if_there(&unlisted(selection), api.list_metadata(&parameters(selection))).await?;
        let object = |item: PartialObjectMeta<Object>| Object {
            types: Some(types(selection)),
            metadata: item.metadata,
            data: serde_json::Value::Null,
        };
        Ok(list.into_iter().flat_map(|list| list.items).map(object).collect())
    }

    /// Whether these credentials have a permission.
    pub async fn can_i(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<bool> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    namespace: namespace.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let what = format!("cannot check whether these credentials can {verb} {resource}");
        let answer = within_limit(&what, reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// The last `tail` lines of a container's log; of the previous run, if `previous`.
    pub async fn pod_logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        tail: i64,
    ) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(tail),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        within_limit(&format!("cannot read the log of pod {namespace}/{pod}"), pods.logs(pod, &parameters))
            .await
    }
}

/// For diagnoses: values of Secrets are never read.
impl Cluster {
    /// An object; none if it or its kind does not exist. Of a Secret, only its metadata.
    pub async fn get_for_diagnosis(&self, id: &ObjectRef) -> Result<Option<Object>> {
        if id.kind != "Secret" {
            return self.get(id).await;
        }
        let api = self.require_api(&id.api_version, &id.kind, id.namespace.as_deref()).await?;
        let found = if_there(&format!("cannot read {id}"), api.get_metadata(&id.name)).await?;
        Ok(found.map(|found| without_values(found.metadata)))
    }

    /// The objects of a selection that `keep` accepts. Reads page by page, and drops the rest: memory does
    /// not grow with the cluster.
    pub async fn list_matching(
        &self,
        selection: &Selection,
        keep: impl Fn(&Object) -> bool,
    ) -> Result<Vec<Object>> {
        let namespace = selection.namespace.as_deref();
        let Some(api) = self.api(&selection.api_version, &selection.kind, namespace).await? else {
            return Ok(Vec::new());
        };
        let what = unlisted(selection);
        let mut parameters = ListParams { limit: Some(PAGE), ..parameters(selection) };
        let mut kept = Vec::new();
        loop {
            let page = if selection.kind == "Secret" {
                let page = if_there(&what, api.list_metadata(&parameters)).await?;
                page.map(|page| {
                    let items = page.items.into_iter().map(|item| without_values(item.metadata)).collect();
                    (page.metadata.continue_, items)
                })
            } else {
                let page = if_there(&what, api.list(&parameters)).await?;
                page.map(|page| (page.metadata.continue_, page.items))
            };
            let Some((further, items)) = page else { return Ok(kept) };
            let items: Vec<Object> = items;
            kept.extend(items.into_iter().filter_map(|mut object| {
                object.types.get_or_insert_with(|| types(selection));
                object.metadata.managed_fields = None;
                keep(&object).then_some(object)
            }));
            match further.filter(|further| !further.is_empty()) {
                Some(further) => parameters.continue_token = Some(further),
                None => return Ok(kept),
            }
        }
    }
}

fn without_values(metadata: kube::api::ObjectMeta) -> Object {
    let types = Some(TypeMeta { api_version: "v1".to_owned(), kind: "Secret".to_owned() });
    Object { types, metadata, data: serde_json::Value::Null }
}

fn parameters(selection: &Selection) -> ListParams {
    ListParams {
        label_selector: selection.labels.clone(),
        field_selector: selection.fields.clone(),
        ..ListParams::default()
    }
}

fn types(selection: &Selection) -> TypeMeta {
    TypeMeta { api_version: selection.api_version.clone(), kind: selection.kind.clone() }
}

fn unlisted(selection: &Selection) -> String {
    let place = selection.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}"));
    format!("cannot list {} objects{}", selection.kind, place.unwrap_or_default())
}

impl Cluster {
    /// Fails until the API server is ready.
    pub async fn is_ready(&self) -> Result<()> {
        let request = http::Request::get("/readyz").body(Vec::new());
        let call = async { self.client.request_text(request.map_err(kube::Error::HttpError)?).await };
        within_limit("the API server is not ready", call).await.map(drop)
    }

    /// An API of a cluster-scoped kind, for the sandbox's simulated programs.
    pub async fn raw_api(&self, api_version: &str, kind: &str) -> Result<Option<Api<Object>>> {
        self.api(api_version, kind, None).await
    }

    /// The API of an object, for the same.
    pub async fn raw_api_in(&self, id: &ObjectRef) -> Result<Option<Api<Object>>> {
        self.api(&id.api_version, &id.kind, id.namespace.as_deref()).await
    }

    /// The client, for the same.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }
}
