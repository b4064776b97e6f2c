//! The declaration of a cluster, and queries on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::flux::FluxSetup;
use super::gaps::Gap;
use super::kustomization::Kustomization;
use super::pipeline::Scope;
use super::place::{Files, Written};
use super::problem::Problem;
use super::release::Release;
use super::rendering::Rendering;
use super::repository::SETTINGS;
use super::substitute::{substitute_all, substitute_text};
use super::walk::is;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_core::words::count;

/// Everything that a cluster declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The cluster.
    pub cluster: String,
    /// Its settings: the data of its ConfigMap `cluster-settings`.
    pub settings: BTreeMap<String, String>,
    /// The settings with secret values: no URL may contain one.
    pub secret_settings: BTreeSet<String>,
    /// Its settings with unknown values.
    pub unknown_settings: BTreeSet<String>,
    /// Branch and commit of the working tree: `main@3f2c1ab`.
    pub revision: Option<String>,
    /// Flux's source for all of this.
    pub source: Object,
    /// The root Kustomization.
    pub sync: Object,
    /// Every Kustomization, each after its parent.
    pub kustomizations: Vec<Kustomization>,
    /// Every release.
    pub releases: Vec<Release>,
    /// Every known ConfigMap and Secret, and its provider: itself, or an ExternalSecret or SealedSecret that
    /// the cluster creates it from. None: the bootstrap seeds it.
    pub providers: BTreeMap<ObjectRef, Option<ObjectRef>>,
    /// The keys of each ConfigMap and Secret that can have no others.
    pub keys: BTreeMap<ObjectRef, BTreeSet<String>>,
    /// The renderings of charts with the values of their releases, if requested and known.
    pub renderings: BTreeMap<ObjectRef, Rendering>,
    /// Its problems. Faulty parts are omitted from the other fields.
    pub problems: Vec<Problem>,
    /// What is omitted because it could not be evaluated. It may provide objects that seem to be missing.
    pub notes: Vec<Problem>,
    /// The configuration of its Flux.
    pub flux: FluxSetup,
    /// Unverified downloads of kustomizations, by URL, with the location of the reference.
    pub unverified: BTreeMap<String, Option<Location>>,
    /// The folder of the cluster.
    pub folder: PathBuf,
    pub(super) places: BTreeMap<ObjectRef, Written>,
    pub(super) files: Arc<Files>,
}

impl Declared {
    /// The Kustomization with this name: `name`, or `namespace/name` if several share it.
    pub fn kustomization(&self, name: &str) -> Option<&Kustomization> {
        self.kustomizations.iter().find(|kustomization| is_named(&kustomization.id, name))
    }

    /// The Kustomization with this name and all that it applies, each after its parent.
    pub fn with_children(&self, name: &str) -> Vec<&Kustomization> {
        let mut found: Vec<&Kustomization> = self.kustomization(name).into_iter().collect();
        for one in &self.kustomizations {
            let is_brought = one.parent.as_ref().is_some_and(|by| found.iter().any(|it| it.id == *by));
            if is_brought && !found.iter().any(|it| it.id == one.id) {
                found.push(one);
            }
        }
        found
    }

    /// Requires no signatures of charts: those that a sandbox serves have none.
    #[must_use]
    pub fn without_signatures(mut self) -> Self {
        for access in self.releases.iter_mut().filter_map(|release| release.access.as_mut().ok()) {
            access.signature = None;
        }
        self
    }

    /// The release whose HelmRelease has this name: `name`, or `namespace/name` if several share it.
    pub fn release(&self, name: &str) -> Option<&Release> {
        self.releases.iter().find(|release| is_named(&release.id, name))
    }

    /// All declared objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.kustomizations.iter().flat_map(|kustomization| &kustomization.objects)
    }

    /// All declared objects without unknown values.
    fn complete_objects(&self) -> impl Iterator<Item = &Object> {
        self.kustomizations.iter().flat_map(|kustomization| {
            let all = kustomization.objects.iter().enumerate();
            all.filter(|(at, _)| kustomization.is_complete(*at)).map(|(_, object)| object)
        })
    }

    /// The unknown values of an object.
    pub(super) fn gaps_of(&self, id: &ObjectRef) -> impl Iterator<Item = &Gap> {
        self.kustomizations.iter().flat_map(move |kustomization| {
            let all = kustomization.objects.iter().zip(&kustomization.gaps);
            all.filter(move |(object, _)| ObjectRef::of(object) == *id).flat_map(|(_, gaps)| gaps)
        })
    }

    /// Every namespace of a declared object, if its name is known.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let of_objects = self.complete_objects().filter_map(|object| object.metadata.namespace.clone());
        let known = self.releases.iter().filter(|release| release.gaps.is_empty());
        let of_releases = known.map(|release| release.release_namespace.clone());
        of_objects.chain(of_releases).collect()
    }

    /// The Namespace object with this name, if it is declared without unknown values.
    pub fn namespace(&self, name: &str) -> Option<Complete<Object>> {
        let is_it = |object: &&Object| {
            is(object, "", Some("Namespace")) && object.metadata.name.as_deref() == Some(name)
        };
        self.complete_objects().find(is_it).cloned().map(Complete::of_own)
    }

    /// Substitutes settings in a text of a task file. Fails if one of them has no value, or an unknown one.
    pub fn substituted(&self, text: &str) -> Result<String> {
        let outcome = substitute_all(text, |name| self.settings.get(name).map(String::as_str));
        if let Some(name) = outcome.used.iter().find(|name| self.unknown_settings.contains(*name)) {
            let failure =
                Failure::input(format!("${{{name}}} is a setting whose value exists only in the cluster"))
                    .because("it comes from a Secret that the bootstrap cannot read")
                    .hint("declare that Secret under `secrets` in bootstrapper.yaml");
            return Err(match self.setting_location(name) {
                Some(location) => failure.at(location),
                None => failure,
            });
        }
        substitute_text(text, &self.settings)
    }

    /// The same; none if it contains a secret value.
    pub fn substituted_openly(&self, text: &str) -> Result<Option<String>> {
        let substituted = self.substituted(text)?;
        let is_secret = |key: &String| self.secret_settings.contains(key);
        let open = self.settings.iter().filter(|(key, _)| !is_secret(key));
        let open = open.map(|(key, value)| (key.clone(), value.clone())).collect();
        let is_open = substitute_text(text, &open).is_ok_and(|text| text == substituted);
        Ok(is_open.then_some(substituted))
    }

    /// Whether a FluxInstance, or the values of its chart, create the source and the root Kustomization: the
    /// Flux operator applies them.
    pub fn is_root_created_by_operator(&self) -> bool {
        self.written(&ObjectRef::of(&self.sync)).is_some_and(|written| !written.is_kind("Kustomization"))
    }

    /// Whether a part of it could not be evaluated, or was not loaded: it may provide what seems to be missing.
    pub fn has_unseen_parts(&self) -> bool {
        !self.notes.is_empty() || self.kustomizations.iter().any(|one| !one.is_here)
    }

    /// Where an object is declared; none if it is downloaded, or not declared.
    pub fn written(&self, object: &ObjectRef) -> Option<&Written> {
        self.places.get(object)
    }

    /// The location of an object's field (`spec.dependsOn[1].name`), or of its nearest parent: for a value from
    /// a patch or a variable, the location of the object.
    pub fn place(&self, object: &ObjectRef, field: &str) -> Option<Location> {
        self.place_in(self.written(object)?, field)
    }

    /// The location of a field within a declaration.
    pub fn place_in(&self, written: &Written, field: &str) -> Option<Location> {
        written.place(&self.files, field)
    }

    /// The name of an object in its file, which kustomize may have changed.
    pub fn name_in_file(&self, written: &Written) -> Option<String> {
        written.name_in_file(&self.files)
    }

    /// The location of the first of these objects that is declared here.
    pub fn declaration(&self, objects: &[ObjectRef]) -> Option<Location> {
        objects.iter().find_map(|id| self.place(self.as_declared(id), ""))
    }

    /// The HelmRelease with this name, or that installs a release with this name; any other object unchanged.
    fn as_declared<'a>(&'a self, id: &'a ObjectRef) -> &'a ObjectRef {
        let is_it = |release: &&Release| {
            let installed = (Some(&release.release_namespace), &release.release_name);
            (release.id.namespace.as_ref(), &release.id.name) == (id.namespace.as_ref(), &id.name)
                || installed == (id.namespace.as_ref(), &id.name)
        };
        let release = self.releases.iter().filter(|_| id.kind == "HelmRelease").find(is_it);
        release.map_or(id, |release| &release.id)
    }

    /// The location of a setting.
    pub fn setting_location(&self, name: &str) -> Option<Location> {
        let is_it = |id: &&ObjectRef| id.kind == "ConfigMap" && id.name == SETTINGS;
        self.place(self.places.keys().find(is_it)?, &format!("data[\"{name}\"]"))
    }

    /// If something could not be evaluated, it may provide what seems to be missing: downgrades these problems
    /// to notes.
    pub(super) fn downgrade_missing(&mut self) {
        if self.notes.is_empty() {
            return;
        }
        let all = std::mem::take(&mut self.problems).into_iter();
        let (excused, problems): (Vec<Problem>, Vec<Problem>) =
            all.partition(|problem| problem.kind.is_about_missing());
        self.problems = problems;
        self.notes.extend(excused);
    }

    /// Fails if a problem affects a run: with the first problem, and the number of others.
    pub fn require_valid(&self, scope: &Scope<'_>) -> Result<()> {
        let all: Vec<&Problem> = self.problems.iter().filter(|problem| scope.has(problem)).collect();
        let Some((first, others)) = all.split_first() else { return Ok(()) };
        let failure = first.failure.clone();
        Err(match others.len() {
            0 => failure,
            more => failure.hint(format!(
                "`bootstrapper validate {}` lists this and {} more",
                self.cluster,
                count(more, "problem")
            )),
        })
    }
}

fn is_named(id: &ObjectRef, name: &str) -> bool {
    match name.split_once('/') {
        Some((namespace, name)) => id.name == name && id.namespace.as_deref() == Some(namespace),
        None => id.name == name,
    }
}
