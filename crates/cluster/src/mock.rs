//! An in-memory API server, behind kube's client and this crate's layers: credentials, fence, retries. For
//! tests of code that sends requests: they define its objects and faults. It has no schemas, admission or
//! controllers; tests that need these use a real one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::client::{Body, DynBody};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::BoxError;
use tower::util::BoxService;

use super::Cluster;
use super::connect::Connection;
use super::credentials::Credentials;
use super::retry_after::Answer;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::KubeAccess;

/// The initially served kinds: API version, kind, plural, whether objects are namespaced.
const KINDS: [(&str, &str, &str, bool); 11] = [
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "Pod", "pods", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("coordination.k8s.io/v1", "Lease", "leases", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations", true),
    ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories", true),
];

/// A fault of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection breaks before the response. Nothing was done.
    Cut,
    /// The connection breaks after the request was executed.
    CutAfter,
    /// The server returns an error.
    Refusal {
        /// The status code.
        code: u16,
        /// Its reason: `TooManyRequests`, `Forbidden`.
        reason: &'static str,
        /// Its message.
        message: &'static str,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
}

/// An in-memory API server.
#[derive(Clone)]
pub struct ApiServer(Arc<Mutex<State>>);

struct State {
    kinds: Vec<(String, String, String, bool)>,
    objects: BTreeMap<String, Value>,
    version: u64,
    events: Vec<(u64, String, Value)>,
    watches: Vec<(String, Query, mpsc::UnboundedSender<Bytes>)>,
    faults: Vec<(Method, String, Fault)>,
    requests: Vec<String>,
}

impl Default for ApiServer {
    fn default() -> Self {
        let kinds = KINDS.map(|(version, kind, plural, is_namespaced)| {
            (version.to_owned(), kind.to_owned(), plural.to_owned(), is_namespaced)
        });
        Self(Arc::new(Mutex::new(State {
            kinds: kinds.to_vec(),
            objects: BTreeMap::new(),
            version: 1,
            events: Vec::new(),
            watches: Vec::new(),
            faults: Vec::new(),
            requests: Vec::new(),
        })))
    }
}

impl ApiServer {
    /// A connection to it.
    pub fn connect(&self) -> Cluster {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { server.serve(request).await }
        });
        let access = KubeAccess { kubeconfig: None, context: "mock".to_owned(), cache: None };
        let version = serde_json::from_value(version());
        Connection::over(BoxService::new(service), Credentials::none(), "default".to_owned()).into_cluster(
            access,
            "https://mock.test".to_owned(),
            version.unwrap_or_default(),
        )
    }

    /// Adds an object, as if a controller had written it.
    pub fn put(&self, object: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        let id = ObjectRef {
            api_version: text(&object["apiVersion"]).unwrap_or_default(),
            kind: text(&object["kind"]).unwrap_or_default(),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]).unwrap_or_default(),
        };
        let mut state = self.state();
        let path = state.path_of(&id);
        state.store(&path, object.clone());
    }

    /// Adds a lock held by another run, which renews its Lease whenever it is watched.
    pub fn hold_lock_as(&self, holder: &str) -> JoinHandle<()> {
        let holder = holder.to_owned();
        let held = move |renewed: &str| {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "bootstrapper-lock", "namespace": "kube-system"},
                "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15,
                    "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": renewed}})
        };
        self.put(&held("2026-01-01T00:00:00.000000Z"));
        let server = self.clone();
        tokio::spawn(async move {
            while !server.requests().iter().any(|line| line.contains("leases") && line.ends_with("?watch")) {
                tokio::task::yield_now().await;
            }
            server.put(&held("2026-01-01T00:00:05.000000Z"));
        })
    }

    /// Removes an object.
    pub fn remove(&self, id: &ObjectRef) {
        let mut state = self.state();
        let path = state.path_of(id);
        state.delete(&path);
    }

    /// The stored object.
    pub fn get(&self, id: &ObjectRef) -> Option<Object> {
        let state = self.state();
        serde_json::from_value(state.objects.get(&state.path_of(id))?.clone()).ok()
    }

    /// Starts serving a kind.
    pub fn serve_kind(&self, api_version: &str, kind: &str, plural: &str, is_namespaced: bool) {
        let kind = (api_version.to_owned(), kind.to_owned(), plural.to_owned(), is_namespaced);
        self.state().kinds.push(kind);
    }

    /// Stops serving a kind.
    pub fn drop_kind(&self, kind: &str) {
        self.state().kinds.retain(|(_, own, ..)| own != kind);
    }

    /// Makes the next request with `method` fail whose path contains `path`. Several faults apply one after
    /// another.
    pub fn fail(&self, method: Method, path: &str, fault: Fault) {
        self.state().faults.push((method, path.to_owned(), fault));
    }

    /// Closes all watches; each client restarts them.
    pub fn close_watches(&self) {
        self.state().watches.clear();
    }

    /// Drops old events: a watch from an older version fails with 410.
    pub fn compact(&self) {
        let mut state = self.state();
        state.version += 1;
        state.events.clear();
        state.watches.clear();
    }

    /// The requests so far: `PATCH /api/v1/namespaces/n/configmaps/x`; a dry run has `?dry-run`, a watch `?watch`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Those that wrote something.
    pub fn writes(&self) -> Vec<String> {
        let is_write = |line: &String| !line.starts_with("GET ") && !line.ends_with("?dry-run");
        self.requests().into_iter().filter(is_write).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let content = parts.headers.get(http::header::CONTENT_TYPE);
        let is_merge = content.is_some_and(|kind| kind == "application/merge-patch+json");
        let query = Query { is_merge, ..Query::of(parts.uri.query().unwrap_or_default()) };
        let path = parts.uri.path().to_owned();
        let mut state = self.state();
        let mark = if query.is_dry_run {
            "?dry-run"
        } else if query.is_watch {
            "?watch"
        } else {
            ""
        };
        state.requests.push(format!("{} {path}{mark}", parts.method));
        let found = state
            .faults
            .iter()
            .position(|(method, part, _)| *method == parts.method && path.contains(part.as_str()));
        match found.map(|at| state.faults.remove(at).2) {
            Some(Fault::Cut) => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            Some(Fault::CutAfter) => {
                state.answer(&parts.method, &path, &query, &body);
                return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
            }
            Some(Fault::Refusal { code, reason, message, retry_after }) => {
                let mut response = refusal(code, reason, message);
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
                }
                return Ok(response);
            }
            None => {}
        }
        Ok(state.answer(&parts.method, &path, &query, &body))
    }
}

/// The relevant query parameters.
#[derive(Debug, Clone, Default)]
struct Query {
    is_watch: bool,
    is_dry_run: bool,
    /// A merge patch, which does not create objects.
    is_merge: bool,
    since: u64,
    name: Option<String>,
    labels: Vec<(String, String)>,
    manager: String,
}

impl Query {
    fn of(text: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
            match &*key {
                "watch" => query.is_watch = true,
                "dryRun" => query.is_dry_run = true,
                "resourceVersion" => query.since = value.parse().unwrap_or_default(),
                "fieldSelector" => query.name = value.strip_prefix("metadata.name=").map(str::to_owned),
                "labelSelector" => {
                    let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
                    query.labels = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                }
                "fieldManager" => query.manager = value.into_owned(),
                _ => {}
            }
        }
        query
    }

    fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.name.as_ref().is_none_or(|name| object["metadata"]["name"] == **name)
            && self.labels.iter().all(|(key, value)| labels[key] == **value)
    }
}

impl State {
    fn path_of(&self, id: &ObjectRef) -> String {
        let ObjectRef { api_version, kind, name, .. } = id;
        let known = self.kinds.iter().find(|(version, own, ..)| version == api_version && own == kind);
        let (plural, is_namespaced) =
            known.map_or((kind.to_lowercase() + "s", true), |(_, _, plural, own)| (plural.clone(), *own));
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        let namespace = match &id.namespace {
            Some(namespace) if is_namespaced => format!("/namespaces/{namespace}"),
            _ => String::new(),
        };
        format!("{root}/{api_version}{namespace}/{plural}/{name}")
    }

    fn answer(&mut self, method: &Method, path: &str, query: &Query, body: &Bytes) -> Answer {
        if let Some(version) = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))
            && version.matches('/').count() == usize::from(path.starts_with("/apis/"))
        {
            return self.discovery(version);
        }
        if path == "/version" {
            return ok(&version());
        }
        if !self.is_served(path) {
            return refusal(404, "NotFound", "the server could not find the requested resource");
        }
        let is_collection = self.kinds.iter().any(|(_, _, plural, _)| path.ends_with(&format!("/{plural}")));
        match *method {
            Method::GET if query.is_watch => self.watch(path, query),
            Method::GET if is_collection => self.list(path, query),
            Method::GET => self.objects.get(path).map_or_else(not_found, |object| ok(object)),
            Method::POST => self.create(path, body),
            Method::PUT => self.replace(path, body),
            Method::PATCH if query.is_merge && !self.objects.contains_key(path) => not_found(),
            Method::PATCH => self.apply(path, query, body),
            Method::DELETE if self.objects.contains_key(path) => ok(&self.delete(path)),
            _ => not_found(),
        }
    }

    fn is_served(&self, path: &str) -> bool {
        self.kinds.iter().any(|(version, _, plural, _)| {
            let root =
                if version.contains('/') { format!("/apis/{version}/") } else { format!("/api/{version}/") };
            path.strip_prefix(&root).is_some_and(|rest| rest.split('/').any(|part| part == plural))
        })
    }

    fn discovery(&self, version: &str) -> Answer {
        let of_version: Vec<Value> = self
            .kinds
            .iter()
            .filter(|(own, ..)| own == version)
            .map(|(_, kind, plural, is_namespaced)| {
                json!({"name": plural, "singularName": "", "namespaced": is_namespaced, "kind": kind, "verbs": ["get", "list", "watch"]})
            })
            .collect();
        if of_version.is_empty() {
            return refusal(404, "NotFound", "the server could not find the requested resource");
        }
        ok(
            &json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": of_version}),
        )
    }

    /// Whether an object is in a collection: of one namespace, or of all.
    fn is_in(path: &str, collection: &str) -> bool {
        let Some((of_object, _)) = path.rsplit_once('/') else { return false };
        let everywhere = |path: &str| match path.split_once("/namespaces/") {
            Some((root, rest)) => {
                rest.split_once('/').map_or(root.to_owned(), |(_, plural)| format!("{root}/{plural}"))
            }
            None => path.to_owned(),
        };
        of_object == collection || everywhere(of_object) == collection
    }

    fn list(&self, collection: &str, query: &Query) -> Answer {
        let in_collection = self.objects.iter().filter(|(path, _)| Self::is_in(path, collection));
        let items: Vec<&Value> =
            in_collection.map(|(_, object)| object).filter(|one| query.selects(one)).collect();
        let kind = items.first().and_then(|one| one["kind"].as_str()).unwrap_or_default();
        ok(
            &json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items}),
        )
    }

    fn watch(&mut self, collection: &str, query: &Query) -> Answer {
        let oldest = self.events.first().map_or(self.version, |(version, ..)| version - 1);
        if query.since < oldest {
            return refusal(410, "Expired", "too old resource version");
        }
        let (sender, receiver) = mpsc::unbounded();
        for (version, path, event) in &self.events {
            if *version > query.since && Self::is_in(path, collection) && query.selects(&event["object"]) {
                let _ = sender.unbounded_send(line(event));
            }
        }
        self.watches.push((collection.to_owned(), query.clone(), sender));
        let frames = receiver.map(|bytes| Ok::<_, BoxError>(Frame::data(bytes)));
        Response::new(Box::new(StreamBody::new(frames)) as Box<DynBody>)
    }

    fn create(&mut self, collection: &str, body: &Bytes) -> Answer {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        if self.objects.contains_key(&path) {
            return refusal(409, "AlreadyExists", "it already exists");
        }
        ok(&self.store(&path, object))
    }

    fn replace(&mut self, path: &str, body: &Bytes) -> Answer {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(before) = self.objects.get(path) else { return not_found() };
        if before["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return refusal(409, "Conflict", "the object has been modified");
        }
        ok(&self.store(path, object))
    }

    fn apply(&mut self, path: &str, query: &Query, body: &Bytes) -> Answer {
        let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        let before = self.objects.get(path).cloned();
        let mut after = before.clone().unwrap_or_else(|| json!({}));
        merge(&mut after, &wanted);
        if !query.manager.is_empty() {
            after["metadata"]["managedFields"] = json!([{"manager": query.manager, "operation": "Apply"}]);
        }
        if query.is_dry_run || before.as_ref() == Some(&after) {
            return ok(&after);
        }
        ok(&self.store(path, after))
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        }
        let kind = if self.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        self.objects.insert(path.to_owned(), object.clone());
        self.publish(path, json!({"type": kind, "object": object}));
        object
    }

    fn delete(&mut self, path: &str) -> Value {
        let Some(mut object) = self.objects.remove(path) else { return Value::Null };
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.publish(path, json!({"type": "DELETED", "object": object}));
        object
    }

    fn publish(&mut self, path: &str, event: Value) {
        self.watches.retain(|(collection, query, sender)| {
            let is_seen = Self::is_in(path, collection) && query.selects(&event["object"]);
            !sender.is_closed() && (!is_seen || sender.unbounded_send(line(&event)).is_ok())
        });
        self.events.push((self.version, path.to_owned(), event));
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
    })
}

fn line(event: &Value) -> Bytes {
    format!("{event}\n").into()
}

fn ok(value: &Value) -> Answer {
    answer(StatusCode::OK, value)
}

fn not_found() -> Answer {
    refusal(404, "NotFound", "not found")
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "message": message, "code": code});
    answer(StatusCode::from_u16(code).unwrap_or_default(), &status)
}

fn answer(code: StatusCode, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).map_err(BoxError::from);
    let mut response = Response::new(Box::new(body) as Box<DynBody>);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
