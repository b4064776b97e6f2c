//! An API server that says what a test wants: it keeps objects in memory, and refuses what it is told to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// Group and version, kind, plural, and whether it lies in namespaces.
const KINDS: [(&str, &str, &str, bool); 16] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", true),
    ("v1", "Event", "events", true),
    ("coordination.k8s.io/v1", "Lease", "leases", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("source.toolkit.fluxcd.io/v1", "GitRepository", "gitrepositories", true),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations", true),
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases", true),
    ("cilium.io/v2", "CiliumNode", "ciliumnodes", false),
];

/// A name that only a proxy leads to.
pub(crate) const NAME: &str = "api.cluster.test";

/// What is asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) body: Value,
    group: String,
    prefix: String,
}

/// Says with what code and words a call is refused.
type Refusal = Box<dyn Fn(&Call) -> Option<(u16, String)> + Send + Sync>;

struct State {
    objects: Mutex<BTreeMap<String, Value>>,
    calls: Mutex<Vec<Call>>,
    refuse: Refusal,
    is_admin: bool,
}

/// Serves until it is dropped.
pub(crate) struct ApiServer {
    pub(crate) port: u16,
    /// The authority of its certificate and of a proxy's, in PEM.
    pub(crate) authority: Option<Authority>,
    state: Arc<State>,
    folder: TempDir,
    _runtime: Runtime,
}

/// A certificate, for loopback and for [`NAME`].
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![own.cert.der().clone()],
                own.signing_key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        Self { pem: own.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl ApiServer {
    /// In the clear, refusing nothing.
    pub(crate) fn willing() -> Self {
        Self::refusing(|_| None)
    }

    /// For somebody who may do nothing, as reviews of access have it.
    pub(crate) fn without_rights() -> Self {
        Self::serve(Box::new(|_| None), None, false)
    }

    /// In the clear.
    pub(crate) fn refusing(refuse: impl Fn(&Call) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        Self::serve(Box::new(refuse), None, true)
    }

    /// With a certificate.
    pub(crate) fn secure() -> Self {
        Self::serve(Box::new(|_| None), Some(Authority::new()), true)
    }

    fn serve(refuse: Refusal, authority: Option<Authority>, is_admin: bool) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let system = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": "kube-system", "uid": "1", "resourceVersion": "1"}, "status": {"phase": "Active"}});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "2", "resourceVersion": "1"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let objects = [("v1/namespaces//kube-system", system), ("v1/nodes//n1", node)];
        let state = Arc::new(State {
            objects: Mutex::new(objects.map(|(key, object)| (key.to_owned(), object)).into()),
            calls: Mutex::default(),
            refuse,
            is_admin,
        });
        let (serving, tls) =
            (Arc::clone(&state), authority.as_ref().map(|authority| authority.acceptor.clone()));
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&serving), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(connection, state).await,
                        Some(tls) => {
                            if let Ok(secure) = tls.accept(connection).await {
                                talk(secure, state).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, authority, state, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    /// Its address on loopback.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig with the context `c`, for a server and a user as they are written there.
    pub(crate) fn kubeconfig_of(&self, server: &str, cluster: &Value, user: &Value) -> std::path::PathBuf {
        let mut cluster = cluster.clone();
        cluster["server"] = json!(server);
        if let Some(authority) = &self.authority
            && cluster.get("insecure-skip-tls-verify").is_none()
        {
            cluster["certificate-authority-data"] = json!(STANDARD.encode(&authority.pem));
        }
        let config = json!({"apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "k", "cluster": cluster}], "users": [{"name": "alice", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "alice"}}]});
        let file = self.folder.path().join(format!("kubeconfig-{}", fastrand()));
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }

    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.kubeconfig_of(&self.url(), &json!({}), &json!({"token": "t"}))
    }

    /// What was asked of it so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }
}

/// A number that no two files of a test share.
fn fastrand() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

type Body = BoxBody<Bytes, Infallible>;

async fn talk(connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

fn told(code: u16, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

fn refused(code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "AlreadyExists",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "",
    };
    told(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path().trim_end_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    match path.as_str() {
        "/version" => {
            return told(
                200,
                &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            );
        }
        "/readyz" => return told(200, &json!("ok")),
        "/api" => {
            return told(
                200,
                &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
            );
        }
        _ => {}
    }
    let Some(call) = call(&parts.method, &path, &query, body) else { return discovery(&path) };
    state.calls.lock().unwrap().push(call.clone());
    if let Some((code, message)) = (state.refuse)(&call) {
        return refused(code, &message);
    }
    if call.resource == "selfsubjectaccessreviews" {
        let mut review = call.body;
        review["status"] = json!({"allowed": state.is_admin});
        return told(201, &review);
    }
    state.answer(&call, &query)
}

fn discovery(path: &str) -> Response<Body> {
    let Some(version) = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/")) else {
        return refused(404, "404 page not found");
    };
    let of_version = KINDS.iter().filter(|(of, ..)| *of == version);
    let resources: Vec<Value> = of_version
        .map(|(_, kind, plural, is_namespaced)| {
            json!({"name": plural, "singularName": "", "kind": kind, "namespaced": is_namespaced,
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]})
        })
        .collect();
    if resources.is_empty() {
        return refused(404, "404 page not found");
    }
    told(
        200,
        &json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}),
    )
}

fn call(method: &Method, path: &str, query: &str, body: Value) -> Option<Call> {
    let (prefix, rest) = match path.strip_prefix("/api/v1/") {
        Some(rest) => ("v1".to_owned(), rest),
        None => {
            let mut parts = path.strip_prefix("/apis/")?.splitn(3, '/');
            let (group, version, rest) = (parts.next()?, parts.next()?, parts.next()?);
            (format!("{group}/{version}"), rest)
        }
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let (namespace, resource, name) = match parts.as_slice() {
        ["namespaces", namespace, resource] => (Some(*namespace), *resource, None),
        ["namespaces", namespace, resource, name, ..] => (Some(*namespace), *resource, Some(*name)),
        [resource] => (None, *resource, None),
        [resource, name, ..] => (None, *resource, Some(*name)),
        [] => return None,
    };
    let verb = match (method, name) {
        _ if query.contains("watch=true") => "watch",
        (&Method::GET, None) => "list",
        (&Method::GET, Some(_)) => "get",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        _ => "delete",
    };
    let group = prefix.split_once('/').map_or("", |(group, _)| group).to_owned();
    Some(Call {
        verb,
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        body,
        group,
        prefix,
    })
}

impl Call {
    /// As the API server says that it is forbidden.
    pub(crate) fn forbidden(&self) -> (u16, String) {
        let place = match &self.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let Self { verb, resource, group, .. } = self;
        let message = format!(
            "{resource}.{group} is forbidden: User \"alice\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
        );
        (403, message)
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{}/{}/{name}", self.prefix, self.resource, self.namespace.as_deref().unwrap_or_default())
    }
}

impl State {
    fn answer(&self, call: &Call, query: &str) -> Response<Body> {
        let mut objects = self.objects.lock().unwrap();
        let named = call.name.clone().or_else(|| call.body["metadata"]["name"].as_str().map(str::to_owned));
        let key = call.key(named.as_deref().unwrap_or_default());
        let missing = || {
            refused(404, &format!("{} \"{}\" not found", call.resource, named.clone().unwrap_or_default()))
        };
        match call.verb {
            "watch" => {
                let never = futures::stream::pending::<Result<Frame<Bytes>, Infallible>>();
                // kube asks anew once a watch has lasted its time.
                let end = never.take_until(tokio::time::sleep(Duration::from_secs(30)));
                let mut response = Response::new(BodyExt::boxed(StreamBody::new(end)));
                response.headers_mut().insert("content-type", "application/json".parse().unwrap());
                response
            }
            "list" => {
                let of_kind = format!("{}/{}/", call.prefix, call.resource);
                let only =
                    query.split('&').find_map(|one| one.strip_prefix("fieldSelector=metadata.name%3D"));
                let is_listed = |key: &str| {
                    let Some(rest) = key.strip_prefix(&of_kind) else { return false };
                    let Some((namespace, name)) = rest.split_once('/') else { return false };
                    call.namespace.as_deref().is_none_or(|of| of == namespace)
                        && only.is_none_or(|only| only == name)
                };
                let items: Vec<&Value> =
                    objects.iter().filter(|(key, _)| is_listed(key)).map(|(_, object)| object).collect();
                let list = json!({"kind": "List", "apiVersion": call.prefix, "metadata": {"resourceVersion": "5"}, "items": items});
                told(200, &list)
            }
            "get" => objects.get(&key).map_or_else(missing, |object| told(200, object)),
            "create" if objects.contains_key(&key) => refused(409, "it already exists"),
            "delete" => objects.remove(&key).map_or_else(missing, |object| told(200, &object)),
            _ => {
                let mut object = objects.get(&key).cloned().unwrap_or_else(|| json!({}));
                if call.verb == "patch" {
                    merge(&mut object, &call.body);
                } else {
                    object = call.body.clone();
                }
                let version = self.calls.lock().unwrap().len().to_string();
                object["metadata"]["resourceVersion"] = json!(version);
                object["metadata"]["uid"] = json!(key);
                if call.resource == "namespaces" {
                    object["status"] = json!({"phase": "Active"});
                }
                if !query.contains("dryRun=All") {
                    objects.insert(key, object.clone());
                }
                told(if call.verb == "create" { 201 } else { 200 }, &object)
            }
        }
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}
