//! Fetches remote references of kustomizations in this program, not in kustomize: with TLS only, with git
//! without any configuration, with size and time limits.

pub(super) mod download;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::Environment;
use super::address::{Base, Remote};
use super::git::Git;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::private::Folder;

/// The timeout of one fetch: kustomize gives git 27 s per call.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A fetched reference.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// A file.
    File(Arc<Vec<u8>>),
    /// A checked-out git repository. The folder exists as long as the [`Remotes`].
    Repository(PathBuf),
}

/// Fetches each reference once.
#[derive(Debug, Default)]
pub struct Remotes {
    environment: Environment,
    folders: Mutex<Vec<Folder>>,
    known: Mutex<HashMap<Remote, Arc<OnceCell<Result<Fetched>>>>>,
}

impl Remotes {
    /// Fetches with the proxy and the CAs of `environment`, otherwise of this process.
    pub(super) fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone(), ..Self::default() }
    }

    /// Fetches it, or returns the earlier result. The error says whether it is transient.
    pub async fn get(&self, remote: &Remote) -> Result<Fetched> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            // All folders of a repository share one checkout.
            let key = match remote {
                Remote::Base(base) => Remote::Base(Base { path: PathBuf::new(), ..base.clone() }),
                other => other.clone(),
            };
            Arc::clone(known.entry(key).or_default())
        };
        let fetch = || async {
            tokio::time::timeout(TIMEOUT, self.fetch(remote)).await.unwrap_or_else(|_| {
                Err(Failure::step(format!("refusing to fetch {}", remote.url()))
                    .because(format!("it takes longer than {} s", TIMEOUT.as_secs()))
                    .retry(Retry::MayHelp))
            })
        };
        cell.get_or_init(fetch).await.clone()
    }

    async fn fetch(&self, remote: &Remote) -> Result<Fetched> {
        match remote {
            Remote::Manifest(url) => {
                download::download(url, &self.environment).await.map(|file| Fetched::File(Arc::new(file)))
            }
            Remote::Base(base) => self.clone_of(base).await,
            Remote::Either(url, base) => match download::download(url, &self.environment).await {
                Ok(file) if is_manifest(&file) => Ok(Fetched::File(Arc::new(file))),
                Err(failure) if failure.retry == Retry::MayHelp => Err(failure),
                _ => self.clone_of(base).await,
            },
        }
    }

    async fn clone_of(&self, base: &Base) -> Result<Fetched> {
        let git = Git::find(&self.environment).ok_or_else(|| {
            Failure::input(format!("cannot fetch {}", base.url))
                .because("git is not installed")
                .hint("install git (needed for remote bases)")
        })?;
        let folder = Folder::new()?;
        let place = folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned());
        // Owned from the start, so that it is always deleted.
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
        git.clone_into(base, &place).await.map(Fetched::Repository)
    }
}

/// Whether a response is the requested file, and not an HTML page.
fn is_manifest(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else { return false };
    if bootstrapper_core::yaml::excess(text).is_some() {
        // The parser rejects it, with its name.
        return true;
    }
    let documents =
        bootstrapper_core::yaml::from_multiple::<serde_json::Value>(text, std::path::Path::new("it"));
    documents.is_ok_and(|all| all.iter().all(|one| one.is_object() || one.is_null()))
}
