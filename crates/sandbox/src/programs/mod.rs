//! The programs of a sandbox: found in the options or PATH, otherwise in the cache, otherwise downloaded once from
//! their official releases, otherwise built once from one pinned Go build list.

mod archive;
mod assets;
mod build;
mod download;
mod fetch;
mod image;
mod layers;
mod listing;
mod module_zip;
mod own;
mod own_module;
mod progress;
mod records;
mod set;
mod sources;
mod zip;

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) use assets::Assets;
use serde::{Deserialize, Serialize};

use fetch::{Placed, Target};
pub use listing::{FoundPrograms, ListedProgram, ProgramOrigin};
pub(super) use own::{NAME, OF_TEST_IMAGE, WGET, install_own, own};
pub(super) use set::{EVERY_SANDBOX, FLUX_OPERATOR, FLUX_OPERATOR_MANAGER, REAL_NETWORK, Set};

use super::state::Folder;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::secure;
use bootstrapper_tools::Environment;
use progress::Say;
use records::Record;
use sources::{Platform, Release, release_of};

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

/// Where programs come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProgramSources<'a> {
    /// A folder of prebuilt programs, which is searched first.
    pub binaries: Option<&'a Path>,
    /// Whether those that are on this machine neither there nor in PATH are built, not downloaded.
    pub from_source: bool,
}

/// Finds every program of these sets; downloads missing ones, and builds what is not available.
pub(super) async fn find(sets: &[&Set], from: ProgramSources<'_>, say: Say<'_>) -> Result<Programs> {
    let cache = build::cache()?;
    if !is_complete(sets, from, &cache) {
        // Another user with write access could have their programs run.
        secure(&cache).map_err(|error| uncached(&cache, &error))?;
        let lock = lock(&cache, say).await?;
        obtain(sets, from, &cache, say).await?;
        drop(lock);
    }
    let missing: Vec<&str> = missing(sets, from, &cache).collect();
    if !missing.is_empty() {
        return Err(Failure::step(format!("the build did not produce {}", missing.join(", "))));
    }
    let assets =
        Assets::cached(&cache).ok_or_else(|| Failure::step("the sandbox's charts and CRDs are missing"))?;
    let of_set = |set: &&Set| -> Vec<_> {
        set.names().filter_map(|name| Some((name.to_owned(), locate(name, from, set, &cache)?))).collect()
    };
    Ok(Programs { paths: sets.iter().flat_map(of_set).collect(), assets })
}

fn is_complete(sets: &[&Set], from: ProgramSources<'_>, cache: &Path) -> bool {
    missing(sets, from, cache).next().is_none() && Assets::cached(cache).is_some()
}

fn missing(sets: &[&Set], from: ProgramSources<'_>, cache: &Path) -> impl Iterator<Item = &'static str> {
    sets.iter().flat_map(move |set| set.names().filter(move |name| locate(name, from, set, cache).is_none()))
}

/// Downloads what is missing, and builds what is not available.
async fn obtain(sets: &[&Set], from: ProgramSources<'_>, cache: &Path, say: Say<'_>) -> Result<()> {
    let tried = match Platform::here().filter(|_| !from.from_source) {
        Some(platform) if !is_complete(sets, from, cache) => {
            let environment = Environment::default();
            let target = Target { cache, platform, environment: &environment };
            let releases = sets.iter().flat_map(|set| missing_releases(set, from, cache)).collect::<Vec<_>>();
            fetch::fetch(&target, &releases, Assets::cached(cache).is_none(), say).await?
        }
        _ => Vec::new(),
    };
    if let Some(first) = tried.first() {
        let more = if tried.len() > 1 { format!(" (and {} more)", tried.len() - 1) } else { String::new() };
        say(&format!("{}{more}: {}", first.what, first.because.join(": ")));
    }
    for set in sets {
        let missing: Vec<&str> = missing(&[*set], from, cache).collect();
        if !missing.is_empty() {
            build::build(cache, set, &missing, &tried, say).await?;
        }
    }
    if Assets::cached(cache).is_none() {
        which::which("go").map_err(|_| build::without_go(&[], &tried))?;
        Assets::fetch_with_go(cache).await?;
    }
    Ok(())
}

/// The releases of missing programs, each once, and where their programs belong.
fn missing_releases(set: &Set, from: ProgramSources<'_>, cache: &Path) -> Vec<Placed<'static>> {
    let mut releases: Vec<&Release> = missing(&[set], from, cache).filter_map(release_of).collect();
    releases.dedup_by_key(|release| release.name);
    releases.into_iter().map(|release| (release, cache.join(set.folder))).collect()
}

/// Two sandboxes may start concurrently: one downloads or builds, the other waits.
async fn lock(cache: &Path, say: Say<'_>) -> Result<File> {
    let lock = File::create(cache.join("build.lock")).map_err(|error| uncached(cache, &error))?;
    if lock.try_lock().is_ok() {
        return Ok(lock);
    }
    say("waiting for another process, which downloads or builds the sandbox's programs");
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    locked
        .map_err(|error| Failure::internal("the lock was not taken").caused_by(&error))?
        .map_err(|error| uncached(cache, &error))
}

fn uncached(cache: &Path, error: &std::io::Error) -> Failure {
    Failure::step(format!("cannot use the cache {}", cache.display())).caused_by(error)
}

/// Searches the options, KUBEBUILDER_ASSETS and PATH, then the cache.
fn locate(name: &str, from: ProgramSources<'_>, set: &Set, cache: &Path) -> Option<PathBuf> {
    let in_folder = |folder: &Path| Some(folder.join(name)).filter(|path| path.is_file());
    let is_wanted = |path: &Path| !from.from_source || Record::beside(path).is_none();
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    from.binaries
        .and_then(in_folder)
        .or_else(|| assets.as_deref().and_then(in_folder))
        .or_else(|| which::which(name).ok())
        .or_else(|| in_folder(&cache.join(set.folder)).filter(|path| is_wanted(path)))
}
