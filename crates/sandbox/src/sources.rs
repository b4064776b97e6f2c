//! Serves the artifacts of source-controller. Its own server has no authentication, so it listens on an
//! unreachable address, and this server requires the token in the URLs that it advertises. Those are in the API
//! server, which requires credentials.

use std::convert::Infallible;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::loopback::{self, Guard};

/// For programs that must listen: a port of this address can be bound, but not connected to, because it is a
/// broadcast address.
pub(super) const UNREACHABLE: &str = "255.255.255.255:0";

/// The running server. Its address outlives source-controller's process, like that of a Service: clients of
/// another address would retry for minutes. Stops when dropped.
pub(super) struct Sources {
    host: String,
    word: String,
    folder: Arc<RwLock<PathBuf>>,
    task: JoinHandle<()>,
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sources {
    /// Starts it, without a folder.
    pub(super) async fn start() -> Result<Self> {
        let failed =
            |error: std::io::Error| Failure::step("cannot start the source server").caused_by(&error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let host = listener.local_addr().map_err(failed)?.to_string();
        let word = loopback::token()?;
        let folder = Arc::default();
        let task = tokio::spawn(serve(listener, Guard::basic(&word, host.clone()), Arc::clone(&folder)));
        Ok(Self { host, word, folder, task })
    }

    /// Serves this folder from now on.
    pub(super) fn serve(&self, folder: &Path) {
        folder.clone_into(&mut self.folder.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The URL to advertise, with the token. It must not be an argument of a program: other users can read
    /// those.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", loopback::user_info(&self.word), self.host)
    }
}

async fn serve(listener: TcpListener, guard: Guard, folder: Arc<RwLock<PathBuf>>) {
    while let Ok((connection, _)) = listener.accept().await {
        let (guard, folder) = (guard.clone(), Arc::clone(&folder));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let folder = folder.read().unwrap_or_else(PoisonError::into_inner).clone();
                let guard = guard.clone();
                async move { Ok::<_, Infallible>(answer(&guard, &folder, &request).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

async fn answer(guard: &Guard, folder: &Path, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let status = |code| {
        let mut response = Response::<Full<Bytes>>::default();
        *response.status_mut() = code;
        response
    };
    if let Some(code) = guard.refusal(request.headers()) {
        return status(code);
    }
    if request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(file) = within(folder, request.uri().path()) else { return status(StatusCode::NOT_FOUND) };
    match tokio::fs::read(file).await {
        Ok(content) => Response::new(Full::new(content.into())),
        Err(_) => status(StatusCode::NOT_FOUND),
    }
}

/// The file at a path, if it is in the folder, with symbolic links resolved.
fn within(folder: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let file = folder.join(relative).canonicalize().ok().filter(|_| is_plain)?;
    (file.is_file() && file.starts_with(folder.canonicalize().ok()?)).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("storage");
        std::fs::create_dir_all(folder.join("gitrepository/flux-system")).unwrap();
        std::fs::write(folder.join("gitrepository/flux-system/a.tar.gz"), "a").unwrap();
        std::fs::write(home.path().join("secret"), "b").unwrap();
        std::os::unix::fs::symlink("a.tar.gz", folder.join("gitrepository/flux-system/latest.tar.gz"))
            .unwrap();
        std::os::unix::fs::symlink(home.path().join("secret"), folder.join("out")).unwrap();
        for served in ["/gitrepository/flux-system/a.tar.gz", "/gitrepository/flux-system/latest.tar.gz"] {
            assert!(within(&folder, served).is_some(), "{served}");
        }
        for not in
            ["/", "/gitrepository", "/out", "/../secret", "/gitrepository/../../secret", "//etc/passwd"]
        {
            assert!(within(&folder, not).is_none(), "{not}");
        }
    }

    #[test]
    fn programs_listen_on_an_unreachable_address() {
        let listener = std::net::TcpListener::bind(UNREACHABLE).unwrap();
        let address = listener.local_addr().unwrap();
        std::net::TcpStream::connect(address).unwrap_err();
        std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap_err();
    }
}
