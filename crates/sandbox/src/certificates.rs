//! A sandbox's own CA: server certificates, and client certificates for RBAC.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use super::options::SandboxOptions;
use super::state::{Folder, write_private};
use bootstrapper_core::failure::{Failure, Result};

/// The files of a sandbox's CA.
pub(super) struct Certificates {
    issuer: Issuer<'static, KeyPair>,
    authority: String,
    folder: PathBuf,
}

/// A certificate and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::step("cannot create the sandbox's certificates").caused_by(error)
}

impl Certificates {
    /// Creates a CA, the API server's certificate and the key for service-account tokens.
    pub(super) fn make(folder: &Folder, options: &SandboxOptions) -> Result<Self> {
        let made = Self::authority(&folder.path("certificates"), "bootstrapper sandbox")?;
        let mut names: Vec<String> =
            ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"].map(String::from).into();
        names.extend(options.api_server.clone());
        names.push(options.api_service_address());
        made.keep("apiserver", &made.server(names)?)?;
        made.keep("kubelet-client", &made.client("kube-apiserver", None)?)?;
        let accounts = KeyPair::generate().map_err(|error| failed(&error))?;
        made.write("accounts.key", &accounts.serialize_pem())?;
        made.write("accounts.pub", &accounts.public_key_pem())?;
        Ok(made)
    }

    /// Creates the CA of etcd, which requires a client certificate from it, also of its peers.
    pub(super) fn make_for_store(folder: &Folder) -> Result<Self> {
        let made = Self::authority(&folder.path("certificates/etcd"), "bootstrapper sandbox etcd")?;
        let mut server =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(|error| failed(&error))?;
        server.distinguished_name = distinguished("etcd", None);
        server.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        made.keep("server", &made.signed(&server)?)?;
        made.keep("client", &made.client("kube-apiserver", None)?)?;
        Ok(made)
    }

    /// A new CA with its files in `folder`.
    pub(super) fn authority(folder: &std::path::Path, name: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let authority = params.self_signed(&key).map_err(|error| failed(&error))?.pem();
        let made = Self { issuer: Issuer::new(params, key), authority, folder: folder.to_owned() };
        made.write("ca.crt", &made.authority)?;
        Ok(made)
    }

    /// The CA's certificate, as PEM.
    pub(super) fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// The path of one of its files.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A certificate for servers with these names and addresses.
    pub(super) fn server(&self, names: Vec<String>) -> Result<Pair> {
        let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
        params.distinguished_name = distinguished("server", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.signed(&params)
    }

    /// Accepts TLS for servers with these names.
    pub(super) fn acceptor(&self, names: Vec<String>) -> Result<TlsAcceptor> {
        self.acceptor_that(names, WebPkiClientVerifier::no_client_auth())
    }

    /// The same, and requires a client certificate from this CA.
    pub(super) fn acceptor_for_clients(&self, names: Vec<String>) -> Result<TlsAcceptor> {
        let mut roots = rustls::RootCertStore::empty();
        let authority =
            CertificateDer::from_pem_slice(self.authority.as_bytes()).map_err(|error| failed(&error))?;
        roots.add(authority).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        self.acceptor_that(names, verifier.map_err(|error| failed(&error))?)
    }

    fn acceptor_that(
        &self,
        names: Vec<String>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<TlsAcceptor> {
        let pair = self.server(names)?;
        let certificate =
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key)
            })
            .map_err(|error| failed(&error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A kubeconfig for a user, with its own client certificate.
    pub(super) fn kubeconfig(
        &self,
        file: PathBuf,
        context: &str,
        server: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<PathBuf> {
        let pair = self.client(user, group)?;
        let credentials = json!({
            "client-certificate-data": STANDARD.encode(pair.certificate),
            "client-key-data": STANDARD.encode(pair.key),
        });
        self.write_kubeconfig(file, context, server, &credentials)
    }

    /// A kubeconfig for a user with these credentials.
    pub(super) fn write_kubeconfig(
        &self,
        file: PathBuf,
        context: &str,
        server: &str,
        user: &serde_json::Value,
    ) -> Result<PathBuf> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": {
                "server": server, "certificate-authority-data": STANDARD.encode(&self.authority)
            }}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        });
        write_private(&file, kubeconfig.to_string()).map_err(|error| failed(&error))?;
        Ok(file)
    }

    fn client(&self, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.signed(&params)
    }

    fn signed(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    fn keep(&self, name: &str, pair: &Pair) -> Result<()> {
        self.write(&format!("{name}.crt"), &pair.certificate)?;
        self.write(&format!("{name}.key"), &pair.key)
    }

    fn write(&self, name: &str, pem: &str) -> Result<()> {
        write_private(&self.path(name), pem).map_err(|error| failed(&error))
    }
}

fn distinguished(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    if let Some(group) = group {
        distinguished.push(DnType::OrganizationName, group);
    }
    distinguished
}
