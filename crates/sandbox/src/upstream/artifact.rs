//! The artifact of a cluster's root source, if that is not a git repository: a folder of the working tree,
//! packed like `flux push artifact`, in the registry that the repository declares.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::chart::{Files, pack};
use super::registry::{self, Image};
use super::snapshot::{archive, snapshot_of};
use crate::options::{ArtifactSpec, GitSpec};
use crate::state::write_private;
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};

/// The name of the manifest in the folder; blobs are named by digest.
const MANIFEST_FILE: &str = "manifest";

fn failed(error: &std::io::Error) -> Failure {
    Failure::step("cannot make an artifact of the working tree").caused_by(error)
}

/// Packs the folder in its current state. The same files give the same artifact.
pub(super) async fn push(folder: &Path, spec: &ArtifactSpec) -> Result<()> {
    let tree = GitSpec {
        repository: spec.repository.clone(),
        url: spec.url.clone(),
        branch: "artifact".to_owned(),
        has_credentials: false,
    };
    let commit = snapshot_of(folder, &tree, ".").await?;
    let archived = archive(folder, &commit, &spec.folder).await?;
    let image = Image::of_flux(&pack("", &files_of(&archived).map_err(|error| failed(&error))?)?, &commit);
    let blobs = blobs_in(folder);
    std::fs::create_dir_all(&blobs).map_err(|error| failed(&error))?;
    for bytes in [&image.config, &image.layer, &image.manifest] {
        write_private(&blobs.join(sha256(bytes)), bytes).map_err(|error| failed(&error))?;
    }
    // Last and atomic: concurrent requests get the previous artifact.
    let beside = blobs.join(format!("{MANIFEST_FILE}.{}", std::process::id()));
    write_private(&beside, &image.manifest).map_err(|error| failed(&error))?;
    std::fs::rename(beside, blobs.join(MANIFEST_FILE)).map_err(|error| failed(&error))
}

fn blobs_in(folder: &Path) -> PathBuf {
    folder.join("artifact")
}

/// The files in an archive, without symbolic links, which Flux excludes, too.
fn files_of(archived: &[u8]) -> std::io::Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(archived).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            std::io::copy(&mut entry, &mut bytes)?;
            files.insert(entry.path()?.into_owned(), bytes);
        }
    }
    Ok(files)
}

/// Serves the artifact under its declared URL.
pub(super) struct ArtifactServer {
    pub(super) host: String,
    name: String,
    tags: Vec<String>,
    blobs: PathBuf,
}

impl ArtifactServer {
    pub(super) fn new(folder: &Path, spec: &ArtifactSpec) -> Result<Self> {
        let (host, name) = spec.place()?;
        Ok(Self { host, name, tags: spec.tags.clone(), blobs: blobs_in(folder) })
    }

    /// The response to a GET or HEAD; none for other paths.
    pub(super) fn answer(&self, host: &str, path: &str, with_body: bool) -> Option<Response<Full<Bytes>>> {
        let path = path.strip_prefix("/v2/").filter(|_| host == self.host)?;
        if path.is_empty() {
            return Some(found("application/json", b"{}".to_vec(), with_body));
        }
        let asked = path.strip_prefix(&self.name)?.strip_prefix('/')?;
        let (kind, of) = asked.split_once('/')?;
        let digest = of.strip_prefix("sha256:");
        let read = |name: &str| {
            let is_plain = name.chars().all(|character| character.is_ascii_alphanumeric());
            is_plain.then(|| std::fs::read(self.blobs.join(name)).ok()).flatten()
        };
        let answer = match (kind, digest) {
            ("tags", _) => {
                let tags = json!({"name": self.name, "tags": self.tags});
                Some(found("application/json", tags.to_string().into_bytes(), with_body))
            }
            ("manifests", None) if self.tags.iter().any(|tag| tag == of) => {
                read(MANIFEST_FILE).map(|bytes| found(registry::MANIFEST, bytes, with_body))
            }
            ("manifests", Some(digest)) => {
                read(digest).map(|bytes| found(registry::MANIFEST, bytes, with_body))
            }
            ("blobs", Some(digest)) => {
                read(digest).map(|bytes| found("application/octet-stream", bytes, with_body))
            }
            _ => None,
        };
        Some(answer.unwrap_or_else(|| {
            let mut missing = Response::new(Full::new(Bytes::from("not found in the sandbox's registry\n")));
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }))
    }
}

fn found(media_type: &str, bytes: Vec<u8>, with_body: bool) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, bytes.len())
        .header("Docker-Content-Digest", registry::digest(&bytes));
    let body = if with_body { Bytes::from(bytes) } else { Bytes::new() };
    response.body(Full::new(body)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_folder_of_the_working_tree_is_an_artifact() {
        let (tree, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |file: &str, text: &str| {
            let file = tree.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("deploy/apps/a.yaml", "a: 1\n");
        write("deploy/.gitignore", "*.key\n");
        write("deploy/age.key", "secret");
        write("else.yaml", "b: 1\n");
        let spec = ArtifactSpec {
            repository: tree.path().to_owned(),
            folder: "deploy".into(),
            url: "oci://registry.invalid:5000/a/deploy".into(),
            tags: vec!["latest".into()],
        };
        push(state.path(), &spec).await.unwrap();
        let server = ArtifactServer::new(state.path(), &spec).unwrap();
        let ask = async |path: &str| {
            let answer = server.answer("registry.invalid", path, true)?;
            let is_found = answer.status().is_success();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            is_found.then_some(body)
        };
        let manifest = ask("/v2/a/deploy/manifests/latest").await.unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let layer = ask(&format!("/v2/a/deploy/blobs/{layer}")).await.unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&layer[..]));
        let names: Vec<PathBuf> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [Path::new(".gitignore"), Path::new("apps/a.yaml")]);
        for missing in ["manifests/other", "blobs/sha256:../manifest", "blobs/sha256:00", "manifests/"] {
            assert!(ask(&format!("/v2/a/deploy/{missing}")).await.is_none(), "{missing}");
        }
        assert!(server.answer("ghcr.io", "/v2/a/deploy/manifests/latest", true).is_none());

        let before = std::fs::read(state.path().join("artifact/manifest")).unwrap();
        push(state.path(), &spec).await.unwrap();
        assert_eq!(std::fs::read(state.path().join("artifact/manifest")).unwrap(), before);
        write("deploy/apps/a.yaml", "a: 2\n");
        push(state.path(), &spec).await.unwrap();
        assert_ne!(std::fs::read(state.path().join("artifact/manifest")).unwrap(), before);
    }
}
