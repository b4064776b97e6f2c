//! The part of a kubelet's own API by which `kubectl logs` reads.

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

use crate::failure::{Failure, Result};
use crate::sandbox::certificates::Certificates;
use crate::sandbox::state::Folder;

/// A log server that is bound, and not running yet.
pub(in crate::sandbox) struct LogServer {
    listener: TcpListener,
    /// Where it listens on loopback.
    pub(in crate::sandbox) port: u16,
}

/// The file that a container's process writes to.
pub(super) fn log_file(folder: &Folder, namespace: &str, pod: &str, container: &str) -> std::path::PathBuf {
    folder.path("logs/pods").join(format!("{namespace}_{pod}_{container}.log"))
}

impl LogServer {
    pub(in crate::sandbox) async fn bind() -> Result<Self> {
        let failed =
            |error: std::io::Error| Failure::step("the sandbox's log server cannot start").caused_by(&error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    /// Answers for as long as the sandbox runs.
    pub(super) async fn run(self, folder: Folder, certificates: &Certificates) -> Result<()> {
        let tls = certificates.acceptor(vec!["localhost".into()])?;
        let folder = Arc::new(folder);
        while let Ok((connection, _)) = self.listener.accept().await {
            let (tls, folder) = (tls.clone(), Arc::clone(&folder));
            tokio::spawn(async move {
                let Ok(secure) = tls.accept(connection).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&folder, &request);
                    async move { Ok::<_, Infallible>(Response::new(Full::new(answer))) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(secure), service).await;
            });
        }
        Ok(())
    }
}

/// `/containerLogs/<namespace>/<pod>/<container>?tailLines=<n>`.
fn answer(folder: &Folder, request: &Request<Incoming>) -> Bytes {
    let mut parts = request.uri().path().trim_start_matches("/containerLogs/").split('/');
    let (Some(namespace), Some(pod), Some(container)) = (parts.next(), parts.next(), parts.next()) else {
        return Bytes::from_static(b"only logs can be had of this node\n");
    };
    let Ok(text) = std::fs::read_to_string(log_file(folder, namespace, pod, container)) else {
        return Bytes::from_static(b"this pod runs in name only: it writes no log\n");
    };
    let query = request.uri().query().unwrap_or_default();
    let tail = query.split('&').find_map(|part| part.strip_prefix("tailLines=")?.parse::<usize>().ok());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    Bytes::from(lines[from..].concat())
}
