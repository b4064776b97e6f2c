//! `bootstrapper history`: the runs of a cluster, with their outcome.

use super::args::{HistoryArgs, Output};
use super::out;
use super::session::connect_named;
use super::show;
use bootstrapper_core::failure::Result;

pub(super) async fn history(args: &HistoryArgs) -> Result<()> {
    let entries = connect_named(&args.cluster, &args.target, args.sandbox).await?.history().await?;
    match args.output.output {
        Output::Json => out::json(&entries),
        Output::Text => out::text(&show::history_text(&entries, args.steps)),
    }
}
