//! Repositories from which the layout takes CRDs at a commit. Their Go modules have the files, but not the
//! history, so they have other commits here.

use std::path::{Path, PathBuf};

use super::git::GitServer;
use super::snapshot::{snapshot_of, tag};
use crate::options::GitSpec;
use crate::programs::Assets;
use bootstrapper_core::failure::Result;

/// A repository at a commit.
pub(super) struct Pinned {
    url: &'static str,
    /// Its upstream commit.
    pub(super) commit: &'static str,
    /// The release tag of the commit.
    tag: &'static str,
    module: PathBuf,
    part: &'static str,
}

/// All of them.
pub(super) fn all(assets: &Assets) -> [Pinned; 2] {
    [
        Pinned {
            url: "https://github.com/kubernetes-sigs/gateway-api",
            commit: "8bb74df00e56ec8f944d48c25e6c1c9c2f6848e3",
            tag: "v1.6.1",
            module: assets.gateway_api.clone(),
            part: "config/crd/standard",
        },
        Pinned {
            url: "https://github.com/cilium/cilium",
            commit: "e0dc92bd6dac33d7ba3b5eace82a0448bbb13aac",
            tag: "v1.20.2",
            module: assets.cilium.clone(),
            part: "pkg/k8s/apis/cilium.io/client/crds",
        },
    ]
}

impl Pinned {
    /// Creates the repository, its server, and its commit.
    pub(super) async fn serve(&self, repositories: &Path) -> Result<(GitServer, String)> {
        let folder = repositories.join(self.url.rsplit('/').next().unwrap_or_default());
        let spec = GitSpec {
            repository: self.module.clone(),
            url: self.url.to_owned(),
            branch: "main".to_owned(),
            has_credentials: false,
        };
        let commit = snapshot_of(&folder, &spec, self.part).await?;
        tag(&folder, self.tag, &commit).await?;
        Ok((GitServer::new(&folder, &spec)?, commit))
    }
}
