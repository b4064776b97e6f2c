//! `bootstrapper validate`: the task files and what every cluster declares, without a cluster.

use std::collections::BTreeMap;

use futures::future::join_all;
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
            let checks = clusters.iter().map(|cluster| check(&repository, cluster, &kustomize));
            for found in join_all(checks).await {
                findings.extend(found.unwrap_or_else(|failure| vec![failure]));
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

/// All that is wrong with a cluster; fails if it cannot be looked at.
async fn check(repository: &Repository, cluster: &str, kustomize: &Kustomize) -> Result<Vec<Failure>> {
    repository.require(cluster)?;
    let config = Config::load(&repository.root)?;
    let pipeline = Pipeline::of_repository(&repository.root)?;
    pipeline::select(&pipeline, &Selector::default())?;
    let declared = repository.load(cluster, kustomize, &names_of_secrets(&config, cluster)).await?;
    let mut failures: Vec<Failure> =
        declared.problems.iter().map(|problem| problem.failure.clone()).collect();
    // A step about something that is left out for its problem would only be told again.
    if failures.is_empty() {
        failures.extend(plan::check(&pipeline, &declared).err());
    }
    Ok(failures)
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
