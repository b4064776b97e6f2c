//! `bootstrapper validate`: the task files and what every cluster declares, without a cluster.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Serialize;

use super::args::{Output, ValidateArgs};
use super::out;
use super::session::open_repository;
use crate::failure::{Failure, Result};
use crate::gitops::{Repository, SecretValues};
use crate::pipeline::{self, Config, Pipeline, Selector};
use crate::plan;
use crate::report;
use crate::tools::{Environment, Kustomize};

#[derive(Serialize)]
struct Findings {
    clusters: Vec<String>,
    findings: Vec<Failure>,
}

pub(super) async fn validate(args: &ValidateArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let clusters = if args.clusters.is_empty() { repository.clusters.clone() } else { args.clusters.clone() };
    let mut findings = Vec::new();
    match Kustomize::find(&Environment::default()) {
        Ok(kustomize) => {
            for cluster in &clusters {
                findings.extend(check(&repository, cluster, &kustomize).await.err());
            }
        }
        Err(failure) => findings.push(failure),
    }
    let count = findings.len();
    match args.output.output {
        Output::Json => out::json(&Findings { clusters, findings })?,
        Output::Text => {
            for finding in &findings {
                out::text(&report::failure_text(finding))?;
            }
            if count == 0 {
                out::text(&format!("{}: valid\n", clusters.join(", ")))?;
            }
        }
    }
    if count == 0 { Ok(()) } else { Err(Failure::input(format!("{count} problems found"))) }
}

async fn check(repository: &Repository, cluster: &str, kustomize: &Kustomize) -> Result<()> {
    repository.require(cluster)?;
    let config = Config::load(&repository.root)?;
    let pipeline = Pipeline::of_repository(&repository.root)?;
    pipeline::select(&pipeline, &Selector::default())?;
    let declared = repository.load(cluster, kustomize, &names_of_secrets(&config, cluster)).await?;
    plan::check(&pipeline, &declared)
}

/// Without a cluster the secrets' values are unknown, their names are not.
pub(super) fn names_of_secrets(config: &Config, cluster: &str) -> SecretValues {
    config
        .secrets_of(cluster)
        .iter()
        .map(|spec| {
            let values: BTreeMap<String, SecretString> =
                spec.data.keys().map(|key| (key.clone(), SecretString::from("unknown"))).collect();
            ((spec.namespace.clone(), spec.name.clone()), values)
        })
        .collect()
}
