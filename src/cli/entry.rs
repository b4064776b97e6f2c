//! From arguments to an exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use super::args::{Args, ConvertVerb, SandboxVerb, Verb};
use super::{
    cancel, clean, completions, convert, doctor, explain, graph, handover, history, list, new_cluster, out,
    plan, run, sandbox, schema, status, trust, usage, validate, verify,
};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::masking;
use bootstrapper_core::output;
use bootstrapper_core::private;
use bootstrapper_report as report;
use bootstrapper_tools as tools;

/// Of each thread, in bytes: readers of YAML and JSON go down as deep as what they read.
const STACK: usize = 8 * 1024 * 1024;

/// How long a stopped run's children may take to end.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Parses the command line, does what it says, and tells a failure. Exit codes are documented in
/// `docs/exit-codes.md`.
pub fn main() -> ExitCode {
    private::restrict();
    output::report_panics();
    masking::mark_environment();
    let code = match Args::try_parse_from(words()) {
        Ok(args) => carry_out(args),
        Err(error) => usage::tell(&error),
    };
    // The verb succeeded, but its output was lost.
    if output::was_lost() && code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
}

fn carry_out(args: Args) -> ExitCode {
    let filter = EnvFilter::try_from_env("BOOTSTRAPPER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    // Colours in it would be taken for others' escape sequences.
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(output::log).init();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK);
    if matches!(args.verb, Some(Verb::Guard { .. } | Verb::PostRender { .. })) {
        // Stacks count as memory, of which these may take only so much.
        builder.worker_threads(2);
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return tell(&Failure::internal("the asynchronous runtime cannot start").caused_by(&error));
        }
    };
    if let Ok(this) = std::env::current_exe() {
        tools::guard_programs_with(this);
    }
    let result = runtime.block_on(async {
        if handles_signals(&args) {
            return dispatch(args).await;
        }
        let stop = cancel::stop_on_signals();
        tokio::select! {
            result = dispatch(args) => result,
            () = stop.wait() => Ok(ExitCode::from(FailureKind::Cancelled.exit_code())),
        }
    });
    runtime.shutdown_timeout(LAST_MOMENT);
    private::remove_all();
    match result {
        Ok(code) => code,
        Err(failure) => tell(&failure),
    }
}

/// Whether a verb ends by itself when it is asked to, or keeps nothing.
fn handles_signals(args: &Args) -> bool {
    let verb = args.verb.as_ref();
    verb.is_some_and(|verb| {
        matches!(
            verb,
            Verb::Guard { .. }
                | Verb::Netexec { .. }
                | Verb::Wget { .. }
                | Verb::PostRender { .. }
                | Verb::Sandbox(SandboxVerb::Serve { .. })
        )
    })
}

/// The command line. By the name of `wget` this program is that verb of its own.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.first().is_some_and(|name| Path::new(name).ends_with(WGET)) {
        words.insert(1, WGET.into());
    }
    words
}

const WGET: &str = "wget";

fn tell(failure: &Failure) -> ExitCode {
    output::err(&report::failure_text(failure));
    ExitCode::from(failure.kind.exit_code())
}

async fn dispatch(args: Args) -> Result<ExitCode> {
    let done = match args.verb {
        Some(Verb::Guard { parent, revision, private: folders, limits, command }) => {
            let guarded = tools::Guarded { parent, revision, limits, folders, command };
            return tools::guard(guarded).await;
        }
        None => run::run(&args.run).await,
        Some(Verb::Plan(args)) => plan::plan(&args).await,
        Some(Verb::Status(args)) => status::status(&args).await,
        Some(Verb::Handover(args)) => handover::handover(&args).await,
        Some(Verb::History(args)) => history::history(&args).await,
        Some(Verb::Clean(args)) => clean::clean(&args).await,
        Some(Verb::List(args)) => list::list(&args),
        Some(Verb::Trust(args)) => trust::trust(&args).await,
        Some(Verb::Validate(args)) => validate::validate(&args).await,
        Some(Verb::Graph(args)) => graph::graph(&args).await,
        Some(Verb::NewCluster(args)) => new_cluster::new_cluster(&args),
        Some(Verb::Convert(ConvertVerb::Bgp(args))) => convert::bgp(&args),
        Some(Verb::Verify(args)) => verify::verify(&args).await,
        Some(Verb::Netexec { http_port, udp_port }) => bootstrapper_sandbox::echo(http_port, udp_port).await,
        Some(Verb::Wget { timeout, url, output, .. }) => {
            let page = bootstrapper_sandbox::fetch(&url, Duration::from_secs(timeout)).await?;
            if output.as_os_str() == "-" { out::protocol(&page) } else { Ok(()) }
        }
        Some(Verb::PostRender { job }) => out::protocol(&tools::post_render(&job).await?),
        Some(Verb::Doctor(args)) => doctor::doctor(&args).await,
        Some(Verb::Explain(args)) => explain::explain(&args),
        Some(Verb::Sandbox(verb)) => sandbox_verb(verb).await,
        Some(Verb::Schema(args)) => schema::schema(&args),
        Some(Verb::Completions { shell }) => completions::completions(shell),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn sandbox_verb(verb: SandboxVerb) -> Result<()> {
    match verb {
        SandboxVerb::Up { cluster, repo, options } => sandbox::up(&cluster, repo.as_deref(), &options).await,
        SandboxVerb::Down { name } => sandbox::down(&name).await,
        SandboxVerb::Exec { name, machine, command } => sandbox::exec(&name, &machine, &command),
        SandboxVerb::Fault { name, fault, machine } => sandbox::fault(&name, fault, machine.as_deref()).await,
        SandboxVerb::Heal { name } => sandbox::heal(&name).await,
        SandboxVerb::Gc => sandbox::gc().await,
        SandboxVerb::List { output } => sandbox::list(output.output),
        SandboxVerb::Kubeconfig { name } => sandbox::kubeconfig(&name),
        SandboxVerb::Programs { options } => sandbox::programs(&options).await,
        SandboxVerb::Serve { state_dir } => bootstrapper_sandbox::serve(&state_dir).await,
        SandboxVerb::Vault { state_dir, words } => {
            out::protocol(&bootstrapper_sandbox::answer_as_vault(&state_dir, &words)?)
        }
    }
}
