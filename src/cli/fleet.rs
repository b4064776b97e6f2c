//! Loads all inputs of a validation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::future::join_all;
use walkdir::WalkDir;

use super::consent;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_gitops::pipeline::{Config, Tasks};
use bootstrapper_gitops::trust::{self, RequestKind};
use bootstrapper_gitops::{Declared, Repository, SecretValue, SecretValues, SeededSecret, seeded_secrets};
use bootstrapper_steps::plan;
use bootstrapper_tools::{Environment, Kustomize};
use bootstrapper_validation::{Fleet, Refusal, SEEDED};

/// Loads these clusters. The fleet contains the errors of what cannot be loaded.
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
            // Without it no secret is known, and many would seem to be missing.
            refuse(&mut fleet, "config-invalid", None, failure);
            return Ok(fleet);
        }
    }
    let tasks = match Tasks::of_repository(&repository.root) {
        Ok(tasks) => Some(tasks),
        Err(failure) => {
            refuse(&mut fleet, "task-file-invalid", None, failure);
            None
        }
    };
    for name in &repository.clusters {
        if let Ok(settings) = repository.settings_of(name) {
            fleet.settings.insert(name.clone(), settings);
        }
    }
    let config = fleet.config.clone();
    let loaded = join_all(
        clusters
            .iter()
            .map(async |cluster| (cluster, declared(repository, &config, cluster, &kustomize).await)),
    );
    for (cluster, declared) in loaded.await {
        match declared {
            Ok(declared) => {
                add_pipeline(&mut fleet, repository, tasks.as_ref(), &config, &declared);
                fleet.clusters.push(declared);
            }
            Err(failure) => refuse(&mut fleet, "cluster-unreadable", Some(cluster), failure),
        }
    }
    fleet.files = texts(&repository.root, &fleet.clusters);
    Ok(fleet)
}

/// With unresolved problems, steps about skipped objects would only repeat them.
fn add_pipeline(
    fleet: &mut Fleet,
    repository: &Repository,
    tasks: Option<&Tasks>,
    config: &Config,
    declared: &Declared,
) {
    let Some(tasks) = tasks else { return };
    let cluster = &declared.cluster;
    match tasks.pipeline(declared, config) {
        Ok(pipeline) => {
            if declared.problems.is_empty() {
                for failure in plan::check(&pipeline, declared, &repository.root) {
                    refuse(fleet, "impossible-step", Some(cluster), failure);
                }
            }
            fleet.pipelines.insert(cluster.clone(), pipeline);
        }
        Err(failure) => refuse(fleet, "task-file-invalid", Some(cluster), failure),
    }
}

fn refuse(fleet: &mut Fleet, rule: &'static str, cluster: Option<&String>, failure: Failure) {
    fleet.refusals.push(Refusal { rule, cluster: cluster.cloned(), failure });
}

/// The maximum number of task files to read.
const FILES: usize = 10_000;

/// The texts of all files with declarations: rules read comments there.
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

/// A cluster's declaration, without reading secrets or asking. Encrypted files are decrypted if the user has
/// approved it before.
pub(super) async fn declared(
    repository: &Repository,
    config: &Config,
    cluster: &str,
    kustomize: &Kustomize,
) -> Result<Declared> {
    let names = names_of_secrets(&repository.root, config, cluster)?;
    let declared = repository.load(cluster, kustomize, &names).await?;
    if decrypts(repository, config, &declared) {
        return repository.with_own_keys().load(cluster, kustomize, &names).await;
    }
    Ok(declared)
}

fn decrypts(repository: &Repository, config: &Config, declared: &Declared) -> bool {
    let trust = std::env::var("BOOTSTRAPPER_TRUST").ok();
    let approvals = || {
        let pipeline = Tasks::of_repository(&repository.root)?.pipeline(declared, config)?;
        let list = trust::requests(&repository.root, config, &pipeline, declared)?;
        let approvals = consent::already_approved(&repository.root, &list, trust.as_deref())?;
        Ok::<_, Failure>(list.iter().any(|one| one.kind == RequestKind::Keys && approvals.allows(one)))
    };
    approvals().unwrap_or(false)
}

/// Without a cluster, secrets have names but no values.
pub(super) fn names_of_secrets(root: &Path, config: &Config, cluster: &str) -> Result<SecretValues> {
    let named = |secret: SeededSecret| {
        let values: BTreeMap<String, SecretValue> =
            secret.values.into_keys().map(|key| (key, SecretValue::from(SEEDED))).collect();
        ((secret.namespace, secret.name), values)
    };
    Ok(seeded_secrets(root, config, cluster)?.into_iter().map(named).collect())
}
