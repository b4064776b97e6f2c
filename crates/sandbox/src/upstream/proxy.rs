//! A CONNECT proxy. For hosts that the sandbox serves, it terminates TLS itself, with a certificate that the
//! sandbox's programs trust; others are tunnelled. Clients without its token are rejected.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::artifact::ArtifactServer;
use super::git::GitServer;
use super::pages::Pages;
use crate::certificates::Certificates;
use bootstrapper_core::failure::Result;
use bootstrapper_tools::loopback::Guard;

/// Serves some hosts, and tunnels everything else.
pub(super) struct Proxy {
    pages: Pages,
    git: Vec<GitServer>,
    artifacts: Vec<ArtifactServer>,
    hosts: Vec<String>,
    guard: Guard,
    tls: TlsAcceptor,
}

impl Proxy {
    pub(super) fn new(
        certificates: &Certificates,
        pages: Pages,
        (git, artifacts): (Vec<GitServer>, Vec<ArtifactServer>),
        guard: Guard,
    ) -> Result<Self> {
        let mut hosts = pages.hosts();
        hosts.extend(git.iter().map(|server| server.host.clone()));
        hosts.extend(artifacts.iter().map(|server| server.host.clone()));
        hosts.sort();
        hosts.dedup();
        let tls = certificates.acceptor(hosts.clone())?;
        Ok(Self { pages, git, artifacts, hosts, guard, tls })
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((connection, _)) = listener.accept().await {
            let proxy = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let proxy = Arc::clone(&proxy);
                    async move { Ok::<_, Infallible>(proxy.connect(request)) }
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .with_upgrades()
                    .await;
            });
        }
    }

    fn connect(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if let Some(code) = self.guard.refusal(request.headers()) {
            let mut refusal = refused(code, "this proxy serves only its sandbox\n");
            if code == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                let how = HeaderValue::from_static("Basic realm=\"sandbox\"");
                refusal.headers_mut().insert(PROXY_AUTHENTICATE, how);
            }
            return refusal;
        }
        let target = request.uri().authority().map(ToString::to_string);
        let (Some(target), &Method::CONNECT) = (target, request.method()) else {
            return refused(StatusCode::METHOD_NOT_ALLOWED, "this proxy supports only CONNECT\n");
        };
        tokio::spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
            let mut connection = TokioIo::new(upgraded);
            let host = target.rsplit_once(':').map_or(target.as_str(), |(host, _)| host).to_owned();
            if self.hosts.contains(&host) {
                let Ok(secure) = self.tls.accept(connection).await else { return };
                let service = service_fn(move |request| {
                    let (proxy, host) = (Arc::clone(&self), host.clone());
                    async move { Ok::<_, Infallible>(proxy.answer(&host, request).await) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(secure), service).await;
            } else if let Ok(mut beyond) = TcpStream::connect(&target).await {
                let _ = tokio::io::copy_bidirectional(&mut connection, &mut beyond).await;
            }
        });
        Response::default()
    }

    async fn answer(&self, host: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let asked = parts.headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if asked.strip_suffix(":443").unwrap_or(asked) != host {
            return refused(StatusCode::MISDIRECTED_REQUEST, "this connection is for a different host\n");
        }
        let path = parts.uri.path().to_owned();
        tracing::debug!(host, path, method = %parts.method, "upstream");
        let mut servers = self.git.iter();
        if let Some((server, asked_for)) =
            servers.find_map(|server| Some((server, server.asked_for(host, &path)?)))
        {
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return server.answer(asked_for, Request::from_parts(parts, body)).await;
        }
        if let Some(denied) = self.git.iter().find_map(|server| server.denied(host, &path, &parts.headers)) {
            return denied;
        }
        let with_body = parts.method != Method::HEAD;
        let artifact = self.artifacts.iter().find_map(|server| server.answer(host, &path, with_body));
        artifact.unwrap_or_else(|| self.pages.answer(host, &path, with_body))
    }
}

fn refused(code: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *refusal.status_mut() = code;
    refusal
}
