//! Why there is no way to a cluster: real servers that refuse, each in its way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use assert_cmd::Command;
use base64::Engine as _;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

struct Server {
    url: String,
    authority: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A server whose certificate ends in `until`, and that answers every request with `status`.
async fn serve(until: i32, status: &'static str) -> Server {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let issuer = authority();
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    parameters.not_after = date_time_ymd(until, 1, 1);
    let certificate = parameters.signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secure) = acceptor.accept(connection).await else { return };
                let _ = secure.read(&mut [0; 4096]).await;
                let (code, reason) = status.split_once(' ').unwrap();
                let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code.parse::<u16>().unwrap()});
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = secure.write_all((head + &body).as_bytes()).await;
                let _ = secure.shutdown().await;
            });
        }
    });
    Server { url, authority: issuer.pem() }
}

fn doctor(folder: &Path, url: &str, authority: &str, context: &str) -> Command {
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "home",
        "clusters": [{"name": "home", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "home", "user": {"token": "t"}}],
        "contexts": [{"name": "home", "context": {"cluster": "home", "user": "home"}}]});
    let file = folder.join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let mut command = Command::cargo_bin("bootstrapper").unwrap();
    // Far from any repository: it needs none.
    command.current_dir(folder).env("NO_COLOR", "1").args(["doctor", context, "--kubeconfig"]).arg(file);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_a_cluster_is_a_diagnosis_too() {
    let (expired, unknown, forbidden) = (
        serve(2020, "200 OK").await,
        serve(4000, "401 Unauthorized").await,
        serve(4000, "403 Forbidden").await,
    );
    let another = authority().pem();
    for (url, authority, context, code, said) in [
        (expired.url.as_str(), expired.authority.as_str(), "home", "BS-CON-004", "expired"),
        (&unknown.url, &another, "home", "BS-CON-005", "peer certificate"),
        (&unknown.url, &unknown.authority, "home", "BS-CON-006", "Unauthorized"),
        (&forbidden.url, &forbidden.authority, "home", "BS-CON-007", "Forbidden"),
        ("https://127.0.0.1:1", &another, "home", "BS-CON-001", "refused"),
        ("https://cluster.invalid:6443", &another, "home", "BS-CON-002", "cluster.invalid"),
        ("https://127.0.0.1:1", &another, "away", "BS-CON-008", "it has home"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        doctor(folder.path(), url, authority, context)
            .assert()
            .code(5)
            .stdout(starts_with(format!("error[{code}]: ")).and(contains(said)))
            .stderr(contains(format!("cannot reach cluster {context}")));
    }
}

#[test]
fn codes_are_explained() {
    let bootstrapper = || Command::cargo_bin("bootstrapper").unwrap();
    bootstrapper().args(["explain", "bs-cil-003"]).assert().success().stdout(contains("k8sServiceHost"));
    bootstrapper()
        .args(["explain", "--output", "json"])
        .assert()
        .success()
        .stdout(contains("\"BS-POD-001\""));
    bootstrapper().args(["explain", "BS-XXX-999"]).assert().code(3).stderr(contains("unknown failure code"));
}
