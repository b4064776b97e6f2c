//! The connection: one kubeconfig context, named; never whatever context happens to be current.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;
use tower::util::{AndThenLayer, MapRequestLayer};

use super::calls::within_limit;
use super::discovery::Served;
use super::fence::Fence;
use super::patience::patient;
use super::requests::{Counter, Requests};
use super::retry_after::with_retry_after;
use super::secrets;
use crate::failure::{Failure, FailureKind, Result, place_of};
use crate::tools::KubeAccess;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many requests may be on their way at once.
const AT_ONCE: usize = 1024;

/// Which cluster to talk to.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The kubeconfig file; `$KUBECONFIG`, else `~/.kube/config`, if none.
    pub kubeconfig: Option<PathBuf>,
    /// The context.
    pub context: String,
}

/// A cluster's API server. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) served: Arc<Served>,
    pub(super) fence: Fence,
    access: KubeAccess,
    url: String,
    version: Arc<k8s_openapi::apimachinery::pkg::version::Info>,
    counter: Counter,
}

impl Cluster {
    /// Connects, and asks the server for its version.
    pub async fn connect(options: &ConnectOptions) -> Result<Self> {
        // Two providers of cryptography may be linked in; the first to be installed counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = read(options)?;
        require_context(&kubeconfig, &options.context)?;
        let mut config = configured(kubeconfig, &options.context).await?;
        config.connect_timeout = Some(CONNECT_LIMIT);
        // Ours are counted, and know what may be made twice; kube's would only look like a hang.
        config.default_retry = false;
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();

        let counter = Counter::default();
        let counting = counter.clone();
        let count = MapRequestLayer::new(move |request: http::Request<Body>| {
            counting.count(&request);
            request
        });
        // A filter that asks first needs a service that it can hold on to meanwhile.
        let share = BufferLayer::new(AT_ONCE);
        let builder =
            ClientBuilder::try_from(config).map_err(|error| unusable(&options.context).caused_by(&error))?;
        let fence = Fence::default();
        let fencing = fence.clone();
        let pass = AsyncFilterLayer::new(move |request: http::Request<Body>| {
            let fence = fencing.clone();
            async move { fence.pass(request).await }
        });
        let builder = builder.with_layer(&AndThenLayer::new(with_retry_after));
        let client = builder.with_layer(&share).with_layer(&pass).with_layer(&count).build();
        let client = patient(client, counter.clone());
        let what = format!("the API server of context `{}` at {url} cannot be asked", options.context);
        let version = within_limit(&what, client.apiserver_version()).await?;
        let access = KubeAccess {
            kubeconfig: options.kubeconfig.clone(),
            context: options.context.clone(),
            cache: None,
        };
        let served = Arc::new(Served::default());
        Ok(Self { client, served, fence, access, url, version: Arc::new(version), counter })
    }

    /// The address of the API server.
    pub fn server_url(&self) -> &str {
        &self.url
    }

    /// The version of the API server, as it says it: `v1.36.3`.
    pub fn server_version_text(&self) -> &str {
        &self.version.git_version
    }

    /// The version of the API server.
    pub fn server_version(&self) -> Result<semver::Version> {
        let text = self.version.git_version.trim_start_matches('v');
        semver::Version::parse(text)
            .map_err(|_| Failure::input(format!("the API server says that it is version `{text}`")))
    }

    /// How other programs reach it.
    pub fn access(&self) -> &KubeAccess {
        &self.access
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> Requests {
        self.counter.counted()
    }
}

fn read(options: &ConnectOptions) -> Result<Kubeconfig> {
    let (found, place) = match &options.kubeconfig {
        Some(file) => (Kubeconfig::read_from(file), file.display().to_string()),
        None => (Kubeconfig::read(), "$KUBECONFIG or ~/.kube/config".to_owned()),
    };
    found.inspect(secrets::mark_credentials).map_err(|error| {
        unread(&error, &format!("no kubeconfig can be read from {place}"))
            .hint("name one with --kubeconfig, or set KUBECONFIG")
            .hint("to try it without a cluster: `bootstrapper <cluster> --sandbox`")
    })
}

/// What a reader of YAML says repeats the lines around, and with them tokens and keys: of those errors only
/// the place is told.
fn unread(error: &KubeconfigError, what: &str) -> Failure {
    let failure = Failure::new(FailureKind::Connection, what);
    match error {
        KubeconfigError::Parse(error) => failure.because(place_of(error)),
        _ => failure.caused_by(error),
    }
}

async fn configured(kubeconfig: Kubeconfig, context: &str) -> Result<Config> {
    let with_context =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &with_context)
        .await
        .map_err(|error| unusable(context).caused_by(&error))
}

fn require_context(kubeconfig: &Kubeconfig, context: &str) -> Result<()> {
    if kubeconfig.contexts.iter().any(|known| known.name == context) {
        return Ok(());
    }
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|known| known.name.as_str()).collect();
    let failure = Failure::new(FailureKind::Connection, format!("the kubeconfig has no context `{context}`"));
    let failure =
        if known.is_empty() { failure } else { failure.hint(format!("it has {}", known.join(", "))) };
    Err(failure.hint("use --context, or map contexts to clusters in bootstrapper.yaml"))
}

fn unusable(context: &str) -> Failure {
    Failure::new(FailureKind::Connection, format!("context `{context}` cannot be used"))
        .hint("check its cluster and user entries in the kubeconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_may_stand_in_a_kubeconfig() {
        let seed = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: YQ==}}], \
                    users: [{name: u, user: {token: t, client-key-data: YQ==}}], contexts: [{name: c, context: {cluster: a, user: u}}], current-context: c}";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        crate::fuzzing::texts(&[seed], |text| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("kubeconfig");
            std::fs::write(&file, text).unwrap();
            let options = ConnectOptions { kubeconfig: Some(file), context: "c".into() };
            if let Ok(kubeconfig) = read(&options) {
                let _ = require_context(&kubeconfig, "c");
                let _ = runtime.block_on(configured(kubeconfig, "c")).map(ClientBuilder::try_from);
            }
        });
    }
}
