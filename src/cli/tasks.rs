//! `bootstrapper tasks`: the pipeline that would run, as a task file.

use super::args::TasksArgs;
use super::fleet::declared;
use super::out;
use super::repository::open_repository;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::{Config, Tasks};
use bootstrapper_tools::{Environment, Kustomize};

pub(super) async fn tasks(args: &TasksArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let cluster = match &args.cluster {
        Some(cluster) => cluster.as_str(),
        None => only(&repository)?,
    };
    repository.require(cluster)?;
    let config = Config::load(&repository.root)?;
    let kustomize = Kustomize::find(&Environment::default())?;
    let declared = declared(&repository, &config, cluster, &kustomize).await?;
    out::text(&Tasks::of_repository(&repository.root)?.print(&declared, &config)?)
}

fn only(repository: &Repository) -> Result<&str> {
    match repository.clusters.as_slice() {
        [only] => Ok(only),
        several => Err(Failure::new(
            bootstrapper_core::failure::FailureKind::Input,
            format!("name one of the clusters: {}", several.join(", ")),
        )),
    }
}
