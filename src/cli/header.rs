//! The header of `plan` and `status`: which cluster, what Flux has applied, the last run, the expected time.

use super::past;
use super::session::Session;
use bootstrapper_cluster::{Entry, RunRecord};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_report::{Header, Total, duration};
use std::time::Duration;

/// The header, without an expected time. Reads only; what cannot be read is named as unknown.
pub(super) async fn header(session: &Session, history: &Result<Vec<Entry>, Failure>) -> Header {
    let access = session.cluster.access();
    let kubeconfig = access.kubeconfig.as_ref().map(|file| format!(" ({})", file.display()));
    let facts = vec![
        ("context", format!("{}{}", access.context, kubeconfig.unwrap_or_default())),
        ("Flux", flux(session).await),
        ("last run", last_run(history)),
    ];
    Header { title: session.headline(), facts }
}

/// The revision that Flux has applied.
async fn flux(session: &Session) -> String {
    let sync = ObjectRef::of(&session.declared.sync);
    match session.cluster.get(&sync).await {
        Ok(None) => format!("not yet ({sync} not found)"),
        Ok(Some(root)) => match root.data["status"]["lastAppliedRevision"].as_str() {
            Some(revision) => format!("applied {revision}"),
            None => format!("{sync} exists, and has applied nothing yet"),
        },
        Err(failure) => format!("unknown: {failure}"),
    }
}

fn last_run(history: &Result<Vec<Entry>, Failure>) -> String {
    match history {
        Ok(entries) => past::recorded(entries).next().map_or_else(|| "none recorded".to_owned(), run_text),
        Err(failure) => format!("unknown: {failure}"),
    }
}

fn run_text(run: &RunRecord) -> String {
    let started = run.started.strftime("%Y-%m-%d %H:%M:%SZ");
    let end = match &run.end {
        Some(end) => {
            let took = duration(Duration::try_from_secs_f64(end.seconds).unwrap_or_default());
            format!("{} after {took}, {} changed", end.outcome, count(end.changed, "object"))
        }
        None => "running or crashed".to_owned(),
    };
    format!("{started} by {}: {end}", run.by)
}

/// `about 1m54s`; how much of it is unknown.
pub(super) fn expected_text(total: Option<Total>) -> String {
    match total {
        None => "unknown (no earlier run of these steps)".to_owned(),
        Some(Total { duration: took, unknown: 0 }) => format!("about {}", duration(took)),
        Some(Total { duration: took, unknown }) => {
            format!("about {}, and {} that never ran here", duration(took), count(unknown, "step"))
        }
    }
}
