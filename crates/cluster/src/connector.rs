//! Connections to an API server: direct, or through a proxy.

use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt as _;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Body, ConfigExt as _, DynBody};
use tower::util::BoxService;
use tower::{BoxError, Layer as _, Service, ServiceExt as _};

use super::proxy::{Proxy, ProxyKind};
use super::retry_after::Answer;

/// The timeout for a connection, including through a proxy.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends requests to the server of a configuration, without credentials except those of TLS.
pub(super) type Sender = BoxService<Request<Body>, Answer, BoxError>;

/// Opens connections according to `config`, through `proxy` if there is one.
pub(super) fn sender(config: &Config, proxy: Option<&Proxy>) -> kube::Result<Sender> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    let Some(proxy) = proxy else { return over(config, direct) };
    let address = proxy.address.clone();
    match proxy.kind {
        ProxyKind::Http => over(config, with_credentials(Tunnel::new(address, direct), proxy)),
        // As in kubectl, the cluster's CA also applies to its proxy.
        ProxyKind::Https => {
            let secure = config.rustls_https_connector_with_connector(direct)?;
            over(config, with_credentials(Tunnel::new(address, secure), proxy))
        }
        ProxyKind::Socks5 => {
            let socks = SocksV5::new(address, direct);
            match proxy.credentials.clone() {
                Some((user, password)) => over(config, socks.with_auth(user, password)),
                None => over(config, socks),
            }
        }
    }
}

fn with_credentials<C>(tunnel: Tunnel<C>, proxy: &Proxy) -> Tunnel<C> {
    let Some((user, password)) = &proxy.credentials else { return tunnel };
    match HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))) {
        Ok(header) => tunnel.with_auth(header),
        // Base64 is always a valid header.
        Err(_) => tunnel,
    }
}

fn over<C>(config: &Config, connector: C) -> kube::Result<Sender>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError> + 'static,
{
    let connector = Limited(config.rustls_https_connector_with_connector(connector)?);
    let client: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = config.extra_headers_layer()?.layer(client);
    let service = config.base_uri_layer().layer(service);
    let boxed = |answer: http::Response<hyper::body::Incoming>| {
        answer.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>)
    };
    Ok(BoxService::new(service.map_response(boxed).map_err(BoxError::from)))
}

/// A connector with a timeout.
#[derive(Clone)]
struct Limited<C>(C);

impl<C> Service<Uri> for Limited<C>
where
    C: Service<Uri>,
    C::Response: 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError> + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        within(self.0.call(server)).boxed()
    }
}

async fn within<T, E: Into<BoxError>>(connecting: impl Future<Output = Result<T, E>>) -> Result<T, BoxError> {
    match tokio::time::timeout(LIMIT, connecting).await {
        Ok(connected) => connected.map_err(Into::into),
        Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed).into()),
    }
}
