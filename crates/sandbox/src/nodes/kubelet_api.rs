//! The part of a kubelet's API that the API server calls on behalf of users: `kubectl logs` and `kubectl exec`.
//! Only the API server may call it, with a client certificate.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::exec::{self, refusal};
use crate::kubelet::log_file;
use crate::site::Site;
use crate::state::Folder;
use bootstrapper_core::failure::{Failure, Result};

/// A kubelet's API that is bound, but not served yet.
pub(crate) struct KubeletApi {
    listener: TcpListener,
    /// Its port on loopback.
    pub port: u16,
}

impl KubeletApi {
    pub(crate) async fn bind() -> Result<Self> {
        let failed =
            |error: std::io::Error| Failure::step("cannot start the sandbox's kubelet").caused_by(&error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    /// Serves while the sandbox runs.
    pub(super) async fn run(self, site: Arc<Site>) -> Result<()> {
        let tls = site.certificates.acceptor_for_clients(vec!["localhost".into()])?;
        while let Ok((connection, _)) = self.listener.accept().await {
            let (tls, site) = (tls.clone(), Arc::clone(&site));
            tokio::spawn(async move {
                let Ok(secure) = tls.accept(connection).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&site, request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(secure), service);
                let _ = connection.with_upgrades().await;
            });
        }
        Ok(())
    }
}

fn answer(site: &Arc<Site>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').split('/');
    let (verb, namespace, pod, container) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (verb, namespace, pod, container) {
        (Some("containerLogs"), Some(namespace), Some(pod), Some(container)) => {
            let query = request.uri().query().unwrap_or_default();
            Response::new(Full::new(logs(&site.folder, namespace, pod, container, query)))
        }
        (Some("exec"), Some(namespace), Some(pod), Some(container)) => {
            let place = site.network.as_ref().and_then(|network| network.place(namespace, pod));
            match place {
                Some(place) => exec::answer(request, &place, container),
                None => refusal("this pod is simulated: it has no containers to exec into\n"),
            }
        }
        _ => refusal("this node serves only logs and exec\n"),
    }
}

/// `?tailLines=<n>`.
fn logs(folder: &Folder, namespace: &str, pod: &str, container: &str, query: &str) -> Bytes {
    let Ok(text) = std::fs::read_to_string(log_file(folder, namespace, pod, container)) else {
        return Bytes::from_static(b"this pod is simulated: it has no logs\n");
    };
    let tail = query.split('&').find_map(|part| part.strip_prefix("tailLines=")?.parse::<usize>().ok());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    Bytes::from(lines[from..].concat())
}
