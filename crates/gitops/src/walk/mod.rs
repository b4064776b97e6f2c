//! Walks down from the root Kustomization: each build, and the Kustomizations in it.

mod file_source;
mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::future::join_all;

use self::file_source::FileSource;
use self::sets::Set;
use super::artifact::View;
use super::build;
use super::builds::Builds;
use super::common_metadata::add_common_metadata;
use super::decrypted_build::decrypted;
use super::decryption::Decryption;
use super::dependencies::depends_on;
use super::documents::Document;
use super::flux::FluxSetup;
use super::gaps::{Gap, as_source};
use super::ignore::Ignore;
use super::kustomization::Kustomization;
use super::place::{Files, Written};
use super::problem::{Problem, ProblemKind};
use super::provenance::Shadows;
use super::recipe::{Recipe, path_of};
use super::sources::{Sources, UNKNOWN};
use super::substitution::substituted;
use super::variables::{self, ResolvedVariables};
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::Kustomize;

/// A Flux Kustomization that was found, but not built yet.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) object: Object,
    pub(super) written: Option<Written>,
    pub(super) by: Option<ObjectRef>,
    /// The variables in its own `substitute` with secret values.
    pub(super) secret: BTreeSet<String>,
    /// Its unknown values: its build is unknown too.
    pub(super) gaps: Vec<Gap>,
}

impl Found {
    fn placed(&self, problem: Problem, field: &str, files: &Files) -> Problem {
        problem.of(&ObjectRef::of(&self.object)).placed(self.written.as_ref(), field, files)
    }
}

type Built = Result<Arc<Vec<Document>>, (Problem, &'static str)>;

/// The walk, and everything that it has found.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a Files,
    /// Whether the user's own age keys are used for decryption.
    pub(super) own_keys: bool,
    pub(super) kustomize: &'a Kustomize,
    pub(super) builds: &'a Builds,
    /// The source of the root Kustomization.
    pub(super) source: &'a Object,
    /// The folder of the repository in this source; empty for the whole repository.
    pub(super) base: &'a Path,
    /// The patterns in its `.sourceignore` files.
    pub(super) ignore: &'a Ignore,
    /// The configuration of Flux.
    pub(super) flux: &'a FluxSetup,
    /// Declared sources.
    pub(super) flux_sources: Vec<Object>,
    /// ArtifactGenerators, which split sources.
    pub(super) generators: Vec<Object>,
    pub(super) sources: Sources,
    pub(super) kustomizations: Vec<Kustomization>,
    pub(super) problems: Vec<Problem>,
    /// What is omitted because it cannot be evaluated here.
    pub(super) notes: Vec<Problem>,
    /// ResourceSets that are not rendered yet.
    pub(super) sets: Vec<Set>,
    /// How many objects ResourceSets have created.
    pub(super) made: usize,
    /// Their input providers.
    pub(super) providers: Vec<Object>,
    /// Artifacts whose files were copied.
    pub(super) views: Mutex<BTreeMap<ObjectRef, Result<Arc<View>, String>>>,
    /// Unverified downloads of kustomizations, and the location of their references.
    pub(super) unverified: BTreeMap<String, Option<Location>>,
    /// Fetches that are rejected because their address contains a secret.
    pub(super) refused: BTreeMap<ObjectRef, Failure>,
}

impl Walk<'_> {
    /// Walks from the root to the end. A Kustomization that substitutes from an object of another one is read
    /// after that one.
    pub(super) async fn all(&mut self, sync: Found) {
        let mut seen = BTreeSet::from([ObjectRef::of(&sync.object)]);
        let mut waiting = vec![sync];
        loop {
            if waiting.is_empty() {
                // Providers that were not found by now will not be.
                waiting = self.expand_sets();
                waiting.retain(|found| seen.insert(ObjectRef::of(&found.object)));
                if waiting.is_empty() && self.sets.is_empty() {
                    break;
                }
                continue;
            }
            let built = join_all(waiting.iter().map(|found| self.built(found))).await;
            let all: Vec<(Found, Option<Built>)> = waiting.into_iter().zip(built).collect();
            let can_be_read =
                |walk: &Self, strict: bool| all.iter().any(|(found, _)| walk.is_ready(found, strict));
            let strict = can_be_read(self, true);
            let any = strict || can_be_read(self, false);
            let (now, later): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|(found, _)| !any || self.is_ready(found, strict));
            waiting = later.into_iter().map(|(found, _)| found).collect();
            for (found, built) in now {
                let brought = self.read(&found, built);
                waiting.extend(brought.into_iter().filter(|found| seen.insert(ObjectRef::of(&found.object))));
            }
        }
    }

    /// Whether all sources of a Kustomization's substitution are known; optional ones only if `strict`.
    fn is_ready(&self, found: &Found, strict: bool) -> bool {
        let draws = variables::references(&found.object);
        let is_known = |id: &ObjectRef| {
            self.sources.get(&id.kind, id.namespace.as_deref().unwrap_or_default(), &id.name).is_some()
        };
        !matches!(self.file_source(&found.object), FileSource::Undeclared)
            && draws.iter().all(|drawn| is_known(&drawn.id) || (drawn.optional && !strict))
    }

    /// The build of a Kustomization; none if it cannot be read.
    async fn built(&self, found: &Found) -> Option<Built> {
        let (folder, ignore) = match self.file_source(&found.object) {
            FileSource::Here(folder, ignore) => (folder, ignore),
            FileSource::Artifact(id, folder, _) => {
                return Some(self.built_of_artifact(found, &id, folder).await);
            }
            FileSource::Pinned(pin, folder) if found.object.data["spec"]["decryption"].is_null() => {
                let recipe = Recipe::of(&found.object, folder);
                let built = self.builds.get_pinned(&recipe, &pin, self.kustomize).await;
                return Some(built.map_err(|problem| {
                    let is_path = problem.kind == ProblemKind::MissingPath;
                    (problem, if is_path { "spec.path" } else { "spec.sourceRef.name" })
                }));
            }
            _ => return None,
        };
        let recipe = Recipe::of(&found.object, folder).without(ignore);
        Some(self.built_in(found, &recipe, self.root).await)
    }

    /// The build of a Kustomization from an artifact. Its files are from this repository, and are located
    /// there.
    async fn built_of_artifact(&self, found: &Found, artifact: &ObjectRef, folder: PathBuf) -> Built {
        let failed = |why: String| {
            let failure = Failure::input(format!("{artifact} cannot be created")).because(why).hint(
                "correct `copy` of the ArtifactGenerator: paths are relative to the root of its source",
            );
            (Problem::new(ProblemKind::MissingPath, failure), "spec.sourceRef.name")
        };
        let view = self.view(artifact).map_err(failed)?;
        let root = view.root().map_err(|error| failed(error.to_string()))?;
        let recipe = Recipe::of(&found.object, folder);
        let as_here = |file: PathBuf| view.origin(&file).cloned();
        match self.built_in(found, &recipe, &root).await {
            Ok(documents) => Ok(Arc::new(
                documents
                    .iter()
                    .map(|one| Document { file: one.file.clone().and_then(as_here), ..one.clone() })
                    .collect(),
            )),
            Err((mut problem, field)) => {
                problem.failure.location = problem.failure.location.take().and_then(|mut location| {
                    location.file = as_here(location.file)?;
                    Some(location)
                });
                Err((problem, field))
            }
        }
    }

    /// The build of a recipe from this repository, or from an artifact in a temporary folder.
    async fn built_in(&self, found: &Found, recipe: &Recipe, root: &Path) -> Built {
        if !files::is_folder(root, &recipe.folder) {
            let id = ObjectRef::of(&found.object);
            let failure = Failure::input(format!("{id}: folder {} not found", recipe.folder.display()))
                .hint("correct spec.path, which is relative to the root of the repository");
            return Err((Problem::new(ProblemKind::MissingPath, failure), "spec.path"));
        }
        let decryption =
            Decryption::of(&found.object, &self.sources, self.kustomize.environment(), self.own_keys);
        let plain_build = async || {
            if root == self.root {
                return self.builds.get(recipe, root, self.kustomize).await;
            }
            build::run(recipe, root, self.kustomize).await.map(Arc::new)
        };
        let Some(decryption) = decryption else {
            return plain_build().await.map_err(|problem| (problem, "spec.path"));
        };
        let built = decrypted(recipe, &decryption, (root, self.kustomize), plain_build).await;
        built.map_err(|problem| (problem, "spec.path"))
    }

    fn note_unverified(&mut self, recipe: &Recipe) {
        self.unverified.extend(self.builds.unverified(recipe, self.kustomize));
    }

    /// Reads a build, and returns its Kustomizations.
    fn read(&mut self, found: &Found, built: Option<Built>) -> Vec<Found> {
        let id = ObjectRef::of(&found.object);
        let is_here = built.is_some();
        let file_source = self.file_source(&found.object);
        // Other controllers than Flux's own create artifacts, too.
        let is_artifact = found.object.data["spec"]["sourceRef"]["kind"] == "ExternalArtifact";
        if matches!(file_source, FileSource::Undeclared) && !is_artifact {
            self.problems.push(found.placed(
                missing_source(&found.object),
                "spec.sourceRef.name",
                self.files,
            ));
        }
        if let FileSource::Here(folder, ignore) = &file_source {
            self.note_unverified(&Recipe::of(&found.object, folder.clone()).without(ignore.clone()));
        }
        let path = match file_source {
            FileSource::Here(folder, _)
            | FileSource::Pinned(_, folder)
            | FileSource::Artifact(_, _, folder) => folder,
            FileSource::Elsewhere | FileSource::Undeclared => path_of(&found.object),
        };
        let documents = match built {
            None => Arc::default(),
            Some(Ok(documents)) => documents,
            Some(Err((problem, field))) => {
                self.problems.push(found.placed(problem, field, self.files));
                Arc::default()
            }
        };
        self.add_merged(&found.object, &documents);
        let ResolvedVariables { variables, substitute_sources, problems } =
            variables::resolve_variables(&found.object, &self.sources, &found.secret);
        if is_here {
            self.problems.extend(
                problems.into_iter().map(|(problem, field)| found.placed(problem, &field, self.files)),
            );
        }
        let mut objects = Vec::new();
        let mut all_gaps = Vec::new();
        let mut undecrypted = BTreeMap::new();
        let mut used_variables = BTreeSet::new();
        let mut brought = Vec::new();
        let is_strict = self.flux.strict_substitution;
        for document in documents.iter() {
            let mut substituted = substituted(document, variables.as_ref(), &id, self.files, is_strict);
            add_common_metadata(&mut substituted.object, &found.object.data["spec"]["commonMetadata"]);
            self.problems.extend(substituted.problems.into_iter().map(|problem| problem.of(&id)));
            used_variables.extend(substituted.used);
            let secret = substituted.shadows.keys(&substituted.object, "data");
            let is_whole = substituted.gaps.is_empty() && found.gaps.is_empty();
            if is_whole {
                self.sources.add_with(&substituted.object, secret);
            } else {
                let all = !found.gaps.is_empty();
                let known = as_source(&substituted.object, &document.object, variables.as_ref(), all);
                self.sources.add_with(&known, secret);
            }
            let own = std::mem::take(&mut substituted.gaps);
            let gaps: Vec<Gap> = own.into_iter().chain(found.gaps.iter().cloned()).collect();
            brought.extend(self.take(
                &substituted.object,
                substituted.shadows,
                document.written(),
                &gaps,
                &id,
            ));
            if let Some(why) = &document.undecrypted {
                undecrypted.insert(ObjectRef::of(&substituted.object), why.clone());
            }
            objects.push(substituted.object);
            all_gaps.push(gaps);
        }
        let is_unknown =
            |name: &&String| variables.as_ref().is_some_and(|all| all.value(name) == Some(UNKNOWN));
        self.kustomizations.push(Kustomization {
            unknown_variables: used_variables.iter().filter(is_unknown).cloned().collect(),
            used_variables,
            undecrypted,
            substitute_sources,
            written: documents.iter().map(Document::written).collect(),
            objects,
            gaps: all_gaps,
            created_by: BTreeMap::new(),
            depends_on: depends_on(&found.object),
            is_here,
            path,
            parent: found.by.clone(),
            object: found.object.clone(),
            id,
        });
        brought
    }

    /// A Kustomization may substitute from an object that it applies itself, if another owner creates it
    /// before: the annotation shows that Flux merges into it.
    fn add_merged(&mut self, object: &Object, documents: &[Document]) {
        let wanted = variables::references(object);
        let is_wanted = |one: &Object| {
            let id = ObjectRef::of(one);
            let is_known = |id: &ObjectRef| {
                self.sources.get(&id.kind, id.namespace.as_deref().unwrap_or_default(), &id.name).is_some()
            };
            let policy = one.metadata.annotations.as_ref().and_then(|all| all.get(APPLY_POLICY));
            let is_made_before = id.name == RUNTIME_INFO || policy.is_some_and(|policy| policy != "Override");
            is_made_before && !is_known(&id) && wanted.iter().any(|drawn| drawn.id == id)
        };
        let merged: Vec<Object> =
            documents.iter().map(|one| &one.object).filter(|one| is_wanted(one)).cloned().collect();
        for one in &merged {
            self.sources.add_with(one, BTreeSet::new());
        }
    }

    /// Registers an object if it is a source or provider. Returns the Kustomization if it is one.
    fn take(
        &mut self,
        object: &Object,
        shadows: Shadows,
        written: Option<Written>,
        gaps: &[Gap],
        by: &ObjectRef,
    ) -> Option<Found> {
        if let Some(field) = shadows.address(object) {
            let failure = secret_in_address(object, field);
            self.refused.insert(ObjectRef::of(object), failure.clone());
            let problem = Problem::new(ProblemKind::SecretInAddress, failure);
            self.problems.push(problem.of(by).placed(written.as_ref(), field, self.files));
        }
        if is(object, "source.toolkit.fluxcd.io", None) {
            self.flux_sources.push(object.clone());
        }
        if is(object, "source.extensions.fluxcd.io", Some("ArtifactGenerator")) {
            self.generators.push(object.clone());
        }
        if is(object, OPERATOR, Some("ResourceSetInputProvider")) {
            self.providers.push(object.clone());
        }
        if is(object, OPERATOR, Some("ResourceSet")) {
            let (object, gaps, by) = (object.clone(), gaps.to_vec(), by.clone());
            self.sets.push(Set { object, shadows, written, gaps, by });
            return None;
        }
        is(object, "kustomize.toolkit.fluxcd.io", Some("Kustomization")).then(|| Found {
            object: object.clone(),
            secret: shadows.keys(object, "spec.postBuild.substitute"),
            written,
            by: Some(by.clone()),
            gaps: gaps.to_vec(),
        })
    }
}

/// How Flux applies an object: any value but `Override` is for objects that another owner creates before.
const APPLY_POLICY: &str = "kustomize.toolkit.fluxcd.io/ssa";

/// The ConfigMap that bootstraps with the Flux operator create in the cluster for substitutions.
const RUNTIME_INFO: &str = "flux-runtime-info";

/// The group of the Flux operator's own kinds.
const OPERATOR: &str = "fluxcd.controlplane.io";

/// Whether an object has this group, and this kind if given.
pub(super) fn is(object: &Object, group: &str, kind: Option<&str>) -> bool {
    let id = ObjectRef::of(object);
    id.group() == group && kind.is_none_or(|kind| id.kind == kind)
}

fn secret_in_address(object: &Object, field: &str) -> Failure {
    Failure::input(format!("{field} of {} contains a secret value", ObjectRef::of(object)))
        .because("the server at that address would receive it, so it was not fetched")
        .hint("remove the variable: a source references its credentials with spec.secretRef")
}

fn missing_source(object: &Object) -> Problem {
    let id = ObjectRef::of(object);
    let reference = &object.data["spec"]["sourceRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let namespace = reference["namespace"].as_str().or(id.namespace.as_deref()).unwrap_or_default();
    let failure = Failure::input(format!(
        "{id}: source {} {namespace}/{} not found",
        text("kind"),
        text("name")
    ))
    .hint("declare that source, or correct spec.sourceRef, whose namespace defaults to that of the Kustomization");
    Problem::new(ProblemKind::MissingSource, failure)
}
