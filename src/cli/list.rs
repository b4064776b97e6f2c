//! `bootstrapper list`.

use serde::Serialize;

use super::args::{ListArgs, Output};
use super::out;
use super::repository::open_repository;
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_report as report;

#[derive(Serialize)]
struct Listed {
    name: String,
    context: String,
}

pub(super) fn list(args: &ListArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let config = Config::load(&repository.root)?;
    let listed: Vec<Listed> = repository
        .clusters
        .iter()
        .map(|name| Listed { name: name.clone(), context: config.context_of(name).to_owned() })
        .collect();
    match args.output.output {
        Output::Json => out::json(&listed),
        Output::Text => out::text(&report::table(
            &["CLUSTER", "CONTEXT"],
            listed.iter().map(|listed| vec![listed.name.clone(), listed.context.clone()]),
        )),
    }
}
