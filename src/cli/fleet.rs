//! Loads all that a validation looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::future::join_all;
use secrecy::SecretString;
use walkdir::WalkDir;

use crate::failure::{Failure, Result};
use crate::files;
use crate::gitops::{Declared, Repository, SecretValues};
use crate::pipeline::{self, Config, Pipeline, Selector};
use crate::plan;
use crate::tools::{Environment, Kustomize};
use crate::validation::{Fleet, Refusal, SEEDED};

/// Loads these clusters. What cannot be loaded is said in the fleet.
pub(super) async fn load(
    repository: &Repository,
    clusters: &[String],
    environment: &Environment,
) -> Result<Fleet> {
    let kustomize = Kustomize::find(environment)?;
    let is_whole = clusters.len() == repository.clusters.len();
    let mut fleet = Fleet { is_whole, ..Fleet::default() };
    match Config::load(&repository.root) {
        Ok(config) => fleet.config = config,
        Err(failure) => {
            // Without it nothing is known of the secrets, and much would seem to be missing.
            refuse(&mut fleet, "config-invalid", None, failure);
            return Ok(fleet);
        }
    }
    match pipeline_of(&repository.root) {
        Ok(pipeline) => fleet.pipeline = Some(pipeline),
        Err(failure) => refuse(&mut fleet, "task-file-invalid", None, failure),
    }
    for name in &repository.clusters {
        if let Ok(settings) = repository.settings_of(name) {
            fleet.settings.insert(name.clone(), settings);
        }
    }
    let config = fleet.config.clone();
    let loaded = join_all(clusters.iter().map(async |cluster| {
        let secrets = names_of_secrets(&config, cluster);
        (cluster, repository.load(cluster, &kustomize, &secrets).await)
    }));
    for (cluster, declared) in loaded.await {
        match declared {
            Ok(declared) => {
                check_steps(&mut fleet, &declared);
                fleet.clusters.push(declared);
            }
            Err(failure) => refuse(&mut fleet, "cluster-unreadable", Some(cluster), failure),
        }
    }
    fleet.files = texts(&repository.root, &fleet.clusters);
    Ok(fleet)
}

fn pipeline_of(root: &Path) -> Result<Pipeline> {
    let pipeline = Pipeline::of_repository(root)?;
    pipeline::select(&pipeline, &Selector::default())?;
    Ok(pipeline)
}

/// A step about something that is left out for its problem would only be told again.
fn check_steps(fleet: &mut Fleet, declared: &Declared) {
    let Some(pipeline) = fleet.pipeline.as_ref().filter(|_| declared.problems.is_empty()) else { return };
    if let Err(failure) = plan::check(pipeline, declared) {
        refuse(fleet, "impossible-step", Some(&declared.cluster), failure);
    }
}

fn refuse(fleet: &mut Fleet, rule: &'static str, cluster: Option<&String>, failure: Failure) {
    fleet.refusals.push(Refusal { rule, cluster: cluster.cloned(), failure });
}

/// How many files of tasks are looked at.
const FILES: usize = 10_000;

/// The texts of the files in which something is declared: rules look there for comments.
fn texts(root: &Path, clusters: &[Declared]) -> BTreeMap<PathBuf, String> {
    let kustomizations = clusters.iter().flat_map(|declared| &declared.kustomizations);
    let objects =
        kustomizations.flat_map(|one| one.written.iter().flatten().map(|written| written.file.clone()));
    let tasks = WalkDir::new(root.join("tasks")).into_iter().filter_map(Result::ok).take(FILES);
    let tasks = tasks.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned()));
    let all: BTreeSet<PathBuf> = objects.chain(tasks).chain([PathBuf::from("bootstrapper.yaml")]).collect();
    let texts = all.into_iter().filter_map(|file| {
        let text = files::read_text(root, &file).ok()?;
        Some((file, text))
    });
    texts.collect()
}

/// Without a cluster the secrets' values are unknown, their names are not.
pub(super) fn names_of_secrets(config: &Config, cluster: &str) -> SecretValues {
    config
        .secrets_of(cluster)
        .iter()
        .map(|spec| {
            let values: BTreeMap<String, SecretString> =
                spec.data.keys().map(|key| (key.clone(), SecretString::from(SEEDED))).collect();
            ((spec.namespace.clone(), spec.name.clone()), values)
        })
        .collect()
}
