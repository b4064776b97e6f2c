//! Helm's connection to the API server, through this process. Its requests use the run's credentials and
//! retries, and end with the run.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::{self, Folder};
use bootstrapper_tools::KubeAccess;
use bootstrapper_tools::loopback::{self, Guard};

/// The name of the relay's kubeconfig entries.
const NAME: &str = "bootstrapper";

/// Open until dropped.
#[derive(Debug)]
pub struct Relay {
    access: KubeAccess,
    server: JoinHandle<()>,
    _folder: Folder,
}

impl Relay {
    /// How a program connects through it.
    pub fn access(&self) -> &KubeAccess {
        &self.access
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Cluster {
    /// Opens a relay to the API server for programs of this user, on loopback. Only readers of the
    /// kubeconfig, which is private, have its token.
    pub async fn relay(&self) -> Result<Relay> {
        let closed = |error: &dyn std::error::Error| {
            Failure::step("cannot open the API server relay for Helm").because(error.to_string())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| closed(&error))?;
        let address = listener.local_addr().map_err(|error| closed(&error))?;
        let token = loopback::token()?;
        // client-go sends its token only over TLS.
        let (acceptor, authority) = certified().map_err(|error| closed(&*error))?;
        let folder = Folder::in_memory()?;
        let file = folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": NAME, "cluster": {"server": format!("https://{address}"), "certificate-authority-data": STANDARD.encode(authority)}}],
            "users": [{"name": NAME, "user": {"token": token}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
            "current-context": NAME,
        });
        private::replace(&file, config.to_string().as_bytes()).map_err(|error| closed(&error))?;
        // Another relay may have had the same port, with another cluster behind it.
        let cache = Some(folder.path().join("cache"));
        let access = KubeAccess { kubeconfig: Some(file), context: NAME.to_owned(), cache };
        let guard = Guard::bearer(&token, address.to_string());
        let server = tokio::spawn(serve(listener, acceptor, self.client.clone(), guard.into()));
        Ok(Relay { access, server, _folder: folder })
    }
}

/// A certificate that is valid as long as the relay; in PEM for its clients.
fn certified() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error>> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    Ok((TlsAcceptor::from(Arc::new(config)), own.cert.pem()))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, client: Client, guard: Arc<Guard>) {
    // Connections end with the relay.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let (client, guard) = (client.clone(), Arc::clone(&guard));
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let Ok(connection) = acceptor.accept(connection).await else { return };
            let service = service_fn(move |request| {
                let (client, guard) = (client.clone(), Arc::clone(&guard));
                async move { Ok::<_, Infallible>(answer(&client, &guard, request).await) }
            });
            // The client may have disconnected.
            let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
            let _ = served.with_upgrades().await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(client: &Client, guard: &Guard, request: Request<Incoming>) -> Response<Body> {
    if let Some(code) = guard.refusal(request.headers()) {
        let (reason, message) = match code {
            StatusCode::UNAUTHORIZED => ("Unauthorized", "invalid token"),
            _ => ("Forbidden", "this relay accepts only processes of its owner"),
        };
        return refusal(code, reason, message);
    }
    match pass_on(client, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut why: &(dyn std::error::Error + 'static) = &*error;
            while let Some(deeper) = why.source() {
                why = deeper;
            }
            refusal(
                StatusCode::BAD_GATEWAY,
                "ServiceUnavailable",
                &format!("the API server cannot be reached: {why}"),
            )
        }
    }
}

async fn pass_on(
    client: &Client,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    if request.headers().contains_key(UPGRADE) {
        return upgraded(client, request).await;
    }
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    drop_hop_by_hop(&mut parts.headers);
    parts.headers.remove(HOST);
    parts.headers.remove(AUTHORIZATION);
    let mut response = client.send(Request::from_parts(parts, Body::from(body))).await?;
    drop_hop_by_hop(response.headers_mut());
    Ok(response)
}

/// A bidirectional stream, as for `kubectl exec` and `port-forward`.
async fn upgraded(
    client: &Client,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let asking = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    parts.headers.remove(HOST);
    parts.headers.remove(AUTHORIZATION);
    let mut response = client.send(Request::from_parts(parts, Body::empty())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        drop_hop_by_hop(response.headers_mut());
        return Ok(response);
    }
    let answering = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        if let (Ok(asking), Ok(answering)) = tokio::join!(asking, answering) {
            let (mut asking, mut answering) = (TokioIo::new(asking), TokioIo::new(answering));
            // Either side may close it.
            let _ = tokio::io::copy_bidirectional(&mut asking, &mut answering).await;
        }
    });
    let (parts, _) = response.into_parts();
    Ok(Response::from_parts(parts, Body::empty()))
}

/// Hop-by-hop headers.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(name);
    }
}

fn refusal(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    super::retry::json(code, status.to_string().into())
}
