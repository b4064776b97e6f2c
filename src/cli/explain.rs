//! `bootstrapper explain`: explains a failure code.

use std::path::Path;

use super::args::{ExplainArgs, Output};
use super::out;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_diagnosis::{self as diagnosis, Code};
use bootstrapper_report as report;

pub(super) fn explain(args: &ExplainArgs) -> Result<()> {
    if let Some(folder) = &args.write {
        return write(folder);
    }
    match &args.code {
        Some(name) => one(name, args.output.output),
        None => all(args.output.output),
    }
}

fn one(name: &str, output: Output) -> Result<()> {
    let code = diagnosis::code_named(name).ok_or_else(|| {
        Failure::input(format!("unknown failure code `{name}`")).hint("`bootstrapper explain` lists them")
    })?;
    let Code { code: number, title, why, tell, fix } = code;
    match output {
        Output::Json => out::json(code),
        Output::Text => {
            out::text(&format!("{number}  {title}\n  why    {why}\n  check  {tell}\n  fix    {fix}\n"))
        }
    }
}

fn all(output: Output) -> Result<()> {
    let codes = diagnosis::catalogue().map(|(_, code)| code);
    match output {
        Output::Json => out::json(&codes.collect::<Vec<_>>()),
        Output::Text => out::text(&report::table(
            &["CODE", "FAILURE"],
            codes.map(|code| vec![code.code.to_owned(), code.title.to_owned()]),
        )),
    }
}

/// Writes the documentation pages.
fn write(folder: &Path) -> Result<()> {
    let failed =
        |error: std::io::Error| Failure::step(format!("cannot write {}", folder.display())).caused_by(&error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    for page in diagnosis::pages() {
        std::fs::write(folder.join(page.name), page.text).map_err(failed)?;
    }
    Ok(())
}
