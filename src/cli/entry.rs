//! From arguments to an exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use super::args::{Args, ConvertVerb, Verb};
use super::{
    cancel, clean, completions, convert, doctor, explain, graph, handover, history, init, list, new_cluster,
    out, plan, reconcile, report, run, schema, status, tasks, trust, usage, validate, verify,
};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::masking;
use bootstrapper_core::output;
use bootstrapper_core::private;
use bootstrapper_report::failure_text;
use bootstrapper_tools as tools;

/// The stack size of each thread, in bytes: YAML and JSON parsers are recursive.
const STACK: usize = 8 * 1024 * 1024;

/// How long the child processes of an interrupted run may take to exit.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Parses the command line, runs the command, and prints a failure. Exit codes are documented in
/// `docs/exit-codes.md`.
pub fn main() -> ExitCode {
    // A sandbox starts this executable under other names.
    #[cfg(feature = "sandbox")]
    if bootstrapper_sandbox::is_called_by_name() {
        return bootstrapper_sandbox::main();
    }
    private::restrict();
    output::report_panics();
    masking::mark_environment();
    let code = match Args::try_parse() {
        Ok(args) => carry_out(args),
        Err(error) => usage::print(&error),
    };
    // The command succeeded, but its output was lost.
    if output::write_failed() && code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
}

fn carry_out(args: Args) -> ExitCode {
    let filter = EnvFilter::try_from_env("BOOTSTRAPPER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    // No colours: they would be treated as foreign escape sequences.
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(output::log).init();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK);
    if matches!(args.verb, Some(Verb::Guard { .. } | Verb::PostRender { .. })) {
        // Stacks count as memory, which is limited.
        builder.worker_threads(2);
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report_failure(
                &Failure::internal("cannot start the asynchronous runtime").caused_by(&error),
            );
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
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    private::remove_all();
    match result {
        Ok(code) => code,
        Err(failure) => report_failure(&failure),
    }
}

/// Whether a command handles signals itself, or has no temporary files.
fn handles_signals(args: &Args) -> bool {
    matches!(args.verb, Some(Verb::Guard { .. } | Verb::PostRender { .. }))
}

fn report_failure(failure: &Failure) -> ExitCode {
    output::err(&failure_text(failure));
    ExitCode::from(failure.kind.exit_code())
}

async fn dispatch(args: Args) -> Result<ExitCode> {
    let done = match args.verb {
        Some(Verb::Guard { parent, revision, private: folders, limits, command }) => {
            let guarded = tools::Guarded { parent, revision, limits, folders, command };
            return tools::guard(guarded).await;
        }
        None => run::run(&args.run).await,
        Some(Verb::Plan(args)) => return plan::plan(&args).await,
        Some(Verb::Status(args)) => status::status(&args).await,
        Some(Verb::Handover(args)) => handover::handover(&args).await,
        Some(Verb::Reconcile(args)) => reconcile::reconcile(&args).await,
        Some(Verb::History(args)) => history::history(&args).await,
        Some(Verb::Report(args)) => report::report(&args),
        Some(Verb::Clean(args)) => clean::clean(&args).await,
        Some(Verb::Init(args)) => init::init(&args).await,
        Some(Verb::List(args)) => list::list(&args),
        Some(Verb::Tasks(args)) => tasks::tasks(&args).await,
        Some(Verb::Trust(args)) => trust::trust(&args).await,
        Some(Verb::Validate(args)) => validate::validate(&args).await,
        Some(Verb::Graph(args)) => graph::graph(&args).await,
        Some(Verb::NewCluster(args)) => new_cluster::new_cluster(&args),
        Some(Verb::Convert(ConvertVerb::Bgp(args))) => convert::bgp(&args),
        Some(Verb::Verify(args)) => verify::verify(&args).await,
        Some(Verb::PostRender { job }) => out::protocol(&tools::post_render(&job).await?),
        Some(Verb::Doctor(args)) => doctor::doctor(&args).await,
        Some(Verb::Explain(args)) => explain::explain(&args),
        #[cfg(feature = "sandbox")]
        Some(Verb::Sandbox(verb)) => super::sandbox::carry_out(verb).await,
        Some(Verb::Schema(args)) => schema::schema(&args),
        Some(Verb::Completions { shell }) => completions::completions(shell),
    };
    done.map(|()| ExitCode::SUCCESS)
}
