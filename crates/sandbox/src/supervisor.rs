//! The process that owns a sandbox: starts everything, and stops everything on a signal, or when a part of the
//! control plane exits.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::control_plane::ControlPlane;
use super::kubelet;
use super::network::Network;
use super::nodes::{self, KubeletApi};
use super::options::SandboxOptions;
use super::programs::Programs;
use super::site::{ReportedStatuses, Site};
use super::sources::Sources;
use super::state::{Folder, OPTIONS_FILE, PROGRAMS_FILE, READY, SANDBOX_FILE, Sandbox};
use super::upstream::{self, Upstream};
use bootstrapper_cluster::{Cluster, ConnectOptions};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::{Environment, Kustomize};

/// Runs the sandbox in `state_dir` until it receives a signal to stop.
pub(super) async fn serve(state_dir: &Path) -> Result<()> {
    let folder = Folder(state_dir.to_owned());
    // Files written by the programs of a sandbox are private, too.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let failed = |error: std::io::Error| Failure::step("cannot use the sandbox's folder").caused_by(&error);
    let lock = folder.lock_file().map_err(failed)?;
    lock.try_lock().map_err(|_| Failure::step("another supervisor runs this sandbox"))?;
    folder.write("supervisor.pid", &std::process::id())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;

    let options: SandboxOptions = folder.read(OPTIONS_FILE)?;
    let programs: Programs = folder.read(PROGRAMS_FILE)?;
    say("starting etcd, API server, controller-manager, scheduler");
    let certificates = Certificates::make(&folder, &options)?;
    let bin = programs.folder(&folder)?;
    let kustomize = Kustomize::find(&Environment { path: vec![bin.clone()], ..Environment::default() })?;
    let (upstream, control_plane) = tokio::join!(
        Upstream::start(&folder, &options.source, &programs.assets, &kustomize),
        ControlPlane::start(&folder, &options, &programs, &certificates),
    );
    let (upstream, mut control_plane) = (upstream?, control_plane?);
    let access = ConnectOptions {
        kubeconfig: Some(control_plane.own_kubeconfig.clone()),
        context: options.name.clone(),
    };
    let cluster = Cluster::connect(&access).await?;
    upstream::redirect(&cluster, &options.source, upstream.commits()).await?;
    say("API server ready; starting kwok and nodes");
    let environment = Environment {
        path: vec![bin],
        variables: upstream.environment(),
        commits: upstream.commits().clone(),
        ..Environment::default()
    };
    let network = match &options.router {
        Some(router) => {
            say("creating the network: links, router and nodes");
            let port = control_plane.port;
            Some(Arc::new(Network::build(&folder, &options, router, &programs, port).await?))
        }
        None => None,
    };
    let cancel = CancellationToken::new();
    let site = Arc::new(Site {
        cluster,
        server: control_plane.url.clone(),
        certificates,
        kubeconfig: control_plane.own_kubeconfig.clone(),
        folder: folder.clone(),
        programs,
        environment: environment.clone(),
        options: options.clone(),
        network,
        sources: Sources::start().await?,
        statuses: ReportedStatuses::default(),
    });
    let kubelet_api = KubeletApi::bind().await?;
    kubelet::create(&site, kubelet_api.port).await?;
    let running = tokio::spawn(nodes::run(Arc::clone(&site), kubelet_api, cancel.clone()));

    let stand_ins =
        nodes::stand_ins(site.network.is_some()).into_iter().chain(Upstream::stand_ins()).collect();
    folder.write(
        SANDBOX_FILE,
        &Sandbox {
            name: options.name.clone(),
            kubeconfig: control_plane.kubeconfig.clone(),
            context: options.name.clone(),
            environment,
            machines: site.network.as_ref().map(|network| network.machines()).unwrap_or_default(),
            stand_ins,
            audit_log: folder.path("logs/audit.log"),
        },
    )?;
    say(READY);
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        failure = control_plane.ended() => Err(failure),
    };
    cancel.cancel();
    let _ = running.await;
    control_plane.stop().await;
    drop(upstream);
    ended
}

/// Reports to its parent process, while that runs.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}
