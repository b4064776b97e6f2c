//! A GitOps repository: where it is, and which clusters it has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::object::Object;
use crate::yaml;

/// The ConfigMap that holds what differs between clusters.
const SETTINGS: &str = "cluster-settings";

/// A GitOps repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its folder.
    pub root: PathBuf,
    /// Its clusters: the folders of `kubernetes/clusters`.
    pub clusters: Vec<String>,
}

impl Repository {
    /// Opens the repository in `root`.
    pub fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().map_err(|error| {
            Failure::input(format!("there is no repository in {}", root.display())).caused_by(&error)
        })?;
        let folder = root.join("kubernetes/clusters");
        let entries = std::fs::read_dir(&folder).map_err(|_| {
            Failure::input(format!("{} is no GitOps repository", root.display()))
                .because("it has no folder kubernetes/clusters")
                .hint("run this in the repository, or name it with --repo")
        })?;
        let mut clusters: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        clusters.sort();
        Ok(Self { root, clusters })
    }

    /// Finds the repository that `here` lies in.
    pub fn find(here: &Path) -> Result<Self> {
        match here.ancestors().find(|folder| folder.join("kubernetes/clusters").is_dir()) {
            Some(root) => Self::open(root),
            None => Err(Failure::input(format!("{} lies in no GitOps repository", here.display()))
                .because("neither it nor a folder above has kubernetes/clusters")
                .hint("run this in the repository, or name it with --repo")),
        }
    }

    /// Fails if there is no cluster of that name.
    pub fn require(&self, name: &str) -> Result<()> {
        if self.clusters.iter().any(|cluster| cluster == name) {
            return Ok(());
        }
        let failure = Failure::input(format!("there is no cluster `{name}`"))
            .hint(format!("the repository has {}", self.clusters.join(", ")));
        let nearest = self.clusters.iter().find(|cluster| strsim::jaro_winkler(cluster, name) > 0.8);
        Err(match nearest {
            Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
            None => failure,
        })
    }

    /// The folder of a cluster, relative to the repository.
    pub(super) fn folder_of(cluster: &str) -> PathBuf {
        Path::new("kubernetes/clusters").join(cluster)
    }

    /// The file of a cluster's settings, relative to the repository.
    pub(super) fn settings_file_of(cluster: &str) -> PathBuf {
        Self::folder_of(cluster).join("settings.yaml")
    }

    /// The settings of a cluster: the data of its ConfigMap `cluster-settings`. None if it has no
    /// `settings.yaml`.
    pub fn settings_of(&self, cluster: &str) -> Result<BTreeMap<String, String>> {
        let file = Self::settings_file_of(cluster);
        let Ok(text) = std::fs::read_to_string(self.root.join(&file)) else { return Ok(BTreeMap::new()) };
        let objects: Vec<Object> = yaml::from_multiple(&text, &file)?;
        let settings = objects.into_iter().find(|object| object.metadata.name.as_deref() == Some(SETTINGS));
        Ok(settings.map(|settings| data_of(&settings)).unwrap_or_default())
    }

    /// The GitRepository of a cluster, as it is written: nothing built, nothing substituted.
    pub fn source_of(&self, cluster: &str) -> Result<Object> {
        let folder = Self::folder_of(cluster).join("flux-system");
        let entries = std::fs::read_dir(self.root.join(&folder)).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            let objects: Vec<Object> = yaml::from_multiple(&text, &folder.join(entry.file_name()))?;
            let source = objects
                .into_iter()
                .find(|object| object.types.as_ref().is_some_and(|types| types.kind == "GitRepository"));
            if let Some(source) = source {
                return Ok(source);
            }
        }
        Err(Failure::input(format!("{} declares no GitRepository", folder.display())))
    }

    /// The settings of every other cluster.
    pub fn neighbours_of(&self, cluster: &str) -> Result<Vec<(String, BTreeMap<String, String>)>> {
        let others = self.clusters.iter().filter(|other| *other != cluster);
        others.map(|other| Ok((other.clone(), self.settings_of(other)?))).collect()
    }
}

/// The data of a ConfigMap.
pub(super) fn data_of(config_map: &Object) -> BTreeMap<String, String> {
    let data = config_map.data["data"].as_object();
    data.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
