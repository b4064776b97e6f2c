//! What each kind of step needs to be planned.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Inputs;
use super::digest;
use crate::explain::Explainer;
use crate::flux_owner::FluxOwner;
use crate::named_objects::NamedObjects;
use crate::objects::ObjectSet;
use bootstrapper_cluster::FIELD_MANAGER;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_engine::{Step, Undo, Work};
use bootstrapper_gitops::pipeline::{ObjectsSpec, StepSpec, When};
use bootstrapper_gitops::trust;

/// The size limit of a manifest file.
const LARGEST_MANIFEST: u64 = 64 * 1024 * 1024;

/// A planned step, and its title.
pub(crate) struct Planned {
    pub(crate) title: String,
    pub(crate) work: Work,
    /// The digest of its desired state, if that is in the repository.
    pub(crate) digest: Option<String>,
}

impl Planned {
    pub(crate) fn step(title: impl Into<String>, step: impl Step + 'static) -> Self {
        Self { title: title.into(), work: Work::Step(Arc::new(step)), digest: None }
    }

    pub(crate) fn skipped(title: String, reason: String) -> Self {
        Self { title, work: Work::Skipped { reason }, digest: None }
    }

    pub(crate) fn impossible(title: String, failure: Failure, undo: Arc<dyn Undo>) -> Self {
        Self { title, work: Work::Impossible { failure, undo }, digest: None }
    }

    pub(crate) fn with_digest(self, digest: Option<String>) -> Self {
        Self { digest, ..self }
    }
}

/// Combines one step of the pipeline with the cluster's declaration.
pub(crate) struct Planner<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    /// The stage of the step.
    pub(crate) stage: &'a str,
    /// The step, as the task file declares it.
    pub(crate) spec: &'a StepSpec,
}

impl Planner<'_> {
    /// A step about something that the cluster does not declare.
    pub(crate) fn absent(&self, kind: &str, name: &str) -> Result<Planned> {
        let cluster = &self.inputs.declared.cluster;
        if self.spec.when == When::Declared {
            let reason = format!("{cluster} declares no {kind} {name}");
            return Ok(Planned::skipped(format!("{kind} {name}"), reason));
        }
        let failure = self.spec.refuse(format!("{cluster} declares no {kind} called `{name}`"));
        let failure = match self.inputs.declared.problems.as_slice() {
            [] => failure,
            [problem, ..] => {
                failure.because(format!("it may be hidden by a problem: {}", problem.failure.what))
            }
        };
        let folder = self.inputs.declared.folder.display();
        Err(failure.hint(format!("declare it under {folder}, or give the step `when: declared`")))
    }

    /// A step that cannot run because an input is missing. What an earlier run created for it can be removed.
    pub(crate) fn impossible(
        &self,
        title: String,
        failure: Failure,
        noun: &str,
        objects: Vec<Object>,
    ) -> Planned {
        let undo = Arc::new(NamedObjects {
            cluster: self.inputs.cluster.clone(),
            noun: noun.to_owned(),
            objects,
            manager: FIELD_MANAGER,
        });
        Planned::impossible(title, failure, undo)
    }

    pub(crate) fn objects(
        &self,
        noun: &str,
        objects: Vec<Complete<Object>>,
        owner: Option<ObjectRef>,
    ) -> ObjectSet {
        ObjectSet {
            cluster: self.inputs.cluster.clone(),
            noun: noun.to_owned(),
            objects,
            owner: owner.map(FluxOwner),
            manager: FIELD_MANAGER,
            readiness: Some(Arc::clone(&self.inputs.pipeline.readiness)),
            explainer: Explainer::default(),
        }
    }

    /// The objects of a file or folder in the repository, with settings substituted.
    pub(crate) fn objects_of(&self, spec: &ObjectsSpec) -> Result<Vec<Object>> {
        let cluster = &self.inputs.declared.cluster;
        let path = spec.path(cluster);
        let Some(built) = self.inputs.manifests.get(spec, cluster) else { return self.objects_in(&path) };
        let mut objects = Vec::new();
        for text in built.as_ref().map_err(Clone::clone)? {
            // A YAML error would repeat decrypted text.
            let read = bootstrapper_core::yaml::from_str(&self.substituted(text)?, &path);
            objects.push(read.map_err(|_| {
                Failure::input(format!("an object of {} is none once settings are in it", path.display()))
            })?);
        }
        Ok(objects)
    }

    fn objects_in(&self, path: &Path) -> Result<Vec<Object>> {
        let file = self.path(path)?;
        let text = String::from_utf8(trust::read_file(&file, LARGEST_MANIFEST)?)
            .map_err(|_| Failure::input(format!("{} is not UTF-8 text", path.display())))?;
        bootstrapper_core::yaml::from_multiple(&self.substituted(&text)?, path)
    }

    /// Resolves a path of a task file, which must be within the repository.
    pub(crate) fn path(&self, path: &Path) -> Result<PathBuf> {
        let root = &self.inputs.repository.root;
        let real = trust::resolve(root, path);
        if real.starts_with(root) {
            return Ok(real);
        }
        Err(Failure::input(format!("{} lies outside of the repository", path.display()))
            .because(format!("it leads to {}", real.display()))
            .hint("copy it into the repository: nothing outside of it is read"))
    }

    pub(crate) fn substituted(&self, text: &str) -> Result<String> {
        self.inputs.declared.substituted(text)
    }

    /// A failure about the step's subject, with the step's location in the task file.
    pub(crate) fn placed(&self, failure: Failure) -> Failure {
        self.spec.placed(failure)
    }

    /// The digest of objects in the repository.
    pub(crate) fn digest_of<'o>(&self, objects: impl IntoIterator<Item = &'o Object>) -> Option<String> {
        digest::of_objects(objects, &self.inputs.secrets.values)
    }

    /// The digest of a text that may contain secret values.
    pub(crate) fn digest_of_text(&self, text: String) -> String {
        digest::of_text(text, &self.inputs.secrets.values)
    }
}
