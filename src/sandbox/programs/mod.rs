//! The programs of a sandbox: found where they are offered, else in the cache, else built once from
//! one pinned Go build list.

mod assets;
mod build;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) use assets::Assets;
use serde::{Deserialize, Serialize};

use super::state::Folder;
use crate::failure::{Failure, Result};

/// What a sandbox runs.
pub(super) const NAMES: [&str; 11] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "helm",
    "kustomize",
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "cilium-operator-generic",
];

/// The programs of a sandbox, and what they are given to work on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Programs {
    paths: BTreeMap<String, PathBuf>,
    pub(super) assets: Assets,
}

impl Programs {
    /// Where a program is.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        self.paths
            .get(name)
            .cloned()
            .ok_or_else(|| Failure::internal(format!("the sandbox has no program {name}")))
    }

    /// A folder that offers `helm` and `kustomize` to a run, whatever PATH has.
    pub(super) fn folder(&self, folder: &Folder) -> Result<PathBuf> {
        let bin = folder.path("bin");
        let failed = |error: std::io::Error| {
            Failure::step(format!("{} cannot be made", bin.display())).caused_by(&error)
        };
        std::fs::create_dir_all(&bin).map_err(failed)?;
        for name in ["helm", "kustomize"] {
            std::os::unix::fs::symlink(self.path(name)?, bin.join(name)).map_err(failed)?;
        }
        Ok(bin)
    }
}

/// Finds every program; builds them if any is missing.
pub(super) async fn find(offered: Option<&Path>, say: &(dyn Fn(&str) + Send + Sync)) -> Result<Programs> {
    let cache = build::cache()?;
    let mut missing: Vec<&str> =
        NAMES.into_iter().filter(|name| locate(name, offered, &cache).is_none()).collect();
    if !missing.is_empty() {
        build::build(&cache, say).await?;
        missing = NAMES.into_iter().filter(|name| locate(name, offered, &cache).is_none()).collect();
    }
    if !missing.is_empty() {
        return Err(Failure::step(format!("the build did not make {}", missing.join(", "))));
    }
    let paths = NAMES.into_iter().filter_map(|name| Some((name.to_owned(), locate(name, offered, &cache)?)));
    Ok(Programs { paths: paths.collect(), assets: Assets::fetch(&cache).await? })
}

/// What the options, KUBEBUILDER_ASSETS or PATH offer, then the cache.
fn locate(name: &str, offered: Option<&Path>, cache: &Path) -> Option<PathBuf> {
    let in_folder = |folder: &Path| Some(folder.join(name)).filter(|path| path.is_file());
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    offered
        .and_then(in_folder)
        .or_else(|| assets.as_deref().and_then(in_folder))
        .or_else(|| which::which(name).ok())
        .or_else(|| in_folder(&cache.join("bin")))
}
