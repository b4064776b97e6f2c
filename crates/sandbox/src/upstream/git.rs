//! Serves the declared git repository over smart HTTP: runs `git http-backend` like a web server.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;

use super::snapshot::{plain_git, repository_in};
use crate::options::GitSpec;
use bootstrapper_core::failure::{Failure, Result};

/// Serves one repository under its declared URL.
pub(super) struct GitServer {
    pub(super) host: String,
    path: String,
    repository: PathBuf,
}

impl GitServer {
    pub(super) fn new(folder: &Path, spec: &GitSpec) -> Result<Self> {
        let url = url::Url::parse(&spec.url).map_err(|error| {
            Failure::input(format!("invalid repository URL `{}`", spec.url)).caused_by(&error)
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let path = url.path().trim_end_matches('/').trim_end_matches(".git").to_owned();
        Ok(Self { host, path, repository: repository_in(folder) })
    }

    /// The path in the repository that a request is for; none for other requests.
    pub(super) fn asked_for<'a>(&self, host: &str, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.path).filter(|_| host == self.host)?;
        let rest = rest.strip_prefix(".git").unwrap_or(rest);
        rest.starts_with('/').then_some(rest)
    }

    /// The response of git hosts for a repository that is missing or private: an anonymous client must
    /// authenticate, and for others it is not found. None if the request is for no repository.
    pub(super) fn denied(
        &self,
        host: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Full<Bytes>>> {
        if host != self.host || !path.ends_with("/info/refs") || self.asked_for(host, path).is_some() {
            return None;
        }
        let response = if headers.contains_key(AUTHORIZATION) {
            Response::builder().status(StatusCode::NOT_FOUND)
        } else {
            Response::builder()
                .status(StatusCode::UNAUTHORIZED)
                .header(WWW_AUTHENTICATE, "Basic realm=\"git\"")
        };
        Some(response.body(Full::new(Bytes::from("Repository not found."))).unwrap_or_default())
    }

    pub(super) async fn answer(&self, asked_for: &str, request: Request<Bytes>) -> Response<Full<Bytes>> {
        match self.run(asked_for, &request).await {
            Ok(output) => parsed(&output),
            Err(error) => {
                let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }

    async fn run(&self, asked_for: &str, request: &Request<Bytes>) -> std::io::Result<Vec<u8>> {
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let mut child = plain_git("exec git \"$@\"")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.repository)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", asked_for)
            .env("REQUEST_METHOD", request.method().as_str())
            .env("QUERY_STRING", request.uri().query().unwrap_or_default())
            .env("CONTENT_TYPE", header("content-type"))
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
            .env("CONTENT_LENGTH", request.body().len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(request.body()).await?;
        }
        Ok(child.wait_with_output().await?.stdout)
    }
}

/// Parses a CGI response: headers, an empty line, the body.
fn parsed(output: &[u8]) -> Response<Full<Bytes>> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let body = output.get(end + 4..).unwrap_or_default();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        response = if name.eq_ignore_ascii_case("status") {
            let code =
                value.split_whitespace().next().and_then(|code| code.parse::<u16>().ok()).unwrap_or(500);
            response.status(code)
        } else {
            response.header(name.trim(), value.trim())
        };
    }
    response.body(Full::new(Bytes::copy_from_slice(body))).unwrap_or_default()
}
