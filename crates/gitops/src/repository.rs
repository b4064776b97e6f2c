//! A GitOps repository: its location, and its clusters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builds::Builds;
use super::entry::{self, Entry};
use super::place::Files;
use super::root::Root;
use super::roots;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;

/// The ConfigMap with the cluster-specific settings.
pub(super) const SETTINGS: &str = "cluster-settings";

/// Markers of the root of a repository; any one is sufficient.
const MARKS: [&str; 3] = ["bootstrapper.yaml", "kubernetes/clusters", ".git"];

/// Folders at the root of a copy without .git; without any of them its files are not searched.
const FOLDERS: [&str; 4] = ["clusters", "deploy", "flux", "kubernetes"];

/// A GitOps repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its folder.
    pub root: PathBuf,
    /// Its clusters, sorted by name.
    pub clusters: Vec<String>,
    entries: BTreeMap<String, Entry>,
    /// Whether the user's own age keys are used for decryption, too.
    pub(super) own_keys: bool,
    pub(super) builds: Arc<Builds>,
    pub(super) files: Arc<Files>,
}

impl Repository {
    /// Opens the repository in `root`.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, &BTreeMap::new())
    }

    /// Opens the repository in `root`. `entries` has Flux's entry point for each cluster: the folder or file
    /// that declares the root Kustomization, or its path. The others are detected.
    pub fn open_with(root: &Path, entries: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let root = root.canonicalize().map_err(|error| {
            Failure::input(format!("repository {} not found", root.display())).caused_by(&error)
        })?;
        let entries = entry::discover(&root, entries);
        if entries.is_empty() {
            return Err(Failure::input(format!("{} is not a GitOps repository", root.display()))
                .because("it has no folder kubernetes/clusters, and no file declares a Kustomization with its source, or a FluxInstance with a sync")
                .hint("run this in the repository, or set --repo")
                .hint("or set the entry point of each cluster in bootstrapper.yaml: `clusters: {<name>: {path: <folder>}}`"));
        }
        let files = Arc::new(Files::of(&root));
        Ok(Self {
            root,
            clusters: entries.keys().cloned().collect(),
            entries,
            own_keys: false,
            builds: Arc::default(),
            files,
        })
    }

    /// The root of the repository that contains `here`.
    pub fn root_of(here: &Path) -> Result<PathBuf> {
        let is_root = |folder: &&Path| MARKS.iter().any(|mark| folder.join(mark).exists());
        let found = here.ancestors().find(is_root);
        // A copy without .git is accepted, too, at its root.
        let may_be = || FOLDERS.iter().any(|folder| here.join(folder).is_dir());
        let is_copy = || may_be() && !entry::discover(here, &BTreeMap::new()).is_empty();
        found.or_else(|| is_copy().then_some(here)).map(Path::to_owned).ok_or_else(|| {
            Failure::input(format!("{} is not in a GitOps repository", here.display()))
                .because(format!("neither it nor a parent folder has {}", MARKS.join(" or ")))
                .hint("run this in the repository, or set --repo")
        })
    }

    /// Finds the repository that contains `here`.
    pub fn find(here: &Path) -> Result<Self> {
        Self::open(&Self::root_of(here)?)
    }

    /// Fails if the cluster does not exist.
    pub fn require(&self, name: &str) -> Result<()> {
        if self.clusters.iter().any(|cluster| cluster == name) {
            return Ok(());
        }
        let failure = Failure::input(format!("cluster `{name}` not found"))
            .hint(format!("clusters in this repository: {}", self.clusters.join(", ")));
        let nearest = self.clusters.iter().find(|cluster| strsim::jaro_winkler(cluster, name) > 0.8);
        Err(match nearest {
            Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
            None => failure,
        })
    }

    pub(super) fn entry_of(&self, cluster: &str) -> Result<&Entry> {
        self.require(cluster)?;
        self.entries.get(cluster).ok_or_else(|| Failure::internal(format!("cluster {cluster} has no entry")))
    }

    /// The folder of a cluster, relative to the repository: the path of its root Kustomization.
    pub fn folder_of(&self, cluster: &str) -> Option<&Path> {
        self.entries.get(cluster).map(|entry| entry.folder.as_path())
    }

    /// The settings of a cluster: the data of its ConfigMap `cluster-settings`. Empty if it has no
    /// `settings.yaml`.
    pub fn settings_of(&self, cluster: &str) -> Result<BTreeMap<String, String>> {
        let Some(folder) = self.folder_of(cluster) else { return Ok(BTreeMap::new()) };
        let file = folder.join("settings.yaml");
        let Ok(text) = files::read_text(&self.root, &file) else { return Ok(BTreeMap::new()) };
        let objects: Vec<Object> = yaml::from_multiple(&text, &file)?;
        let settings = objects.into_iter().find(|object| object.metadata.name.as_deref() == Some(SETTINGS));
        let entries = settings.as_ref().and_then(|settings| settings.data["data"].as_object());
        let text =
            |(key, value): (&String, &serde_json::Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Ok(entries.into_iter().flatten().filter_map(text).collect())
    }

    /// The source of a cluster as in the file: not built, not substituted.
    pub fn source_of(&self, cluster: &str) -> Result<Object> {
        self.written_root_of(cluster).map(|root| root.source)
    }

    /// The folder in the artifact of a cluster's source; the repository itself if the source is no artifact.
    pub fn artifact_folder_of(&self, cluster: &str) -> Result<PathBuf> {
        let folder = &self.entry_of(cluster)?.folder;
        self.written_root_of(cluster).map(|root| root.base(folder))
    }

    fn written_root_of(&self, cluster: &str) -> Result<Root> {
        let Entry { folder, place } = self.entry_of(cluster)?;
        let root = roots::pick(&entry::read(&self.root, place), folder);
        let deeper = || entry::within(&self.root, folder).map(|(root, _)| root);
        root.or_else(deeper)
            .ok_or_else(|| Failure::input(format!("{} declares no source of Flux", place.display())))
    }

    /// The same repository with the user's own age keys for decryption. Without this, only keys that the
    /// bootstrap seeds are used.
    #[must_use]
    pub fn with_own_keys(&self) -> Self {
        Self { own_keys: true, ..self.clone() }
    }

    /// The settings of every other cluster.
    pub fn neighbours_of(&self, cluster: &str) -> Result<Vec<(String, BTreeMap<String, String>)>> {
        let others = self.clusters.iter().filter(|other| *other != cluster);
        others.map(|other| Ok((other.clone(), self.settings_of(other)?))).collect()
    }
}
