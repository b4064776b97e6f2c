//! Downloads one file: TLS only, with the proxy of the environment.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use crate::Environment;
use crate::address::{Remote, Use, remote};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::files::LARGEST;

/// The maximum number of redirects.
const REDIRECTS: usize = 5;

/// Downloads a file. The error says whether it is transient.
pub(super) async fn download(url: &str, environment: &Environment) -> Result<Vec<u8>> {
    let mut at = url.to_owned();
    for _ in 0..=REDIRECTS {
        let response = get(&at, environment)
            .await
            .map_err(|error| unfetched(url).because(format!("{error:#}")).retry(Retry::MayHelp))?;
        let status = response.status();
        if status.is_redirection() {
            at = redirected(&at, &response).map_err(|why| unfetched(url).because(why))?;
            continue;
        }
        if !status.is_success() {
            let failure = unfetched(url).because(format!("{at} responded with {status}"));
            let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
            return Err(if may_pass { failure.retry(Retry::MayHelp) } else { failure });
        }
        let limit = usize::try_from(LARGEST).unwrap_or(usize::MAX);
        let body = Limited::new(response.into_body(), limit).collect().await;
        return body.map(|body| body.to_bytes().to_vec()).map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return unfetched(url).because(format!("it is larger than {} MiB", LARGEST / 1024 / 1024));
            }
            unfetched(url).because(error.to_string()).retry(Retry::MayHelp)
        });
    }
    Err(unfetched(url).because("too many redirects"))
}

fn unfetched(url: &str) -> Failure {
    Failure::step(format!("cannot fetch {url}"))
}

/// The target of a redirect: must use TLS, too.
fn redirected(from: &str, response: &Response<Incoming>) -> Result<String, String> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|to| Url::parse(from).ok()?.join(to).ok());
    let to = to.ok_or_else(|| "it redirects to an invalid address".to_owned())?;
    match remote(to.as_str(), Use::File) {
        Ok(Some(Remote::Manifest(url))) => Ok(url),
        Ok(_) => Err(format!("it redirects to {to}, which is not an https:// address")),
        Err(refused) => Err(format!("it redirects to {to}: {refused}")),
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn get(url: &str, environment: &Environment) -> Result<Response<Incoming>, String> {
    let message = |error: AnyError| chain(error.as_ref());
    let uri: Uri = url.parse().map_err(|error| message(Box::new(error)))?;
    let request = Request::get(uri.clone())
        .header(header::USER_AGENT, concat!("bootstrapper/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .map_err(|error| message(Box::new(error)))?;
    let https = || -> Result<_, String> {
        Ok(HttpsConnectorBuilder::new()
            .with_tls_config(tls(environment).map_err(message)?)
            .https_only()
            .enable_http1())
    };
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    let builder = Client::builder(TokioExecutor::new());
    let answer = match proxies(environment).intercept(&uri) {
        None => builder.build(https()?.wrap_connector(direct)).request(request).await,
        Some(proxy) => {
            if proxy.uri().scheme_str() != Some("http") {
                return Err(format!("unsupported proxy {}: only http:// is supported", proxy.uri()));
            }
            let tunnel = Tunnel::new(proxy.uri().clone(), direct);
            let tunnel = match proxy.basic_auth() {
                Some(auth) => tunnel.with_auth(HeaderValue::clone(auth)),
                None => tunnel,
            };
            builder.build(https()?.wrap_connector(tunnel)).request(request).await
        }
    };
    answer.map_err(|error| message(Box::new(error)))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let failure = Failure::step("").caused_by(error);
    failure.because.join(": ")
}

/// The proxies of the environment.
fn proxies(environment: &Environment) -> Matcher {
    let of = |names: [&str; 2]| environment.variable(&names).unwrap_or_default();
    Matcher::builder()
        .all(of(["ALL_PROXY", "all_proxy"]))
        .https(of(["HTTPS_PROXY", "https_proxy"]))
        .no(of(["NO_PROXY", "no_proxy"]))
        .build()
}

/// Trusts the CAs of the environment, otherwise those of this system.
fn tls(environment: &Environment) -> Result<ClientConfig, AnyError> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
