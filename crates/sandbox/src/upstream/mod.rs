//! A mirror of the part of the internet that a bootstrap needs, so that the URLs in a repository work unchanged
//! and offline: a proxy on loopback that serves some hosts itself, and tunnels everything else.

mod address;
mod artifact;
mod chart;
mod charts;
mod crds;
mod flux_operator;
mod git;
mod pages;
mod pinned;
mod proxy;
mod registry;
mod releases;
mod repository;
mod snapshot;
mod stand_ins;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use address::redirect;
use artifact::ArtifactServer;
use git::GitServer;
use pages::Pages;
use snapshot::snapshot;
use tokio::task::JoinHandle;

use super::certificates::Certificates;
use super::options::SourceSpec;
use super::programs::Assets;
use super::state::{Folder, write_private};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::Kustomize;
use bootstrapper_tools::loopback::{self, Guard};

/// Where Linux distributions store their trusted CAs.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The running mirror. Stops when dropped.
pub(super) struct Upstream {
    port: u16,
    word: String,
    authorities: PathBuf,
    commits: BTreeMap<String, String>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Prepares all its responses, and starts to serve.
    pub(super) async fn start(
        folder: &Folder,
        source: &SourceSpec,
        assets: &Assets,
        kustomize: &Kustomize,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Failure::step("cannot start the mirror of the internet").caused_by(&error)
        };
        let home = folder.path("upstream");
        let certificates = Certificates::authority(&home, "bootstrapper sandbox upstream")?;
        let authorities = home.join("authorities.pem");
        let system =
            SYSTEM_AUTHORITIES.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        write_private(&authorities, format!("{system}\n{}", certificates.authority_pem())).map_err(failed)?;

        refresh(folder, source).await?;
        let repositories = folder.path("git");
        let (mut servers, mut artifacts) = (Vec::new(), Vec::new());
        match source {
            SourceSpec::Git(git) => servers.push(GitServer::new(&repositories, git)?),
            SourceSpec::Artifact(spec) => artifacts.push(ArtifactServer::new(&repositories, spec)?),
        }
        let mut commits = BTreeMap::new();
        for pinned in pinned::all(assets) {
            let (server, commit) = pinned.serve(&repositories).await?;
            commits.insert(pinned.commit.to_owned(), commit);
            servers.push(server);
        }
        let module = assets.flux_operator.clone();
        let assets = assets.clone();
        let mut pages = tokio::task::spawn_blocking(move || pages(&assets))
            .await
            .map_err(|error| Failure::internal("cannot create the mirror's pages").caused_by(&error))??;
        flux_operator::publish(&mut pages, &module, kustomize).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let word = loopback::token()?;
        let proxy = proxy::Proxy::new(&certificates, pages, (servers, artifacts), Guard::proxy(&word))?;
        let task = tokio::spawn(Arc::new(proxy).serve(listener));
        Ok(Self { port, word, authorities, commits, task })
    }

    /// Unavailable commits, each with its replacement.
    pub(super) fn commits(&self) -> &BTreeMap<String, String> {
        &self.commits
    }

    /// The environment variables that programs need to use it.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let proxy = format!("http://{}@127.0.0.1:{}", loopback::user_info(&self.word), self.port);
        let direct = "127.0.0.1,localhost,::1,.svc,.cluster.local";
        let authorities = self.authorities.display().to_string();
        [
            ("HTTPS_PROXY", proxy.as_str()),
            ("https_proxy", proxy.as_str()),
            ("NO_PROXY", direct),
            ("no_proxy", direct),
            ("SSL_CERT_FILE", authorities.as_str()),
            ("GIT_SSL_CAINFO", authorities.as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What is simulated.
    pub(super) fn stand_ins() -> Vec<String> {
        vec![
            "simulated: github.com, raw.githubusercontent.com, quay.io, ghcr.io, ceph.github.io, kubernetes-sigs.github.io and the server of the root source (served on loopback)".into(),
            format!("simulated: minimal replacement charts: {}", charts::stand_in_names().join(", ")),
            "simulated: chart external-secrets 2.9.0 has the content of 1.3; it and cert-manager have no webhooks".into(),
            "simulated: git repositories of Gateway API and Cilium contain the real CRDs with different commit hashes; the API server rewrites GitRepositories to match".into(),
            "real:      charts cilium, cert-manager, rook-ceph, rook-ceph-cluster, metrics-server and external-dns".into(),
        ]
    }
}

/// Updates the root source to the current content of the repository.
pub(super) async fn refresh(folder: &Folder, source: &SourceSpec) -> Result<()> {
    let repositories = folder.path("git");
    match source {
        SourceSpec::Git(git) => snapshot(&repositories, git).await.map(drop),
        SourceSpec::Artifact(spec) => artifact::push(&repositories, spec).await,
    }
}

fn pages(assets: &Assets) -> Result<Pages> {
    let mut pages = Pages::default();
    charts::publish_all(&mut pages, assets)?;
    releases::publish(&mut pages, assets)?;
    Ok(pages)
}
