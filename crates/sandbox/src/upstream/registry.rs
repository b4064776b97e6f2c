//! Charts as OCI artifacts, as quay.io and ghcr.io serve them.

use bytes::Bytes;
use serde_json::json;

use super::chart::{Files, Published, pack};
use super::pages::{Page, Pages};
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::Result;

const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Publishes a chart in a registry: `place` is the host and the folder, as in `quay.io/cilium/charts`.
pub(super) fn add(pages: &mut Pages, place: &str, published: &Published<'_>, files: &Files) -> Result<()> {
    let (host, folder) = place.split_once('/').unwrap_or((place, ""));
    let Published { name, version, .. } = published;
    pages.text(host, "/v2/".into(), "{}".into());
    let layer = pack(name, files)?;
    let config = json!({"name": name, "version": version, "apiVersion": "v2"}).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": LAYER, "digest": digest(&layer), "size": layer.len()}],
        "annotations": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
    });
    let manifest = manifest.to_string().into_bytes();
    let root = format!("/v2/{folder}/{name}");
    let mut add = |path: String, media_type: &str, bytes: &[u8]| {
        let page = Page {
            media_type: media_type.into(),
            bytes: Bytes::copy_from_slice(bytes),
            digest: Some(digest(bytes)),
        };
        pages.add(host, path, page);
    };
    add(format!("{root}/manifests/{version}"), MANIFEST, &manifest);
    add(format!("{root}/manifests/{}", digest(&manifest)), MANIFEST, &manifest);
    add(format!("{root}/blobs/{}", digest(&config)), "application/octet-stream", &config);
    add(format!("{root}/blobs/{}", digest(&layer)), "application/octet-stream", &layer);
    pages.text(
        host,
        format!("{root}/tags/list"),
        json!({"name": format!("{folder}/{name}"), "tags": [version]}).to_string(),
    );
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}
