//! `bootstrapper sandbox …`.

use std::path::Path;

use super::args::{Output, SandboxArgs};
use super::out;
use super::session::open_repository;
use crate::failure::Result;
use crate::gitops::Repository;
use crate::report;
use crate::sandbox::{self, Sandbox, SandboxOptions};

pub(super) async fn up(cluster: &str, repo: Option<&Path>, args: &SandboxArgs) -> Result<()> {
    let repository = open_repository(repo)?;
    let sandbox = bring_up(cluster, &repository, args).await?;
    out::say(&format!("sandbox {} is up", sandbox.name));
    tell_stand_ins(&sandbox);
    out::say(&format!("  next:     bootstrapper {cluster} --sandbox"));
    out::text(&format!("export KUBECONFIG={}\n", sandbox.kubeconfig.display()))
}

/// Says what is real and what is not.
pub(super) fn tell_stand_ins(sandbox: &Sandbox) {
    for stand_in in &sandbox.stand_ins {
        out::say(&format!("  {stand_in}"));
    }
}

/// Finds the programs of sandboxes, or builds them; prints the folder of those that a run needs.
pub(super) async fn programs(args: &SandboxArgs) -> Result<()> {
    let folder = sandbox::programs(args.binaries.as_deref(), &|line: &str| out::say(line)).await?;
    out::text(&format!("{}\n", folder.display()))
}

/// Brings up the sandbox of a cluster, shaped by what the cluster declares.
pub(super) async fn bring_up(cluster: &str, repository: &Repository, args: &SandboxArgs) -> Result<Sandbox> {
    repository.require(cluster)?;
    let settings = repository.settings_of(cluster)?;
    let options = SandboxOptions {
        node_count: args.nodes,
        binaries: args.binaries.clone(),
        ..SandboxOptions::shaped_by(cluster, &settings, repository)?
    };
    sandbox::up(&options, &|line: &str| out::say(&format!("  sandbox: {line}"))).await
}

pub(super) async fn down(name: &str) -> Result<()> {
    sandbox::down(name).await?;
    out::say(&format!("sandbox {name} is gone"));
    Ok(())
}

pub(super) fn list(output: Output) -> Result<()> {
    let sandboxes = sandbox::list()?;
    match output {
        Output::Json => out::json(&sandboxes),
        Output::Text => out::text(&report::table(
            &["SANDBOX", "STATE", "KUBECONFIG"],
            sandboxes.iter().map(|listed| {
                vec![listed.name.clone(), listed.state.to_string(), listed.kubeconfig.display().to_string()]
            }),
        )),
    }
}

pub(super) fn kubeconfig(name: &str) -> Result<()> {
    let sandbox = sandbox::load(name)?;
    out::text(&format!("{}\n", sandbox.kubeconfig.display()))
}
