//! Walks from the root Kustomization down: each build, and the Kustomizations in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;

use super::artifact;
use super::build;
use super::builds::Builds;
use super::decryption::Decryption;
use super::dependencies::depends_on;
use super::documents::{Document, Encrypted};
use super::gaps::{Gap, as_source};
use super::kustomization::Kustomization;
use super::pin::Pin;
use super::place::{Files, Written};
use super::problem::{Problem, ProblemKind};
use super::recipe::{Recipe, path_of};
use super::sources::{Sources, UNKNOWN};
use super::substitution::substituted;
use super::variables::{self, Drawn};
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::Kustomize;

/// A Flux Kustomization that was found, and not built yet.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) object: Object,
    pub(super) written: Option<Written>,
    pub(super) by: Option<ObjectRef>,
    /// The variables that it gives values of secrets.
    pub(super) secret: BTreeSet<String>,
    /// Its unknown values: its build is unknown too.
    pub(super) gaps: Vec<Gap>,
}

impl Found {
    fn placed(&self, problem: Problem, field: &str, files: &Files) -> Problem {
        problem.of(&ObjectRef::of(&self.object)).placed(self.written.as_ref(), field, files)
    }
}

/// The source of a Kustomization's files.
enum TakenFrom {
    /// This folder of this repository.
    Here(PathBuf),
    /// This folder of another one, at a commit.
    Pinned(Pin, PathBuf),
    /// Another one, which cannot be looked at.
    Elsewhere,
    /// A source that nothing has declared so far.
    Undeclared,
}

type Built = Result<Arc<Vec<Document>>, (Problem, &'static str)>;

/// The walk, and all that it has seen.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a Files,
    /// Whether the person's own age keys decrypt.
    pub(super) own_keys: bool,
    pub(super) kustomize: &'a Kustomize,
    pub(super) builds: &'a Builds,
    /// The source of the root Kustomization.
    pub(super) source: &'a Object,
    /// Sources that something declares.
    pub(super) flux_sources: Vec<Object>,
    /// ArtifactGenerators, which cut sources into pieces.
    pub(super) generators: Vec<Object>,
    pub(super) sources: Sources,
    pub(super) kustomizations: Vec<Kustomization>,
    pub(super) problems: Vec<Problem>,
    /// The unverified downloads of kustomizations, and their locations.
    pub(super) unverified: BTreeMap<String, Option<Location>>,
    /// Fetches that are rejected because their address contains a secret.
    pub(super) refused: BTreeMap<ObjectRef, Failure>,
}

impl Walk<'_> {
    /// Walks from the root to the end. A Kustomization that draws from what another brings is read
    /// after that one.
    pub(super) async fn all(&mut self, sync: Found) {
        let mut seen = BTreeSet::from([ObjectRef::of(&sync.object)]);
        let mut waiting = vec![sync];
        while !waiting.is_empty() {
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

    /// Whether all that a Kustomization draws from is known; what is optional, only if `strict`.
    fn is_ready(&self, found: &Found, strict: bool) -> bool {
        let draws = variables::references(&found.object);
        let is_known = |id: &ObjectRef| {
            self.sources.get(&id.kind, id.namespace.as_deref().unwrap_or_default(), &id.name).is_some()
        };
        !matches!(self.taken_from(&found.object), TakenFrom::Undeclared)
            && draws.iter().all(|drawn| is_known(&drawn.id) || (drawn.optional && !strict))
    }

    fn taken_from(&self, object: &Object) -> TakenFrom {
        let reference = &object.data["spec"]["sourceRef"];
        let text = |field: &str| reference[field].as_str();
        let here = object.metadata.namespace.as_deref().unwrap_or_default();
        let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
        let namespace = text("namespace").unwrap_or(here);
        let path = path_of(object);
        match kind {
            "GitRepository" | "OCIRepository" | "Bucket" => self.within_source(kind, namespace, name, path),
            "ExternalArtifact" => match artifact::generator(&self.generators, namespace, name) {
                None => TakenFrom::Undeclared,
                Some(generator) => match artifact::origin(generator, name, &path) {
                    None => TakenFrom::Elsewhere,
                    Some(artifact::Origin { source, folder }) => {
                        let namespace = source.namespace.as_deref().unwrap_or_default();
                        self.within_source(&source.kind, namespace, &source.name, folder)
                    }
                },
            },
            _ => TakenFrom::Elsewhere,
        }
    }

    fn within_source(&self, kind: &str, namespace: &str, name: &str, folder: PathBuf) -> TakenFrom {
        let is_it = |source: &&Object| {
            let id = ObjectRef::of(source);
            id.kind == kind && id.name == name && id.namespace.as_deref() == Some(namespace)
        };
        match [self.source].into_iter().chain(&self.flux_sources).find(is_it) {
            Some(source) if is_same_content(source, self.source) => TakenFrom::Here(folder),
            Some(source) if self.refused.contains_key(&ObjectRef::of(source)) => TakenFrom::Elsewhere,
            Some(source) => {
                Pin::of(source).map_or(TakenFrom::Elsewhere, |pin| TakenFrom::Pinned(pin, folder))
            }
            None => TakenFrom::Undeclared,
        }
    }

    /// The build of a Kustomization; none if it is unavailable.
    async fn built(&self, found: &Found) -> Option<Built> {
        let folder = match self.taken_from(&found.object) {
            TakenFrom::Here(folder) => folder,
            TakenFrom::Pinned(pin, folder) if found.object.data["spec"]["decryption"].is_null() => {
                let recipe = Recipe::of(&found.object, folder);
                let built = self.builds.get_pinned(&recipe, &pin, self.kustomize).await;
                return Some(built.map_err(|problem| {
                    let is_path = problem.kind == ProblemKind::MissingPath;
                    (problem, if is_path { "spec.path" } else { "spec.sourceRef.name" })
                }));
            }
            _ => return None,
        };
        let recipe = Recipe::of(&found.object, folder);
        if !files::is_folder(self.root, &recipe.folder) {
            let id = ObjectRef::of(&found.object);
            let failure = Failure::input(format!("{id}: folder {} not found", recipe.folder.display()))
                .hint("correct spec.path, which is relative to the root of the repository");
            return Some(Err((Problem::new(ProblemKind::MissingPath, failure), "spec.path")));
        }
        let decryption =
            Decryption::of(&found.object, &self.sources, self.kustomize.environment(), self.own_keys);
        let Some(decryption) = decryption else {
            let built = self.builds.get(&recipe, self.root, self.kustomize).await;
            return Some(built.map_err(|problem| (problem, "spec.path")));
        };
        let sources = decryption.sources(&recipe.folder, &recipe.added()["components"], self.root).await;
        // Undecryptable files are built unchanged, and their objects remain unknown.
        let (plain, unseen) = sources.map_or_else(|why| (BTreeMap::new(), Some(why)), |plain| (plain, None));
        let built = if plain.is_empty() {
            self.builds.get(&recipe, self.root, self.kustomize).await
        } else {
            // Plaintext is in it: it is neither shared nor kept.
            let built = build::run_with(&recipe, self.root, self.kustomize, &plain).await;
            let encrypted = self.builds.get(&recipe, self.root, self.kustomize).await;
            built.map(|documents| Arc::new(compared(documents, encrypted.ok().as_deref())))
        };
        Some(match built {
            Ok(documents) => Ok(decryption.all(documents, unseen.as_ref()).await),
            Err(problem) => Err((problem, "spec.path")),
        })
    }

    fn note_unverified(&mut self, recipe: &Recipe) {
        self.unverified.extend(self.builds.unverified(recipe, self.kustomize));
    }

    /// Reads a build, and returns its Kustomizations.
    fn read(&mut self, found: &Found, built: Option<Built>) -> Vec<Found> {
        let id = ObjectRef::of(&found.object);
        let is_here = built.is_some();
        let taken_from = self.taken_from(&found.object);
        // Other controllers than Flux's own make artifacts too.
        let is_artifact = found.object.data["spec"]["sourceRef"]["kind"] == "ExternalArtifact";
        if matches!(taken_from, TakenFrom::Undeclared) && !is_artifact {
            self.problems.push(found.placed(
                missing_source(&found.object),
                "spec.sourceRef.name",
                self.files,
            ));
        }
        if let TakenFrom::Here(folder) = &taken_from {
            self.note_unverified(&Recipe::of(&found.object, folder.clone()));
        }
        let path = match taken_from {
            TakenFrom::Here(folder) | TakenFrom::Pinned(_, folder) => folder,
            TakenFrom::Elsewhere | TakenFrom::Undeclared => path_of(&found.object),
        };
        let documents = match built {
            None => Arc::default(),
            Some(Ok(documents)) => documents,
            Some(Err((problem, field))) => {
                self.problems.push(found.placed(problem, field, self.files));
                Arc::default()
            }
        };
        let Drawn { variables, draws_from, problems } =
            variables::draw(&found.object, &self.sources, &found.secret);
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
        for document in documents.iter() {
            let mut substituted = substituted(document, variables.as_ref(), &id, self.files);
            add_common_metadata(&mut substituted.object, &found.object.data["spec"]["commonMetadata"]);
            self.problems.extend(substituted.problems.into_iter().map(|problem| problem.of(&id)));
            used_variables.extend(substituted.used);
            let (object, shadows) = (&substituted.object, &substituted.shadows);
            if let Some(field) = shadows.address(object) {
                let failure = secret_in_address(object, field);
                self.refused.insert(ObjectRef::of(object), failure.clone());
                let problem = Problem::new(ProblemKind::SecretInAddress, failure);
                self.problems.push(problem.of(&id).placed(document.written().as_ref(), field, self.files));
            }
            let secret = shadows.keys(object, "data");
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
            if is(&substituted.object, "source.toolkit.fluxcd.io", None) {
                self.flux_sources.push(substituted.object.clone());
            }
            if is(&substituted.object, "source.extensions.fluxcd.io", Some("ArtifactGenerator")) {
                self.generators.push(substituted.object.clone());
            }
            if is(&substituted.object, "kustomize.toolkit.fluxcd.io", Some("Kustomization")) {
                brought.push(Found {
                    object: substituted.object.clone(),
                    written: document.written(),
                    by: Some(id.clone()),
                    secret: substituted.shadows.keys(&substituted.object, "spec.postBuild.substitute"),
                    gaps: gaps.clone(),
                });
            }
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
            draws_from,
            written: documents.iter().map(Document::written).collect(),
            objects,
            gaps: all_gaps,
            depends_on: depends_on(&found.object),
            is_here,
            path,
            brought_by: found.by.clone(),
            object: found.object.clone(),
            id,
        });
        brought
    }
}

/// Documents with decrypted content, each with its encrypted form.
fn compared(documents: Vec<Document>, encrypted: Option<&Vec<Document>>) -> Vec<Document> {
    let without = |document: &Document| {
        let id = ObjectRef::of(&document.object);
        encrypted.and_then(|all| all.iter().find(|other| ObjectRef::of(&other.object) == id))
    };
    let of = |document: Document| match without(&document) {
        Some(other) if other.text == document.text => document,
        Some(other) => {
            let encrypted = Some(Encrypted::Known(Box::new(other.clone())));
            Document { encrypted, ..document }
        }
        None => Document { encrypted: Some(Encrypted::Unknown), ..document },
    };
    documents.into_iter().map(of).collect()
}

/// Flux writes these over an object's own, after all else.
fn add_common_metadata(object: &mut Object, common: &Value) {
    let texts = |map: &Value| -> Vec<(String, String)> {
        let entries = map.as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    for (common, own) in [
        (&common["labels"], &mut object.metadata.labels),
        (&common["annotations"], &mut object.metadata.annotations),
    ] {
        let common = texts(common);
        if !common.is_empty() {
            own.get_or_insert_default().extend(common);
        }
    }
}

/// Whether an object has that group, and that kind if given.
pub(super) fn is(object: &Object, group: &str, kind: Option<&str>) -> bool {
    let id = ObjectRef::of(object);
    id.group() == group && kind.is_none_or(|kind| id.kind == kind)
}

/// Whether two sources have the same files: different names may refer to one repository.
fn is_same_content(one: &Object, other: &Object) -> bool {
    let (one_spec, other_spec) = (&one.data["spec"], &other.data["spec"]);
    let url = |spec: &Value| {
        let url = spec["url"].as_str()?.trim_end_matches('/');
        Some(url.strip_suffix(".git").unwrap_or(url).to_owned())
    };
    ObjectRef::of(one) == ObjectRef::of(other)
        || (ObjectRef::of(one).kind == ObjectRef::of(other).kind
            && url(one_spec).is_some()
            && url(one_spec) == url(other_spec)
            && one_spec["ref"] == other_spec["ref"])
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
