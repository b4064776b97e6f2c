//! The programs of a sandbox: found in the options or PATH, otherwise in the cache, otherwise built once from
//! one pinned Go build list.

mod assets;
mod build;
mod own;
mod own_module;
mod set;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) use assets::Assets;
use serde::{Deserialize, Serialize};

pub(super) use own::{NAME, OF_TEST_IMAGE, WGET, install_own, own};
pub(super) use set::{EVERY_SANDBOX, FLUX_OPERATOR, FLUX_OPERATOR_MANAGER, REAL_NETWORK, Set};

use super::state::Folder;
use bootstrapper_core::failure::{Failure, Result};

/// The programs of a sandbox, and their assets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Programs {
    paths: BTreeMap<String, PathBuf>,
    pub(super) assets: Assets,
}

impl Programs {
    /// The path of a program.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        self.paths
            .get(name)
            .cloned()
            .ok_or_else(|| Failure::internal(format!("unknown sandbox program {name}")))
    }

    /// Every program with its path.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.paths.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// Adds those of Kubernetes' test image, which are the sandbox's own.
    pub(super) fn with_test_image(mut self, folder: &Folder) -> Self {
        let path = own(folder);
        self.paths.extend(OF_TEST_IMAGE.map(|name| (name.to_owned(), path.clone())));
        self
    }

    /// A folder with `helm` and `kustomize` for a run, regardless of PATH, and an `op` that queries the
    /// sandbox's vault.
    pub(super) fn folder(&self, folder: &Folder) -> Result<PathBuf> {
        let bin = folder.path("bin");
        let failed = |error: std::io::Error| {
            Failure::step(format!("cannot create {}", bin.display())).caused_by(&error)
        };
        std::fs::create_dir_all(&bin).map_err(failed)?;
        for name in ["helm", "kustomize"] {
            std::os::unix::fs::symlink(self.path(name)?, bin.join(name)).map_err(failed)?;
        }
        let program = own(folder);
        let op = format!("#!/bin/sh\nexec '{}' vault '{}' \"$@\"\n", program.display(), folder.0.display());
        std::fs::write(bin.join("op"), op).map_err(failed)?;
        std::fs::set_permissions(bin.join("op"), Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(bin)
    }
}

/// Finds every program of these sets; builds the sets with missing ones.
pub(super) async fn find(
    sets: &[&Set],
    offered: Option<&Path>,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Programs> {
    let cache = build::cache()?;
    let mut paths = BTreeMap::new();
    for set in sets {
        let missing = || set.names().filter(|name| locate(name, offered, set, &cache).is_none());
        if missing().next().is_some() {
            build::build(&cache, set, say).await?;
        }
        let missing: Vec<&str> = missing().collect();
        if !missing.is_empty() {
            return Err(Failure::step(format!("the build did not produce {}", missing.join(", "))));
        }
        paths.extend(
            set.names().filter_map(|name| Some((name.to_owned(), locate(name, offered, set, &cache)?))),
        );
    }
    Ok(Programs { paths, assets: Assets::fetch(&cache).await? })
}

/// Searches the options, KUBEBUILDER_ASSETS and PATH, then the cache.
fn locate(name: &str, offered: Option<&Path>, set: &Set, cache: &Path) -> Option<PathBuf> {
    let in_folder = |folder: &Path| Some(folder.join(name)).filter(|path| path.is_file());
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    offered
        .and_then(in_folder)
        .or_else(|| assets.as_deref().and_then(in_folder))
        .or_else(|| which::which(name).ok())
        .or_else(|| in_folder(&cache.join(set.folder)))
}
