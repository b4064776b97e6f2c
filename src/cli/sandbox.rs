//! `bootstrapper sandbox …`.

use std::path::Path;

use super::args::{FaultName, Network, Output, RunArgs, SandboxArgs, SandboxFlag, SandboxVerb, ValidateArgs};
use super::network::router_of;
use super::out;
use super::rehearsal::Rehearsal;
use super::repository::open_repository;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::addresses::Settings;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_gitops::{Repository, SecretValues, ranges_of};
use bootstrapper_report as report;
use bootstrapper_sandbox::{self as sandbox, Fault, ProgramSources, Sandbox, SandboxOptions};
use bootstrapper_tools::{Environment, Kustomize};

/// Runs a subcommand of `sandbox`.
pub(super) async fn carry_out(verb: SandboxVerb) -> Result<()> {
    match verb {
        SandboxVerb::Up { cluster, repo, options } => up(&cluster, repo.as_deref(), &options).await,
        SandboxVerb::Down { name } => down(&name).await,
        SandboxVerb::Exec { name, machine, command } => exec(&name, &machine, &command),
        SandboxVerb::Fault { name, fault: kind, machine } => fault(&name, kind, machine.as_deref()).await,
        SandboxVerb::Heal { name } => heal(&name).await,
        SandboxVerb::Gc => gc().await,
        SandboxVerb::List { output } => list(output.output),
        SandboxVerb::Kubeconfig { name } => kubeconfig(&name),
        SandboxVerb::Programs { options, output } => programs(&options, output.output).await,
    }
}

async fn up(cluster: &str, repo: Option<&Path>, args: &SandboxArgs) -> Result<()> {
    let repository = open_repository(repo)?;
    let sandbox = bring_up(cluster, &repository, args, true).await?;
    out::say(&format!("sandbox {} is up", sandbox.name));
    print_stand_ins(&sandbox);
    out::say(&format!("  next:     bootstrapper {cluster} --sandbox"));
    out::text(&format!("export KUBECONFIG={}\n", sandbox.kubeconfig.display()))
}

/// Prints what is real and what is simulated.
fn print_stand_ins(sandbox: &Sandbox) {
    for stand_in in &sandbox.stand_ins {
        out::say(&format!("  {stand_in}"));
    }
}

impl From<Sandbox> for Rehearsal {
    fn from(sandbox: Sandbox) -> Self {
        Self {
            beyond_router: sandbox.entering("router").ok().map(Vec::from),
            kubeconfig: sandbox.kubeconfig,
            context: sandbox.context,
            environment: sandbox.environment,
        }
    }
}

/// The running sandbox of a cluster, if the command line asks for it.
pub(super) fn running(cluster: &str, flag: SandboxFlag) -> Result<Option<Rehearsal>> {
    flag.sandbox.then(|| sandbox::load(cluster).map(Into::into)).transpose()
}

/// The running sandbox of a cluster, if the command line asks for it. Its sources get the current content of
/// the repository, as if it had been pushed.
pub(super) async fn refreshed(
    cluster: &str,
    flag: SandboxFlag,
    repo: Option<&Path>,
) -> Result<Option<Rehearsal>> {
    let Some(rehearsal) = running(cluster, flag)? else { return Ok(None) };
    let repository = open_repository(repo)?;
    repository.require(cluster)?;
    let settings = repository.settings_of(cluster)?;
    let options = SandboxOptions::shaped_by(cluster, &settings, &repository)?;
    sandbox::refresh(&options).await?;
    Ok(Some(rehearsal))
}

/// Creates the sandbox for a run.
pub(super) async fn brought_up(cluster: &str, args: &RunArgs) -> Result<Option<Rehearsal>> {
    if !args.sandbox.sandbox {
        return Ok(None);
    }
    let repository = open_repository(args.target.repo.as_deref())?;
    let is_new = sandbox::load(cluster).is_err();
    let sandbox = bring_up(cluster, &repository, &args.sandbox.shape(&args.target), args.verbose).await?;
    if is_new && args.verbose {
        print_stand_ins(&sandbox);
    } else if is_new {
        let network = if sandbox.is_network_real() { "a real network" } else { "a simulated network" };
        out::say(&format!(
            "sandbox {cluster}: real control plane, Helm and Flux; {network}, most of the rest simulated (-v lists it)"
        ));
    }
    Ok(Some(sandbox.into()))
}

/// The environment for commands that validate clusters: with `--sandbox`, the mirror of a running one.
pub(super) fn environment_of(args: &ValidateArgs, clusters: &[String]) -> Result<Environment> {
    if !args.sandbox {
        return Ok(Environment::default());
    }
    let running = clusters.iter().find_map(|cluster| sandbox::load(cluster).ok());
    running.map(|sandbox| sandbox.environment).ok_or_else(|| {
        let failure = Failure::input("none of these clusters has a running sandbox");
        clusters.iter().take(1).fold(failure, |failure, cluster| {
            failure.hint(format!("create one: bootstrapper sandbox up {cluster}"))
        })
    })
}

/// Finds, downloads or builds the programs of sandboxes; prints the folder of those that a run needs, and where each
/// is from.
async fn programs(args: &SandboxArgs, output: Output) -> Result<()> {
    let is_network_real = match args.network {
        Network::Auto => sandbox::missing(args.router.into()).is_empty(),
        Network::Real => true,
        Network::Simulated => false,
    };
    let from = ProgramSources { binaries: args.binaries.as_deref(), from_source: args.from_source };
    let found = sandbox::programs(from, is_network_real, &|line: &str| out::say(line)).await?;
    if output == Output::Json {
        return out::json(&found);
    }
    let rows = found.programs.iter().map(|listed| {
        let source = listed.source.clone().unwrap_or_else(|| listed.path.display().to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            listed.program.clone(),
            text(&listed.version),
            listed.origin.to_string(),
            source,
            text(&listed.digest),
        ]
    });
    out::say(report::table(&["PROGRAM", "VERSION", "ORIGIN", "FROM", "DIGEST"], rows).trim_end());
    out::text(&format!("{}\n", found.folder.display()))
}

/// Creates the sandbox of a cluster, according to the cluster's declaration.
async fn bring_up(
    cluster: &str,
    repository: &Repository,
    args: &SandboxArgs,
    is_verbose: bool,
) -> Result<Sandbox> {
    repository.require(cluster)?;
    let mut settings = repository.settings_of(cluster)?;
    let router = match sandbox::load(cluster) {
        Ok(there) => {
            require_network(&there, args.network)?;
            None
        }
        Err(_) => {
            settings.extend(ranges(cluster, repository).await);
            router_of(cluster, repository, args).await?
        }
    };
    let options = SandboxOptions {
        node_count: args.nodes,
        binaries: args.binaries.clone(),
        distribution: Config::load(&repository.root)?.distribution_of(cluster),
        from_source: args.from_source,
        router,
        ..SandboxOptions::shaped_by(cluster, &settings, repository)?
    };
    let say = |line: &str| out::say(&format!("  sandbox: {line}"));
    let starts = |line: &str| {
        if is_verbose {
            say(line);
        }
    };
    sandbox::up(&options, &say, &starts).await
}

/// Address ranges that are not settings; none if the repository cannot be built on this machine yet.
async fn ranges(cluster: &str, repository: &Repository) -> Settings {
    let Ok(kustomize) = Kustomize::find(&Environment::default()) else { return Settings::new() };
    let declared = repository.load(cluster, &kustomize, &SecretValues::new()).await;
    declared.map(|declared| ranges_of(&declared)).unwrap_or_default()
}

/// A running sandbox is not changed, so it must match the options.
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
        .hint(format!("delete it first: bootstrapper sandbox down {}", there.name)))
}

/// Runs a program on a machine of a real network; replaces this process.
fn exec(name: &str, machine: &str, command: &[String]) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let entering = sandbox::load(name)?.entering(machine)?;
    let error = std::process::Command::new(&entering[0]).args(&entering[1..]).args(command).exec();
    Err(Failure::step(format!("cannot run the command on {machine}")).caused_by(&error))
}

/// Injects a fault.
async fn fault(name: &str, fault: FaultName, machine: Option<&str>) -> Result<()> {
    let fault = Fault::from(fault);
    let machine = sandbox::inject_fault(&sandbox::load(name)?, fault, machine).await?;
    out::say(&format!("{machine}: {fault} (undo with `bootstrapper sandbox heal {name}`)"));
    Ok(())
}

/// Reverts all faults.
async fn heal(name: &str) -> Result<()> {
    sandbox::heal(&sandbox::load(name)?).await?;
    out::say(&format!("sandbox {name}: all faults undone"));
    Ok(())
}

/// Cleans up after crashed supervisors.
async fn gc() -> Result<()> {
    let ended = sandbox::collect().await?;
    for folder in &ended {
        out::say(&format!("cleaned up {}", folder.display()));
    }
    if ended.is_empty() {
        out::say("nothing to clean up");
    }
    Ok(())
}

async fn down(name: &str) -> Result<()> {
    sandbox::down(name).await?;
    out::say(&format!("sandbox {name} deleted"));
    Ok(())
}

fn list(output: Output) -> Result<()> {
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

fn kubeconfig(name: &str) -> Result<()> {
    let sandbox = sandbox::load(name)?;
    out::text(&format!("{}\n", sandbox.kubeconfig.display()))
}
