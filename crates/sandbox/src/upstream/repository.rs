//! Charts in a classic repository: an index, and an archive for each chart.

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::chart::{Files, Published, pack};
use super::pages::{Page, Pages};
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};

/// Publishes the single chart of the repository here.
pub(super) fn add(pages: &mut Pages, published: &Published<'_>, files: &Files) -> Result<()> {
    let Published { from, name, version } = published;
    let url = Url::parse(from)
        .map_err(|error| Failure::internal(format!("invalid address `{from}`")).caused_by(&error))?;
    let (host, root) = (url.host_str().unwrap_or_default(), url.path().trim_end_matches('/'));
    let archive = pack(name, files)?;
    let file = format!("{name}-{version}.tgz");
    let index = json!({
        "apiVersion": "v1",
        "generated": "2026-01-01T00:00:00Z",
        "entries": {*name: [{
            "apiVersion": "v2", "name": name, "version": version, "digest": sha256(&archive),
            "urls": [format!("{from}/{file}")],
        }]},
    });
    pages.text(host, format!("{root}/index.yaml"), index.to_string());
    let page = Page { media_type: "application/gzip".into(), bytes: Bytes::from(archive), digest: None };
    pages.add(host, format!("{root}/{file}"), page);
    Ok(())
}
