//! All that a cluster declares: every Kustomization from the root down, built as Flux would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use secrecy::SecretString;

use super::build::{self, Origin};
use super::dependencies;
use super::kustomization::{Kustomization, Sources, variables};
use super::locate::{locate, within};
use super::release::Release;
use super::repository::{Repository, data_of};
use crate::failure::{Failure, Location, Result};
use crate::object::{Object, ObjectRef};
use crate::tools::{Kustomize, git_revision};

/// The data of Secrets that the bootstrap seeds, by namespace and name.
pub type SecretValues = BTreeMap<(String, String), BTreeMap<String, SecretString>>;

/// All that a cluster declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The cluster.
    pub cluster: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// Branch and commit of the working tree: `main@3f2c1ab`.
    pub revision: Option<String>,
    /// Where Flux finds all of this.
    pub source: Object,
    /// The Kustomization that brings all others.
    pub sync: Object,
    /// Every Kustomization, each after the one that brings it.
    pub kustomizations: Vec<Kustomization>,
    /// Every release.
    pub releases: Vec<Release>,
    root: PathBuf,
}

impl Declared {
    /// The Kustomization of that name.
    pub fn kustomization(&self, name: &str) -> Option<&Kustomization> {
        self.kustomizations.iter().find(|kustomization| kustomization.id.name == name)
    }

    /// The release whose HelmRelease has that name.
    pub fn release(&self, name: &str) -> Option<&Release> {
        self.releases.iter().find(|release| release.id.name == name)
    }

    /// Every namespace that something declared lies in.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let objects = self.kustomizations.iter().flat_map(|kustomization| &kustomization.objects);
        let of_objects = objects.filter_map(|object| object.metadata.namespace.clone());
        let of_releases = self.releases.iter().map(|release| release.release_namespace.clone());
        of_objects.chain(of_releases).collect()
    }

    /// The Namespace object of that name, if it is declared.
    pub fn namespace(&self, name: &str) -> Option<Object> {
        let mut objects = self.kustomizations.iter().flat_map(|kustomization| &kustomization.objects);
        objects
            .find(|object| is(object, "", "Namespace") && object.metadata.name.as_deref() == Some(name))
            .cloned()
    }

    /// Where a setting is written.
    pub fn setting_location(&self, name: &str) -> Option<Location> {
        let file = Repository::settings_file_of(&self.cluster);
        let content = std::fs::read_to_string(self.root.join(&file)).ok()?;
        let (line, column) = within(&content, &format!("{name}:"))?;
        Some(Location { file, line, column })
    }
}

fn is(object: &Object, group: &str, kind: &str) -> bool {
    let id = ObjectRef::of(object);
    id.kind == kind && id.group() == group
}

fn is_kustomization(object: &Object) -> bool {
    is(object, "kustomize.toolkit.fluxcd.io", "Kustomization")
}

impl Repository {
    /// Reads all that `cluster` declares. `secrets` are those that the bootstrap seeds.
    pub async fn load(
        &self,
        cluster: &str,
        kustomize: &Kustomize,
        secrets: &SecretValues,
    ) -> Result<Declared> {
        let (source, sync) = self.entry(cluster, kustomize).await?;
        let mut walk = Walk {
            root: &self.root,
            kustomize,
            secrets,
            source: ObjectRef::of(&source),
            config_maps: BTreeMap::new(),
            kustomizations: Vec::new(),
        };
        walk.all(&sync).await?;
        let Walk { config_maps, kustomizations, .. } = walk;

        let edges = kustomizations.iter().map(|one| (one.id.clone(), one.depends_on.clone()));
        dependencies::check(&edges.collect())
            .map_err(|failure| self.placed(failure, "dependsOn", cluster))?;
        let releases = self.releases(&kustomizations, &Sources { config_maps: &config_maps, secrets })?;
        Ok(Declared {
            cluster: cluster.to_owned(),
            settings: self.settings_of(cluster)?,
            revision: git_revision(&self.root).await,
            source,
            sync,
            kustomizations,
            releases,
            root: self.root.clone(),
        })
    }

    /// The source and the root Kustomization: what a cluster's `flux-system` builds to.
    async fn entry(&self, cluster: &str, kustomize: &Kustomize) -> Result<(Object, Object)> {
        let folder = Self::folder_of(cluster).join("flux-system");
        if !self.root.join(&folder).is_dir() {
            return Err(Failure::input(format!("cluster {cluster} has no {}", folder.display()))
                .hint("it holds the GitRepository and the root Kustomization, as for the other clusters"));
        }
        let absolute = self.root.join(&folder);
        let built = kustomize.build(&absolute).await.map_err(|failure| unbuildable(failure, &folder))?;
        let id = ObjectRef::cluster_scoped("", "folder", &folder.display().to_string());
        let objects = build::objects(&built, None, &Origin { id: &id, root: &self.root, folder: &absolute })?;
        let absent = |what: &str| Failure::input(format!("{} declares no {what}", folder.display()));
        let sync =
            objects.iter().find(|object| is_kustomization(object)).ok_or_else(|| absent("Kustomization"))?;
        let kind = sync.data["spec"]["sourceRef"]["kind"].as_str().unwrap_or("GitRepository");
        let source = objects
            .iter()
            .find(|object| is(object, "source.toolkit.fluxcd.io", kind))
            .ok_or_else(|| absent(kind))?;
        Ok((source.clone(), sync.clone()))
    }

    fn releases(&self, kustomizations: &[Kustomization], sources: &Sources<'_>) -> Result<Vec<Release>> {
        let declared: Vec<&Object> = kustomizations.iter().flat_map(|one| &one.objects).collect();
        let mut releases = Vec::new();
        for kustomization in kustomizations {
            for object in
                kustomization.objects.iter().filter(|one| is(one, "helm.toolkit.fluxcd.io", "HelmRelease"))
            {
                let release = Release::read(object, &kustomization.id, &declared, sources);
                let name = object.metadata.name.clone().unwrap_or_default();
                releases.push(release.map_err(|failure| {
                    self.placed_in(failure, &kustomization.path, &format!("name: {name}"))
                })?);
            }
        }
        let edges = releases.iter().map(|release| (release.id.clone(), release.depends_on.clone()));
        dependencies::check(&edges.collect())?;
        Ok(releases)
    }

    fn placed(&self, failure: Failure, text: &str, cluster: &str) -> Failure {
        self.placed_in(failure, &Self::folder_of(cluster), text)
    }

    fn placed_in(&self, failure: Failure, folder: &Path, text: &str) -> Failure {
        // What a folder builds may be written in a base elsewhere.
        let found = locate(&self.root, &self.root.join(folder), text)
            .or_else(|| locate(&self.root, &self.root.join("kubernetes"), text));
        match found {
            Some(location) if failure.location.is_none() => failure.at(location),
            _ => failure,
        }
    }
}

/// The way from the root Kustomization down.
struct Walk<'a> {
    root: &'a Path,
    kustomize: &'a Kustomize,
    secrets: &'a SecretValues,
    source: ObjectRef,
    config_maps: BTreeMap<(String, String), BTreeMap<String, String>>,
    kustomizations: Vec<Kustomization>,
}

impl Walk<'_> {
    async fn all(&mut self, sync: &Object) -> Result<()> {
        let mut seen = BTreeSet::from([ObjectRef::of(sync)]);
        let mut level = vec![sync.clone()];
        while !level.is_empty() {
            let built = try_join_all(level.iter().map(|object| self.built(object))).await?;
            let mut next = Vec::new();
            // All that a level brings is known before the next one substitutes from it.
            for (object, text) in level.iter().zip(&built) {
                let kustomization = self.read(object, text.as_deref())?;
                next.extend(kustomization.objects.iter().filter(|one| is_kustomization(one)).cloned());
                for config_map in kustomization.objects.iter().filter(|one| is(one, "", "ConfigMap")) {
                    let id = ObjectRef::of(config_map);
                    self.config_maps.insert((id.namespace.unwrap_or_default(), id.name), data_of(config_map));
                }
                self.kustomizations.push(kustomization);
            }
            next.retain(|object| seen.insert(ObjectRef::of(object)));
            level = next;
        }
        Ok(())
    }

    /// What a Kustomization builds to; none if its source is another repository.
    async fn built(&self, object: &Object) -> Result<Option<String>> {
        let id = ObjectRef::of(object);
        let reference = &object.data["spec"]["sourceRef"];
        let is_here = reference["kind"].as_str() == Some(&self.source.kind)
            && reference["name"].as_str() == Some(&self.source.name);
        if !is_here {
            return Ok(None);
        }
        let path = path_of(object);
        let folder = self.root.join(&path);
        if !folder.is_dir() {
            let failure = Failure::input(format!("{id} builds {}, which is no folder", path.display()))
                .hint("correct spec.path: it counts from the root of the repository");
            let written = object.data["spec"]["path"].as_str().unwrap_or_default();
            return Err(match locate(self.root, &self.root.join("kubernetes"), written) {
                Some(location) => failure.at(location),
                None => failure,
            });
        }
        build::build(object, &folder, self.kustomize)
            .await
            .map(Some)
            .map_err(|failure| unbuildable(failure, &path))
    }

    fn read(&self, object: &Object, built: Option<&str>) -> Result<Kustomization> {
        let id = ObjectRef::of(object);
        let path = path_of(object);
        let objects = match built {
            Some(built) => {
                let sources = Sources { config_maps: &self.config_maps, secrets: self.secrets };
                let variables = variables(object, &sources)?;
                let folder = self.root.join(&path);
                build::objects(
                    built,
                    variables.as_ref(),
                    &Origin { id: &id, root: self.root, folder: &folder },
                )?
            }
            None => Vec::new(),
        };
        Ok(Kustomization { depends_on: dependencies::depends_on(object), objects, path, id })
    }
}

fn path_of(object: &Object) -> PathBuf {
    let path = object.data["spec"]["path"].as_str().unwrap_or("./");
    Path::new(path.trim_start_matches("./").trim_start_matches('/')).to_owned()
}

fn unbuildable(failure: Failure, path: &Path) -> Failure {
    Failure {
        what: format!("{} cannot be built", path.display()),
        kind: crate::failure::FailureKind::Input,
        ..failure
    }
}
