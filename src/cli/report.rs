//! `bootstrapper report`: the timeline of the latest run.

use super::args::{ReportArgs, ReportOutput};
use super::out;
use super::runs::Store;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::JsonText;
use bootstrapper_core::private;
use bootstrapper_report::timeline::{Timeline, markdown, page};

pub(super) fn report(args: &ReportArgs) -> Result<()> {
    let store = Store::open()?;
    let runs = store.runs(args.cluster.as_deref())?;
    let Some(run) = runs.first() else { return Err(none(args.cluster.as_deref())) };
    let timeline = run.read()?;
    let Some(file) = &args.out else {
        match args.output {
            ReportOutput::Html => out::file(&page(&timeline))?,
            ReportOutput::Md => out::text(&markdown(&timeline))?,
            ReportOutput::Json => out::json(&timeline)?,
        }
        if args.output == ReportOutput::Md {
            out::say(&format!("the page of this run: {}", run.page().display()));
        }
        return Ok(());
    };
    private::replace(file, written(&timeline, args.output)?.as_bytes())
        .map_err(|error| Failure::step(format!("cannot write {}", file.display())).caused_by(&error))
}

fn written(timeline: &Timeline, output: ReportOutput) -> Result<String> {
    Ok(match output {
        ReportOutput::Html => page(timeline),
        ReportOutput::Md => bootstrapper_core::output::shown(&markdown(timeline)),
        ReportOutput::Json => {
            let text = serde_json::to_string_pretty(timeline)
                .map_err(|error| Failure::internal("cannot encode the output as JSON").caused_by(&error))?;
            format!("{}\n", JsonText::of(&text).as_str())
        }
    })
}

fn none(cluster: Option<&str>) -> Failure {
    let of = cluster.map(|cluster| format!(" of {cluster}")).unwrap_or_default();
    let failure = Failure::input(format!("no reports of runs{of} on this machine"));
    match cluster {
        Some(cluster) => {
            failure.hint(format!("`bootstrapper history {cluster}` lists runs from other machines, too"))
        }
        None => failure.hint("a run writes one: bootstrapper CLUSTER"),
    }
}
