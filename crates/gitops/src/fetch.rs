//! Downloads the remote resources of kustomizations into the same tree as the gathered files, so that kustomize
//! downloads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::gather::{From, Gathered, Naming, gather};
use super::problem::{Problem, ProblemKind};
use super::references::{self, Role};
use bootstrapper_core::failure::{Failure, FailureKind, Location, Retry};
use bootstrapper_core::files::relative_to;
use bootstrapper_core::yaml;
use bootstrapper_tools::{Base, Fetched, Remote, Remotes, remote};

/// The folder of downloaded resources in the tree; no repository has one with this name.
pub(super) const FETCHED: &str = ".bootstrapper-fetched";

/// The maximum number of remote resources of a build, and their maximum nesting.
const REMOTES: usize = 300;
const DEEPEST: usize = 8;

/// All files for kustomize. Paths are relative to its root.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) links: BTreeMap<PathBuf, PathBuf>,
}

/// Downloads remote resources, and those that they reference.
pub(super) async fn complete(gathered: Gathered, remotes: &Remotes) -> Result<Tree, Problem> {
    let mut fetch = Fetch { remotes, tree: Tree::default(), known: BTreeMap::new() };
    fetch.add(gathered, PathBuf::new(), 0).await?;
    Ok(fetch.tree)
}

struct Fetch<'a> {
    remotes: &'a Remotes,
    tree: Tree,
    /// The path of each resource in the tree.
    known: BTreeMap<Remote, PathBuf>,
}

impl Fetch<'_> {
    /// Adds gathered files below `place` in the tree.
    fn add(
        &mut self,
        gathered: Gathered,
        place: PathBuf,
        depth: usize,
    ) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async move {
            let Gathered { files, folders, links, naming, remotes, .. } = gathered;
            for (remote, location) in &remotes {
                self.fetch(remote, depth).await.map_err(|problem| at(problem, location.as_ref()))?;
            }
            let mut own = files;
            if !remotes.is_empty() {
                for (file, naming) in naming {
                    let Naming::Kustomization(mut value) = naming else { continue };
                    let folder = place.join(&file);
                    let folder = folder.parent().unwrap_or(Path::new("")).to_owned();
                    references::of_kustomization(&mut value, &mut |text: &mut String, role| {
                        if let Some(to) = self.place_of(text, role) {
                            *text = relative_to(&folder, to).display().to_string();
                        }
                        Ok::<(), Problem>(())
                    })?;
                    own.insert(file, value.to_string().into_bytes());
                }
            }
            self.tree.files.extend(own.into_iter().map(|(file, content)| (place.join(file), content)));
            self.tree.folders.extend(folders.into_iter().map(|folder| place.join(folder)));
            self.tree.links.extend(links.into_iter().map(|(link, to)| (place.join(link), to)));
            Ok(())
        })
    }

    fn place_of(&self, text: &str, role: Role) -> Option<&PathBuf> {
        self.known.get(&remote(text, role.interpretation()).ok().flatten()?)
    }

    async fn fetch(&mut self, remote: &Remote, depth: usize) -> Result<(), Problem> {
        if self.known.contains_key(remote) {
            return Ok(());
        }
        if self.known.len() >= REMOTES || depth >= DEEPEST {
            let why = if depth >= DEEPEST {
                format!("remote bases are nested more than {DEEPEST} levels deep")
            } else {
                format!("the build fetches more than {REMOTES} remote resources")
            };
            let failure = Failure::input(format!("{} was not fetched", remote.url())).because(why);
            return Err(Problem::new(ProblemKind::ExcessiveInput, failure));
        }
        let place = Path::new(FETCHED).join(self.known.len().to_string());
        // Registered before it is read: a cycle then ends, and kustomize reports it.
        let base = match remote {
            Remote::Base(base) | Remote::Either(_, base) => Some(base),
            Remote::Manifest(_) => None,
        };
        match self.remotes.get(remote).await.map_err(unfetched)? {
            Fetched::File(content) => {
                let file = place.join("manifest.yaml");
                let text = String::from_utf8_lossy(&content);
                if let Some(excess) = yaml::excess(&text) {
                    let failure = Failure::input(format!("cannot read {}", remote.url()))
                        .because(format!("line {}: {}", excess.line, excess.what));
                    return Err(Problem::new(ProblemKind::ExcessiveInput, failure));
                }
                self.tree.files.insert(file.clone(), content.to_vec());
                self.known.insert(remote.clone(), file);
            }
            Fetched::Repository(root) => {
                let Some(Base { path, .. }) = base else { return Ok(()) };
                self.known.insert(remote.clone(), place.join(path));
                let from = From { root: &root, others: &BTreeMap::new(), is_clone: true, ignore: None };
                let gathered = gather(from, path, None).map_err(|problem| within(problem, remote))?;
                self.add(gathered, place, depth + 1).await?;
            }
        }
        Ok(())
    }
}

/// A transient failure is not an error of the repository.
pub(super) fn unfetched(failure: Failure) -> Problem {
    let may_pass = failure.retry == Retry::MayHelp;
    let failure = Failure { kind: FailureKind::Input, retry: Retry::Useless, ..failure };
    if may_pass {
        let failure = failure.hint("retry with network access; the result is cached");
        Problem::new(ProblemKind::Unfetchable, failure)
    } else {
        Problem::new(ProblemKind::UnbuildableKustomization, failure)
    }
}

/// A problem of a downloaded resource: its files are not in this repository.
fn within(problem: Problem, remote: &Remote) -> Problem {
    let failure = Failure { what: format!("{}: {}", remote.url(), problem.failure.what), ..problem.failure };
    Problem { failure: Failure { location: None, ..failure }, ..problem }
}

fn at(problem: Problem, location: Option<&Location>) -> Problem {
    let failure = problem.failure;
    let location = failure.location.clone().or_else(|| location.cloned());
    Problem { failure: Failure { location, ..failure }, ..problem }
}
