//! Sends one request: by the proxy and with the authorities that the environment names, or the source of a
//! chart does.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;

use super::{ChartAccess, Environment};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::files::LARGEST;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request without a body. Only `access` permits one without TLS.
pub(super) async fn send(
    request: http::request::Builder,
    environment: &Environment,
    access: &ChartAccess,
) -> Result<Response<Incoming>, String> {
    let explained = |error: AnyError| chain(error.as_ref());
    let request = request
        .header(header::USER_AGENT, concat!("bootstrapper/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| explained(Box::new(error)))?;
    let uri = request.uri().clone();
    let https = || -> Result<_, String> {
        let builder =
            HttpsConnectorBuilder::new().with_tls_config(tls(environment, access).map_err(explained)?);
        let builder = if access.plain_http { builder.https_or_http() } else { builder.https_only() };
        Ok(builder.enable_http1())
    };
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    let builder = Client::builder(TokioExecutor::new());
    let answer = match proxies(environment, access).intercept(&uri) {
        None => builder.build(https()?.wrap_connector(direct)).request(request).await,
        Some(proxy) => {
            if proxy.uri().scheme_str() != Some("http") {
                return Err(format!(
                    "unsupported proxy {}: only http:// is supported",
                    without_user(proxy.uri())
                ));
            }
            let tunnel = Tunnel::new(proxy.uri().clone(), direct);
            let tunnel = match proxy.basic_auth() {
                Some(auth) => tunnel.with_auth(HeaderValue::clone(auth)),
                None => tunnel,
            };
            builder.build(https()?.wrap_connector(tunnel)).request(request).await
        }
    };
    answer.map_err(|error| explained(Box::new(error)))
}

/// Why a body could not be read.
pub(super) enum Unread {
    /// It is larger than any that is read.
    TooLarge,
    /// The connection failed.
    Broken(String),
}

/// The body of a response, if it is not too large.
pub(super) async fn body(response: Response<Incoming>) -> Result<Vec<u8>, Unread> {
    let limit = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let body = Limited::new(response.into_body(), limit).collect().await;
    body.map(|body| body.to_bytes().to_vec()).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Unread::TooLarge
        } else {
            Unread::Broken(error.to_string())
        }
    })
}

/// Whether the same request may be answered otherwise later.
pub(super) fn may_pass(status: http::StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let failure = Failure::step("").caused_by(error);
    failure.because.join(": ")
}

fn without_user(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

/// The proxy of the source, or those that the environment names.
fn proxies(environment: &Environment, access: &ChartAccess) -> Matcher {
    if let Some(proxy) = &access.proxy {
        return Matcher::builder().all(proxy.expose_secret()).build();
    }
    let of = |names: [&str; 2]| environment.variable(&names).unwrap_or_default();
    Matcher::builder()
        .all(of(["ALL_PROXY", "all_proxy"]))
        .https(of(["HTTPS_PROXY", "https_proxy"]))
        .no(of(["NO_PROXY", "no_proxy"]))
        .build()
}

/// Trusts the authorities that the environment names, or else this system's; and that of the source.
fn tls(environment: &Environment, access: &ChartAccess) -> Result<ClientConfig, AnyError> {
    let mut roots = RootCertStore::empty();
    match environment.variables.get("SSL_CERT_FILE") {
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file)?.filter_map(Result::ok);
            roots.add_parsable_certificates(certificates);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if let Some(authority) = &access.authority {
        let certificates = CertificateDer::pem_slice_iter(authority.expose_secret().as_bytes());
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &access.identity else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(certificate.expose_secret().as_bytes());
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())?;
    Ok(config.with_client_auth_cert(chain.collect::<Result<_, _>>()?, key)?)
}
