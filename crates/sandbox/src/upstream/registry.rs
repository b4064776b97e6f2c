//! Charts and Flux's artifacts as images in a registry, like quay.io and ghcr.io.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chart::{Files, Published, pack};
use super::pages::{Page, Pages};
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::Result;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The content of an artifact with one layer.
pub(super) struct Image {
    pub(super) config: Vec<u8>,
    pub(super) layer: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl Image {
    fn new(kind: [&str; 2], config: Vec<u8>, layer: Vec<u8>, annotations: &Value) -> Self {
        let part = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": part(kind[0], &config),
            "layers": [part(kind[1], &layer)],
            "annotations": annotations,
        });
        Self { config, layer, manifest: manifest.to_string().into_bytes() }
    }

    fn of_chart(published: &Published<'_>, files: &Files) -> Result<Self> {
        let Published { name, version, .. } = published;
        let config = json!({"name": name, "version": version, "apiVersion": "v2"}).to_string().into_bytes();
        let annotations =
            json!({"org.opencontainers.image.title": name, "org.opencontainers.image.version": version});
        let kind = [
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        ];
        Ok(Self::new(kind, config, pack(name, files)?, &annotations))
    }

    /// Like `flux push artifact`, from a packed folder.
    pub(super) fn of_flux(layer: &[u8], revision: &str) -> Self {
        let kind =
            ["application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"];
        let annotations = json!({
            "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
            "org.opencontainers.image.revision": format!("sandbox@sha1:{revision}"),
            "org.opencontainers.image.source": "the working tree",
        });
        Self::new(kind, b"{}".to_vec(), layer.to_vec(), &annotations)
    }
}

/// Publishes a chart in a registry.
pub(super) fn add(pages: &mut Pages, place: &str, published: &Published<'_>, files: &Files) -> Result<()> {
    let image = Image::of_chart(published, files)?;
    add_image(pages, &format!("{place}/{}", published.name), published.version, &image);
    Ok(())
}

/// Publishes an image: `place` is host and repository, as in `quay.io/cilium/charts/cilium`.
pub(super) fn add_image(pages: &mut Pages, place: &str, tag: &str, image: &Image) {
    let (host, name) = place.split_once('/').unwrap_or((place, ""));
    let Image { config, layer, manifest } = image;
    pages.text(host, "/v2/".into(), "{}".into());
    let root = format!("/v2/{name}");
    let mut add = |path: String, media_type: &str, bytes: &[u8]| {
        let page = Page {
            media_type: media_type.into(),
            bytes: Bytes::copy_from_slice(bytes),
            digest: Some(digest(bytes)),
        };
        pages.add(host, path, page);
    };
    add(format!("{root}/manifests/{tag}"), MANIFEST, manifest);
    add(format!("{root}/manifests/{}", digest(manifest)), MANIFEST, manifest);
    add(format!("{root}/blobs/{}", digest(config)), "application/octet-stream", config);
    add(format!("{root}/blobs/{}", digest(layer)), "application/octet-stream", layer);
    pages.text(host, format!("{root}/tags/list"), json!({"name": name, "tags": [tag]}).to_string());
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}
