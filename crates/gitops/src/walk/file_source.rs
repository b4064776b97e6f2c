//! The origin of a Kustomization's files.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use serde_json::Value;

use super::super::artifact::{self, View};
use super::super::ignore::Ignore;
use super::super::pin::Pin;
use super::super::recipe::path_of;
use super::Walk;
use bootstrapper_core::object::{Object, ObjectRef};

/// The origin of a Kustomization's files.
pub(super) enum FileSource {
    /// This folder of this repository, without excluded files.
    Here(PathBuf, Arc<Ignore>),
    /// An artifact of files in this repository, a folder in it, and the origin of that folder in this
    /// repository.
    Artifact(ObjectRef, PathBuf, PathBuf),
    /// This folder of another repository, at a pinned commit.
    Pinned(Pin, PathBuf),
    /// Another repository, which cannot be read.
    Elsewhere,
    /// A source that is not declared so far.
    Undeclared,
}

impl Walk<'_> {
    pub(super) fn file_source(&self, object: &Object) -> FileSource {
        let reference = &object.data["spec"]["sourceRef"];
        let text = |field: &str| reference[field].as_str();
        let here = object.metadata.namespace.as_deref().unwrap_or_default();
        let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
        let namespace = text("namespace").unwrap_or(here);
        let path = path_of(object);
        match kind {
            "GitRepository" | "OCIRepository" | "Bucket" => self.within_source(kind, namespace, name, path),
            "ExternalArtifact" => match artifact::generator(&self.generators, namespace, name) {
                None => FileSource::Undeclared,
                Some(generator) => self.within_artifact(generator, namespace, name, path),
            },
            _ => FileSource::Elsewhere,
        }
    }

    fn within_artifact(&self, generator: &Object, namespace: &str, name: &str, path: PathBuf) -> FileSource {
        let within = |artifact::Origin { source, folder }: artifact::Origin| {
            let namespace = source.namespace.as_deref().unwrap_or_default();
            self.within_source(&source.kind, namespace, &source.name, folder)
        };
        if let Some(whole) = artifact::origin(generator, name, &path) {
            return within(whole);
        }
        let of_here = |source: &ObjectRef| {
            let namespace = source.namespace.as_deref().unwrap_or_default();
            self.within_source(&source.kind, namespace, &source.name, PathBuf::new())
        };
        let sources = artifact::sources(generator, name);
        let sources: Option<Vec<FileSource>> = sources.map(|all| all.iter().map(of_here).collect());
        match sources {
            Some(all) if all.iter().any(|one| matches!(one, FileSource::Undeclared)) => {
                FileSource::Undeclared
            }
            Some(all) if !all.is_empty() && all.iter().all(|one| matches!(one, FileSource::Here(..))) => {
                let id =
                    ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", "ExternalArtifact", namespace, name);
                let origin = artifact::likely_origin(generator, name, &path);
                let was = origin.map_or_else(|| path.clone(), |origin| self.base.join(origin.folder));
                FileSource::Artifact(id, path, was)
            }
            _ => artifact::likely_origin(generator, name, &path).map_or(FileSource::Elsewhere, within),
        }
    }

    /// The files of an artifact: copied once.
    pub(super) fn view(&self, id: &ObjectRef) -> Result<Arc<View>, String> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let namespace = id.namespace.as_deref().unwrap_or_default();
            let generator = artifact::generator(&self.generators, namespace, &id.name);
            let generator = generator.ok_or_else(|| "no ArtifactGenerator produces it".to_owned())?;
            let first = artifact::sources(generator, &id.name).and_then(|all| all.into_iter().next());
            let ignore =
                first.and_then(|source| self.flux_source(&source)).map(|source| self.ignore_of(source));
            let ignore = ignore.unwrap_or_else(|| Arc::new(self.ignore.clone()));
            artifact::view(generator, &id.name, self.root, self.base, &ignore).map(Arc::new)
        };
        views.entry(id.clone()).or_insert_with(make).clone()
    }

    fn flux_source(&self, wanted: &ObjectRef) -> Option<&Object> {
        let is_it = |source: &&Object| {
            let id = ObjectRef::of(source);
            id.kind == wanted.kind && id.name == wanted.name && id.namespace == wanted.namespace
        };
        [self.source].into_iter().chain(&self.flux_sources).find(is_it)
    }

    fn ignore_of(&self, source: &Object) -> Arc<Ignore> {
        Arc::new(self.ignore.of_source(source.data["spec"]["ignore"].as_str()))
    }

    fn within_source(&self, kind: &str, namespace: &str, name: &str, folder: PathBuf) -> FileSource {
        let wanted = ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", kind, namespace, name);
        match self.flux_source(&wanted) {
            Some(source) if is_same_content(source, self.source) => {
                FileSource::Here(self.base.join(folder), self.ignore_of(source))
            }
            Some(source) if self.refused.contains_key(&ObjectRef::of(source)) => FileSource::Elsewhere,
            Some(source) => {
                Pin::of(source).map_or(FileSource::Elsewhere, |pin| FileSource::Pinned(pin, folder))
            }
            None => FileSource::Undeclared,
        }
    }
}

/// Whether two sources have the same content: they may have different names for one repository.
fn is_same_content(one: &Object, other: &Object) -> bool {
    let (one_spec, other_spec) = (&one.data["spec"], &other.data["spec"]);
    let url = |spec: &Value| {
        let url = spec["url"].as_str().or(spec["endpoint"].as_str())?.trim_end_matches('/');
        Some((url.strip_suffix(".git").unwrap_or(url).to_owned(), spec["bucketName"].clone()))
    };
    ObjectRef::of(one) == ObjectRef::of(other)
        || (ObjectRef::of(one).kind == ObjectRef::of(other).kind
            && url(one_spec).is_some()
            && url(one_spec) == url(other_spec)
            && one_spec["ref"] == other_spec["ref"])
}
