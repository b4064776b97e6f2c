//! Fixed responses, by host and path.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;

/// A response.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    /// `sha256:…`, for registry content.
    pub(super) digest: Option<String>,
}

/// Fixed responses, by host and path.
#[derive(Debug, Default)]
pub(super) struct Pages(HashMap<(String, String), Page>);

impl Pages {
    pub(super) fn add(&mut self, host: &str, path: String, page: Page) {
        self.0.insert((host.to_owned(), path), page);
    }

    pub(super) fn text(&mut self, host: &str, path: String, text: String) {
        let page = Page { media_type: "text/plain; charset=utf-8".into(), bytes: text.into(), digest: None };
        self.add(host, path, page);
    }

    pub(super) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.0.keys().map(|(host, _)| host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The response to a GET or HEAD.
    pub(super) fn answer(&self, host: &str, path: &str, with_body: bool) -> Response<Full<Bytes>> {
        let Some(page) = self.0.get(&(host.to_owned(), path.to_owned())) else { return not_here(host, path) };
        let mut response = Response::builder()
            .header(header::CONTENT_TYPE, &page.media_type)
            .header(header::CONTENT_LENGTH, page.bytes.len());
        if let Some(digest) = &page.digest {
            response = response.header("Docker-Content-Digest", digest);
        }
        let body = if with_body { page.bytes.clone() } else { Bytes::new() };
        response.body(Full::new(body)).unwrap_or_default()
    }
}

fn not_here(host: &str, path: &str) -> Response<Full<Bytes>> {
    let text = format!("{path} not found in the bootstrapper sandbox mirror of {host}\n");
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
