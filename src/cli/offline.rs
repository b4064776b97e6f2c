//! `bootstrapper plan --offline`: what a run would do, according to the repository alone.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::fleet::declared;
use super::repository::open_repository;
use super::{consent, out, problems};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::one_line;
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::{self, Config, Scope, Tasks};
use bootstrapper_gitops::seeded_secrets;
use bootstrapper_gitops::trust::{self, Request};
use bootstrapper_report as report;
use bootstrapper_steps::plan::{OutlinedStep, outline};
use bootstrapper_tools::{Environment, Kustomize};

#[derive(Serialize)]
struct Offline {
    /// Always true: nothing was compared with a cluster.
    compared: bool,
    steps: Vec<OutlinedStep>,
    /// What a run would request from this machine.
    requests: Vec<Request>,
    /// Problems of what a run depends on.
    problems: Vec<Failure>,
    /// What is wrong elsewhere: Flux will report it.
    outside: Vec<Failure>,
}

pub(super) async fn show(args: &PlanArgs) -> Result<()> {
    let repository = open_repository(args.target.repo.as_deref())?;
    repository.require(&args.cluster)?;
    let config = Config::load(&repository.root)?;
    let kustomize = Kustomize::find(&Environment::default())?;
    let declared = declared(&repository, &config, &args.cluster, &kustomize).await?;
    let pipeline = Tasks::of_repository(&repository.root)?.pipeline(&declared, &config)?;
    let selected = pipeline::select(&pipeline, &args.selection.selector())?;
    let secrets = seeded_secrets(&repository.root, &config, &args.cluster)?;
    let scope = Scope::of(&pipeline, &selected, &declared, &repository.root);
    let (problems, outside) = problems::split(&declared, &scope);
    let offline = Offline {
        compared: false,
        steps: outline(&pipeline, &selected, &declared, &repository.root, &secrets),
        requests: trust::requests(&repository.root, &config, &pipeline, &declared)?,
        problems,
        outside,
    };
    match args.output.output {
        Output::Json => out::json(&offline),
        Output::Text => {
            out::text(&text(&args.cluster, &offline))?;
            let failures =
                offline.problems.iter().chain(offline.steps.iter().filter_map(|step| step.failure.as_ref()));
            failures.for_each(|failure| out::say(&report::failure_text(failure)));
            problems::warn(&args.cluster, &offline.outside);
            Ok(())
        }
    }
}

/// The maximum number of objects listed per step.
const NAMED: usize = 12;

fn text(cluster: &str, offline: &Offline) -> String {
    let mut text = format!("plan of {cluster}, not compared with a cluster\n");
    let mut last = "";
    for step in &offline.steps {
        let (stage, name) = step.step.split_once('/').unwrap_or((&step.step, ""));
        if stage != last {
            let _ = writeln!(text, "  {stage}");
            last = stage;
        }
        let state = match (&step.skipped, &step.failure) {
            (Some(reason), _) => format!("  (skipped: {reason})"),
            (None, Some(_)) => "  (cannot run, see below)".to_owned(),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "    {}{}", one_line(name), one_line(&state));
        if let Some(why) = &step.why {
            let _ = writeln!(text, "        why {}", one_line(why));
        }
        for one in step.about.iter().take(NAMED) {
            let _ = writeln!(text, "        {}", one_line(one));
        }
        if step.about.len() > NAMED {
            let _ = writeln!(text, "        and {} more", step.about.len() - NAMED);
        }
    }
    if !offline.requests.is_empty() {
        let _ = writeln!(text, "asks this machine for {}:", count(offline.requests.len(), "thing"));
        text.push_str(&consent::table(offline.requests.iter()));
    }
    let _ = writeln!(text, "{}.  Nothing was compared or written.", count(offline.steps.len(), "step"));
    text
}
