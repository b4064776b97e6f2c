//! `bootstrapper sandbox …`.

use std::path::Path;

use super::args::{FaultName, Network, Output, SandboxArgs};
use super::network::router_of;
use super::out;
use super::session::open_repository;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_report as report;
use bootstrapper_sandbox::{self as sandbox, Fault, Sandbox, SandboxOptions};

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
    let is_network_real = match args.network {
        Network::Auto => sandbox::missing(args.router.into()).is_empty(),
        Network::Real => true,
        Network::Simulated => false,
    };
    let binaries = args.binaries.as_deref();
    let folder = sandbox::programs(binaries, is_network_real, &|line: &str| out::say(line)).await?;
    out::text(&format!("{}\n", folder.display()))
}

/// Brings up the sandbox of a cluster, shaped by what the cluster declares.
pub(super) async fn bring_up(cluster: &str, repository: &Repository, args: &SandboxArgs) -> Result<Sandbox> {
    repository.require(cluster)?;
    let settings = repository.settings_of(cluster)?;
    let router = match sandbox::load(cluster) {
        Ok(there) => {
            require_network(&there, args.network)?;
            None
        }
        Err(_) => router_of(cluster, repository, args).await?,
    };
    let options = SandboxOptions {
        node_count: args.nodes,
        binaries: args.binaries.clone(),
        router,
        ..SandboxOptions::shaped_by(cluster, &settings, repository)?
    };
    sandbox::up(&options, &|line: &str| out::say(&format!("  sandbox: {line}"))).await
}

/// What is up stays as it is: it must not be taken for what was asked for.
fn require_network(there: &Sandbox, wanted: Network) -> Result<()> {
    let wants_real = match wanted {
        Network::Auto => return Ok(()),
        Network::Real => true,
        Network::Simulated => false,
    };
    if there.is_network_real() == wants_real {
        return Ok(());
    }
    let has = if there.is_network_real() { "a real" } else { "a simulated" };
    Err(Failure::input(format!("sandbox {} is up with {has} network", there.name))
        .hint(format!("take it down first: bootstrapper sandbox down {}", there.name)))
}

/// Runs a program on a machine of a real network; becomes that program.
pub(super) fn exec(name: &str, machine: &str, command: &[String]) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let entering = sandbox::load(name)?.entering(machine)?;
    let error = std::process::Command::new(&entering[0]).args(&entering[1..]).args(command).exec();
    Err(Failure::step(format!("nothing can be run on {machine}")).caused_by(&error))
}

/// Breaks something.
pub(super) async fn fault(name: &str, fault: FaultName, machine: Option<&str>) -> Result<()> {
    let fault = Fault::from(fault);
    let machine = sandbox::break_it(&sandbox::load(name)?, fault, machine).await?;
    out::say(&format!("{machine}: {fault}; `bootstrapper sandbox heal {name}` undoes it"));
    Ok(())
}

/// Undoes all faults.
pub(super) async fn heal(name: &str) -> Result<()> {
    sandbox::heal(&sandbox::load(name)?).await?;
    out::say(&format!("sandbox {name} has no faults"));
    Ok(())
}

/// Ends what killed supervisors have left.
pub(super) async fn gc() -> Result<()> {
    let ended = sandbox::collect().await?;
    for folder in &ended {
        out::say(&format!("ended what was left of {}", folder.display()));
    }
    if ended.is_empty() {
        out::say("nothing was left");
    }
    Ok(())
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
