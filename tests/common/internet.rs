//! The internet on this machine, for programs that are told of its proxy and of its authority: every host by TLS,
//! files, redirects, registries that want a token, and connections that break.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::charts::digest;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an address answers.
#[derive(Clone)]
pub(crate) enum Page {
    Content(Vec<u8>),
    File(PathBuf),
    Redirect(String),
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `host/path`.
    pub(crate) address: String,
    pub(crate) authorization: Option<String>,
}

#[derive(Default)]
struct Inner {
    pages: BTreeMap<String, Page>,
    /// How often the connection breaks before an address is answered.
    broken: BTreeMap<String, usize>,
    requests: Vec<Request>,
}

pub(crate) struct Internet {
    folder: TempDir,
    /// The value of `HTTPS_PROXY`.
    pub(crate) proxy: String,
    inner: Arc<Mutex<Inner>>,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let issuer = Arc::new(Issuer::new(params, key));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let answering = Arc::clone(&inner);
        std::thread::spawn(move || {
            for call in listener.incoming().flatten() {
                let (issuer, inner) = (Arc::clone(&issuer), Arc::clone(&answering));
                std::thread::spawn(move || answer(call, &issuer, &inner));
            }
        });
        Self { folder, proxy, inner }
    }

    /// The value of `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Serves a page at `https://host/path`.
    pub(crate) fn put(&self, url: &str, page: Page) {
        let address = url.strip_prefix("https://").unwrap().to_owned();
        self.inner.lock().unwrap().pages.insert(address, page);
    }

    pub(crate) fn put_text(&self, url: &str, text: &str) {
        self.put(url, Page::Content(text.as_bytes().to_vec()));
    }

    /// Breaks the connection in the middle of the next answers of an address.
    pub(crate) fn break_connection(&self, url: &str, times: usize) {
        let address = url.strip_prefix("https://").unwrap().to_owned();
        self.inner.lock().unwrap().broken.insert(address, times);
    }

    /// An image of layers, the lowest first, with an index; its blobs are on another host. Returns its digest and the
    /// digests of its layers.
    pub(crate) fn put_image(
        &self,
        name: &str,
        tag: &str,
        arch: &str,
        layers: &[Vec<u8>],
    ) -> (String, Vec<String>) {
        let (host, repository) = name.split_once('/').unwrap();
        let at = format!("https://{host}/v2/{repository}");
        let digests: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        for (layer, digest) in layers.iter().zip(&digests) {
            let blob = format!("https://cdn.{host}/{repository}/{digest}?sig=1");
            self.put(&format!("{at}/blobs/{digest}"), Page::Redirect(blob.clone()));
            self.put(&blob, Page::Content(layer.clone()));
        }
        let described =
            layers.iter().zip(&digests).map(|(layer, digest)| json!({"digest": digest, "size": layer.len()}));
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": described.collect::<Vec<_>>()});
        let put_manifest = |reference: Option<&str>, manifest: &Value| {
            let text = manifest.to_string();
            let digest = digest(text.as_bytes());
            self.put_text(&format!("{at}/manifests/{}", reference.unwrap_or(&digest)), &text);
            digest
        };
        let own = put_manifest(None, &manifest);
        let one = |arch: &str, digest: &str| json!({"digest": digest, "mediaType": MANIFEST, "platform": {"os": "linux", "architecture": arch}});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            one("unknown", "sha256:0"), one("s390x", "sha256:1"), one(arch, &own),
        ]});
        (put_manifest(Some(tag), &index), digests)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner.lock().unwrap().requests.clone()
    }

    /// How often an address was requested.
    pub(crate) fn count(&self, url: &str) -> usize {
        let address = url.strip_prefix("https://").unwrap();
        self.requests().iter().filter(|request| request.address == address).count()
    }
}

fn answer(mut call: TcpStream, issuer: &Issuer<'_, KeyPair>, inner: &Mutex<Inner>) -> Option<()> {
    // As a proxy: a tunnel to a host.
    let head = read_head(&mut BufReader::new(call.try_clone().ok()?))?;
    let target = head.front()?.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let host = target.strip_suffix(":443")?.to_owned();
    call.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    // As that host.
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.clone()]).unwrap().signed_by(&key, issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), call);
    let head = read_head(&mut BufReader::new(&mut tls))?;
    let path = head.front()?.split(' ').nth(1)?.to_owned();
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let request = Request { address: format!("{host}{path}"), authorization: header("authorization") };
    let (page, is_broken) = {
        let mut inner = inner.lock().unwrap();
        inner.requests.push(request.clone());
        let page = inner.pages.get(&request.address).cloned();
        let left = inner.broken.get_mut(&request.address).filter(|left| **left > 0);
        (page, left.map(|left| *left -= 1).is_some())
    };
    let token = format!("Bearer token-of-{host}");
    let (status, body) = if path.starts_with("/token?") {
        // An anonymous one: nobody shows a login.
        assert_eq!(request.authorization, None);
        ("200 OK".to_owned(), json!({"token": format!("token-of-{host}")}).to_string().into_bytes())
    } else if path.starts_with("/v2/") && request.authorization.as_deref() != Some(&token) {
        let realm =
            format!("Bearer realm=\"https://{host}/token\",service=\"{host}\",scope=\"repository:x:pull\"");
        (format!("401 Unauthorized\r\nWWW-Authenticate: {realm}"), Vec::new())
    } else {
        match page {
            Some(Page::Content(body)) => ("200 OK".to_owned(), body),
            Some(Page::File(file)) => ("200 OK".to_owned(), std::fs::read(file).unwrap()),
            Some(Page::Redirect(to)) => (format!("307 Temporary Redirect\r\nLocation: {to}"), Vec::new()),
            None => ("404 Not Found".to_owned(), Vec::new()),
        }
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    tls.write_all(head.as_bytes()).ok()?;
    tls.write_all(if is_broken { &body[..body.len() / 2] } else { &body }).ok()?;
    tls.conn.send_close_notify();
    tls.flush().ok()
}

/// The lines of a request before its body.
fn read_head(from: &mut impl std::io::BufRead) -> Option<VecDeque<String>> {
    let mut lines = VecDeque::new();
    loop {
        let mut line = String::new();
        from.by_ref().read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => return Some(lines),
            line => lines.push_back(line.to_owned()),
        }
    }
}
