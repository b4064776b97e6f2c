//! All that a cluster declares, and what can be asked about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::kustomization::Kustomization;
use super::place::{Files, Written};
use super::problem::Problem;
use super::release::Release;
use super::rendering::Rendering;
use super::repository::SETTINGS;
use super::walk::is;
use crate::failure::{Location, Result};
use crate::object::{Object, ObjectRef};
use crate::words::count;

/// All that a cluster declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The cluster.
    pub cluster: String,
    /// Its settings: the data of its ConfigMap `cluster-settings`.
    pub settings: BTreeMap<String, String>,
    /// Those of them that hold values of secrets: no address may have one.
    pub secret_settings: BTreeSet<String>,
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
    /// Every ConfigMap and Secret that is known, and the object that brings it: itself, or an
    /// ExternalSecret or SealedSecret that the cluster makes it from. None: the bootstrap seeds it.
    pub brought: BTreeMap<ObjectRef, Option<ObjectRef>>,
    /// What charts make of the values of their releases, as far as that was asked for and is known.
    pub renderings: BTreeMap<ObjectRef, Rendering>,
    /// All that is wrong with it. What is wrong is left out of the rest.
    pub problems: Vec<Problem>,
    /// The folder of the cluster.
    pub folder: PathBuf,
    pub(super) places: BTreeMap<ObjectRef, Written>,
    pub(super) files: Arc<Files>,
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

    /// Everything that is declared.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.kustomizations.iter().flat_map(|kustomization| &kustomization.objects)
    }

    /// Every namespace that something declared lies in.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let of_objects = self.objects().filter_map(|object| object.metadata.namespace.clone());
        let of_releases = self.releases.iter().map(|release| release.release_namespace.clone());
        of_objects.chain(of_releases).collect()
    }

    /// The Namespace object of that name, if it is declared.
    pub fn namespace(&self, name: &str) -> Option<Object> {
        let mut objects = self.objects();
        objects
            .find(|object| is(object, "", Some("Namespace")) && object.metadata.name.as_deref() == Some(name))
            .cloned()
    }

    /// Where an object is written; none if it is fetched, or not declared at all.
    pub fn written(&self, object: &ObjectRef) -> Option<&Written> {
        self.places.get(object)
    }

    /// Where a field of an object is written (`spec.dependsOn[1].name`), or what is nearest above
    /// it: a value that comes from a patch or a variable is at the object.
    pub fn place(&self, object: &ObjectRef, field: &str) -> Option<Location> {
        self.place_in(self.written(object)?, field)
    }

    /// Where a field is written of what is written there.
    pub fn place_in(&self, written: &Written, field: &str) -> Option<Location> {
        written.place(&self.files, field)
    }

    /// Where the first of these objects is written that is declared here.
    pub fn declaration(&self, objects: &[ObjectRef]) -> Option<Location> {
        objects.iter().find_map(|id| self.place(self.as_declared(id), ""))
    }

    /// The HelmRelease of that name, or that installs a release of that name; any other object as it is.
    fn as_declared<'a>(&'a self, id: &'a ObjectRef) -> &'a ObjectRef {
        let is_it = |release: &&Release| {
            let installed = (Some(&release.release_namespace), &release.release_name);
            (release.id.namespace.as_ref(), &release.id.name) == (id.namespace.as_ref(), &id.name)
                || installed == (id.namespace.as_ref(), &id.name)
        };
        let release = self.releases.iter().filter(|_| id.kind == "HelmRelease").find(is_it);
        release.map_or(id, |release| &release.id)
    }

    /// Where a setting is written.
    pub fn setting_location(&self, name: &str) -> Option<Location> {
        let is_it = |id: &&ObjectRef| id.kind == "ConfigMap" && id.name == SETTINGS;
        self.place(self.places.keys().find(is_it)?, &format!("data[\"{name}\"]"))
    }

    /// Fails if anything is wrong: with the first problem, and how many more there are.
    pub fn require_sound(&self) -> Result<()> {
        let Some((first, others)) = self.problems.split_first() else { return Ok(()) };
        let failure = first.failure.clone();
        Err(match others.len() {
            0 => failure,
            more => failure.hint(format!(
                "`bootstrapper validate {}` lists this and {} besides",
                self.cluster,
                count(more, "problem")
            )),
        })
    }
}
