//! The builds of all clusters of a repository: each once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::build_cache::{self, Unverified};
use super::documents::Document;
use super::pin::Pin;
use super::problem::Problem;
use super::recipe::Recipe;
use bootstrapper_tools::Kustomize;

type Outcome = (Result<Arc<Vec<Document>>, Problem>, Unverified);

type Built = Arc<OnceCell<Outcome>>;

/// The version of kustomize, the pin (none for this repository), the folder, and the additions.
type Key = (String, Option<Pin>, PathBuf, String);

/// The builds of all clusters of a repository.
#[derive(Debug, Default)]
pub(super) struct Builds(Mutex<BTreeMap<Key, Built>>);

impl Builds {
    /// Builds, or returns the previous result.
    pub(super) async fn get(
        &self,
        recipe: &Recipe,
        root: &Path,
        kustomize: &Kustomize,
    ) -> Result<Arc<Vec<Document>>, Problem> {
        let cell = self.cell(recipe, None, kustomize);
        let build = || async {
            let (built, unverified) = build_cache::build(recipe, root, kustomize).await;
            (built.map(Arc::new), unverified)
        };
        cell.get_or_init(build).await.0.clone()
    }

    /// The same for another repository.
    pub(super) async fn get_pinned(
        &self,
        recipe: &Recipe,
        pin: &Pin,
        kustomize: &Kustomize,
    ) -> Result<Arc<Vec<Document>>, Problem> {
        let cell = self.cell(recipe, Some(pin), kustomize);
        // A commit verifies all its content.
        let build =
            || async { (build_cache::pinned(recipe, pin, kustomize).await.map(Arc::new), Unverified::new()) };
        cell.get_or_init(build).await.0.clone()
    }

    /// The unverified downloads of a build; none if it was not built.
    pub(super) fn unverified(&self, recipe: &Recipe, kustomize: &Kustomize) -> Unverified {
        self.cell(recipe, None, kustomize).get().map(|(_, unverified)| unverified.clone()).unwrap_or_default()
    }

    fn cell(&self, recipe: &Recipe, pin: Option<&Pin>, kustomize: &Kustomize) -> Built {
        let key = (kustomize.identity(), pin.cloned(), recipe.folder.clone(), recipe.added.clone());
        let mut builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(builds.entry(key).or_default())
    }
}
