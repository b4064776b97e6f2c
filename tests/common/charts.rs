//! A repository and a registry of charts on this machine.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{programs, root};

/// Serves the charts of `tests/fixtures/charts`, for as long as the test runs: as a classic
/// repository, and as a registry whose folder is `charts`.
pub(crate) struct Charts {
    folder: TempDir,
    /// `127.0.0.1:1234`.
    pub(crate) host: String,
    /// `http://127.0.0.1:1234`.
    pub(crate) url: String,
}

impl Charts {
    /// Serves everybody.
    pub(crate) fn serve() -> Self {
        Self::serve_to(None)
    }

    /// Replaces the archive of a chart by another one of the same version, in the index too.
    pub(crate) fn replace(&self, chart: &str) {
        let copy = tempfile::tempdir().unwrap();
        let own = copy.path().join(chart);
        super::copy_folder(&root().join("tests/fixtures/charts").join(chart), &own);
        std::fs::write(own.join("NOTICE"), "another one").unwrap();
        let packed = self.folder.path();
        for arguments in [
            vec![Path::new("package"), &own, Path::new("--destination"), packed],
            vec![Path::new("repo"), Path::new("index"), packed],
        ] {
            let done = Command::new(programs().join("helm")).args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }

    /// Serves a chart of the registry under another tag too.
    pub(crate) fn tag(&self, chart: &str, version: &str, tag: &str) {
        let manifests = self.folder.path().join("v2/charts").join(chart).join("manifests");
        std::fs::copy(manifests.join(version), manifests.join(tag)).unwrap();
    }

    /// What it serves: an index and archives.
    pub(crate) fn place(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Serves only who gives this user and password, if they are given.
    pub(crate) fn serve_to(user: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let helm = |arguments: &[&Path]| {
            let done = Command::new(programs().join("helm")).args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        for chart in std::fs::read_dir(root().join("tests/fixtures/charts")).unwrap() {
            let chart = chart.unwrap().path();
            helm(&[Path::new("package"), &chart, Path::new("--destination"), folder.path()]);
        }
        helm(&[Path::new("repo"), Path::new("index"), folder.path()]);
        publish_in_registry(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let place = folder.path().to_owned();
        let key =
            user.map(|(name, password)| format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))));
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|call| answer(call, &place, key.as_deref()));
        });
        Self { folder, url: format!("http://{host}"), host }
    }
}

/// Every packed chart once more, as an OCI artifact.
fn publish_in_registry(folder: &Path) {
    let packed = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for chart in packed.filter(|file| file.extension().is_some_and(|kind| kind == "tgz")) {
        let (name, version) = chart.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap();
        let place = folder.join("v2/charts").join(name);
        for part in ["manifests", "blobs"] {
            std::fs::create_dir_all(place.join(part)).unwrap();
        }
        let blob = |media_type: &str, bytes: &[u8]| {
            let digest = digest(bytes);
            std::fs::write(place.join("blobs").join(&digest), bytes).unwrap();
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = json!({"name": name, "version": version, "apiVersion": "v2"}).to_string();
        let layer = std::fs::read(&chart).unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob("application/vnd.cncf.helm.config.v1+json", config.as_bytes()),
            "layers": [blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &layer)],
        })
        .to_string();
        for name in [version, &digest(manifest.as_bytes())] {
            std::fs::write(place.join("manifests").join(name), &manifest).unwrap();
        }
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn answer(mut call: TcpStream, folder: &Path, key: Option<&str>) {
    let mut line = String::new();
    let mut reader = BufReader::new(call.try_clone().unwrap());
    let _ = reader.read_line(&mut line);
    let mut header = String::new();
    let mut is_known = key.is_none();
    while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
        let said = header.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        is_known |= said.is_some_and(|(_, said)| key == Some(said.trim()));
        header.clear();
    }
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
    let file: PathBuf = folder.join(path.trim_start_matches('/'));
    let (status, body) = match std::fs::read(file) {
        _ if !is_known => ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"charts\"", Vec::new()),
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let kind = if path.contains("/manifests/") { MANIFEST } else { "application/octet-stream" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { &[][..] } else { &body };
    let _ = call.write_all(head.as_bytes()).and_then(|()| call.write_all(body));
}
