//! Large downloads, which are read as they arrive: files over TLS, and blobs of a registry.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use secrecy::SecretString;

use super::Environment;
use super::remote::download::respond;
use bootstrapper_core::failure::{Failure, Result, Retry};

/// How long a server may take to respond, and to send the next part.
const PATIENCE: Duration = Duration::from_secs(20);

/// A download that has begun.
#[derive(Debug)]
pub struct Download {
    failed: Failure,
    body: Incoming,
}

impl Download {
    pub(super) fn of(failed: Failure, response: Response<Incoming>) -> Self {
        Self { failed, body: response.into_body() }
    }

    /// Its size in bytes, if the server says so.
    pub fn size(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next part; none at its end. Fails if the connection breaks before that.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let part = in_time(&self.failed, async { Ok(self.body.frame().await) }).await?;
            let Some(part) = part else { return Ok(None) };
            let part = part.map_err(|error| self.failed.clone().caused_by(&error).retry(Retry::MayHelp))?;
            // Trailers are no data.
            if let Ok(data) = part.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Opens a file: TLS only, also after redirects; only the server of `url` gets `authorization`. The error says whether it is transient.
pub async fn open_download(
    url: &str,
    authorization: Option<&SecretString>,
    environment: &Environment,
) -> Result<Download> {
    let failed = Failure::step(format!("cannot fetch {url}"));
    let response = in_time(&failed, respond(url, authorization, environment)).await?;
    Ok(Download::of(failed, response))
}

/// Fails when a server takes too long.
pub(super) async fn in_time<T>(failed: &Failure, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let why = format!("the server has not responded for {} s", PATIENCE.as_secs());
        Err(failed.clone().because(why).retry(Retry::MayHelp))
    })
}
