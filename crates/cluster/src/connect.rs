//! The connection: one named kubeconfig context, never the current one implicitly.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::client::{Body, ClientBuilder};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;
use tower::util::{AndThenLayer, MapRequestLayer};

use super::calls::within_limit;
use super::connector::{Sender, sender};
use super::credentials::Credentials;
use super::fence::Fence;
use super::kubeconfig::{ConnectOptions, entry, unusable};
use super::proxy::{Proxy, ProxyVariables};
use super::requests::{Counter, Requests};
use super::retry::with_retries;
use super::retry_after::with_retry_after;
use super::served::Served;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::KubeAccess;

/// The maximum number of concurrent requests.
const AT_ONCE: usize = 1024;

/// A cluster's API server. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) served: Arc<Served>,
    pub(super) fence: Fence,
    access: KubeAccess,
    url: String,
    version: Arc<Info>,
    counter: Counter,
}

/// Everything that a connection needs, before the first request.
pub(super) struct Prepared {
    sender: Sender,
    credentials: Credentials,
    namespace: String,
    url: String,
    proxy: Option<Proxy>,
    warnings: Vec<String>,
}

impl Cluster {
    /// Connects, and requests the server's version.
    pub async fn connect(options: &ConnectOptions) -> Result<Self> {
        Self::connect_with_warnings(options, &BTreeSet::new(), &|_| {}).await
    }

    /// The same; `warn` receives warnings about an insecure connection, and a credential plugin does not
    /// get the variables `withheld`.
    pub async fn connect_with_warnings(
        options: &ConnectOptions,
        withheld: &BTreeSet<String>,
        warn: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Self> {
        let Prepared { sender, credentials, namespace, url, proxy, warnings } =
            prepared(options, withheld).await?;
        warnings.into_iter().for_each(warn);
        let connection = Connection::over(sender, credentials, namespace);
        let through = proxy.map(|proxy| format!(" through {}", proxy.described())).unwrap_or_default();
        let what = format!("cannot reach the API server of context `{}` at {url}{through}", options.context);
        let version = within_limit(&what, connection.client.apiserver_version()).await?;
        let access = KubeAccess {
            kubeconfig: options.kubeconfig.clone(),
            context: options.context.clone(),
            cache: None,
        };
        Ok(connection.into_cluster(access, url, version))
    }

    /// The address of the API server.
    pub fn server_url(&self) -> &str {
        &self.url
    }

    /// The version of the API server, as reported: `v1.36.3`.
    pub fn server_version_text(&self) -> &str {
        &self.version.git_version
    }

    /// The version of the API server.
    pub fn server_version(&self) -> Result<semver::Version> {
        let text = self.version.git_version.trim_start_matches('v');
        semver::Version::parse(text)
            .map_err(|_| Failure::input(format!("the API server reports an invalid version `{text}`")))
    }

    /// How other programs connect to it.
    pub fn access(&self) -> &KubeAccess {
        &self.access
    }

    /// The number of requests so far.
    pub fn requests(&self) -> Requests {
        self.counter.counted()
    }
}

/// A client with all layers: credentials, fence, retries, request count.
pub(super) struct Connection {
    client: Client,
    fence: Fence,
    counter: Counter,
}

impl Connection {
    /// Sends requests through `sender`.
    pub(super) fn over(sender: Sender, credentials: Credentials, namespace: String) -> Self {
        let counter = Counter::default();
        let counting = counter.clone();
        let count = MapRequestLayer::new(move |request: http::Request<Body>| {
            counting.count(&request);
            request
        });
        // The layer is asynchronous, so it needs an owned service.
        let share = BufferLayer::new(AT_ONCE);
        let builder = ClientBuilder::new(sender, namespace);
        let fence = Fence::default();
        let fencing = fence.clone();
        let pass = AsyncFilterLayer::new(move |request: http::Request<Body>| {
            let (fence, credentials) = (fencing.clone(), credentials.clone());
            async move { credentials.show(fence.pass(request).await?).await }
        });
        let builder = builder.with_layer(&AndThenLayer::new(with_retry_after));
        let client = builder.with_layer(&share).with_layer(&pass).with_layer(&count).build();
        let client = with_retries(client, counter.clone());
        Self { client, fence, counter }
    }

    /// The cluster behind this connection.
    pub(super) fn into_cluster(self, access: KubeAccess, url: String, version: Info) -> Cluster {
        let Self { client, fence, counter } = self;
        Cluster { client, served: Arc::default(), fence, access, url, version: Arc::new(version), counter }
    }
}

/// Reads the kubeconfig, and gets its credentials.
pub(super) async fn prepared(options: &ConnectOptions, withheld: &BTreeSet<String>) -> Result<Prepared> {
    // Two cryptography providers may be linked; the first one installed wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut entry = entry(options).await?;
    let credentials = Credentials::taken_from(&mut entry, withheld).await?;
    let proxy_url = entry.cluster.proxy_url.take().filter(|url| !url.trim().is_empty());
    let proxy_name = format!("`proxy-url` of cluster `{}`", entry.cluster_name);
    // kube would read the environment, and fail on unknown schemes.
    entry.cluster.proxy_url = Some("http://unused.invalid".to_owned());
    let context = options.context.as_str();
    let unusable = |error: &(dyn std::error::Error + 'static)| unusable(context).caused_by(error);
    let choice = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(entry.alone(), &choice).await;
    let mut config = config.map_err(|error| unusable(&error))?;
    config.proxy_url = None;
    let proxy = match proxy_url {
        Some(url) => Some(Proxy::read(url.trim(), &proxy_name)?),
        None => ProxyVariables::here().proxy_for(&config.cluster_url)?,
    };
    let url = without_credentials(&config.cluster_url);
    // A proxy needs a port, regardless of the scheme.
    if proxy.is_some() && config.cluster_url.port().is_none() {
        config.cluster_url = with_port(&config.cluster_url);
    }
    let warnings = warnings(&config, &url, context);
    let namespace = config.default_namespace.clone();
    let sender = sender(&config, proxy.as_ref()).map_err(|error| unusable(&error))?;
    Ok(Prepared { sender, credentials, namespace, url, proxy, warnings })
}

/// Warnings about an insecure connection.
fn warnings(config: &Config, url: &str, context: &str) -> Vec<String> {
    if config.cluster_url.scheme() == Some(&Scheme::HTTP) {
        return vec![format!(
            "the connection to {url} (context `{context}`) is not encrypted: anyone on the network path can read and change everything, including credentials and secrets"
        )];
    }
    if config.accept_invalid_certs {
        return vec![format!(
            "insecure-skip-tls-verify is set for {url} (context `{context}`): anyone on the network path can impersonate the API server, and receive credentials and secrets"
        )];
    }
    Vec::new()
}

/// A URL without credentials.
fn without_credentials(server: &Uri) -> String {
    let text = server.to_string();
    let text = text.trim_end_matches('/');
    let authority = server.authority().map(ToString::to_string).unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => text.replacen(&authority, host, 1),
        None => text.to_owned(),
    }
}

/// The same URL, with the default port of its scheme.
fn with_port(server: &Uri) -> Uri {
    let port = if server.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let mut parts = server.clone().into_parts();
    let authority = parts.authority.as_ref().map(|authority| format!("{authority}:{port}"));
    parts.authority = authority.and_then(|authority| authority.parse().ok()).or(parts.authority);
    Uri::from_parts(parts).unwrap_or_else(|_| server.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_credentials_and_has_a_port_for_proxies() {
        let told = |text: &str| without_credentials(&text.parse().unwrap());
        assert_eq!(told("https://api.test:6443/"), "https://api.test:6443");
        assert_eq!(told("https://alice:hunter2@api.test/x"), "https://api.test/x");
        let ported = |text: &str| with_port(&text.parse().unwrap()).to_string();
        assert_eq!(ported("https://api.test"), "https://api.test:443/");
        assert_eq!(ported("http://[::1]/x"), "http://[::1]:80/x");
    }
}
