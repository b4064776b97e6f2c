//! `bootstrapper init`: prepares a repository for its first run.

mod files;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;

use super::args::InitArgs;
use super::out;
use super::repository::open_repository;
use bootstrapper_cluster::contexts;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files::read_text;
use bootstrapper_core::output::one_line;
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::{Applies, Config, Pipeline, Tasks};
use bootstrapper_gitops::{Declared, SecretValues};
use bootstrapper_tools::{Environment, Kustomize};
use bootstrapper_validation::init::{
    ClusterProposal, Context, Cover, KnownFile, ProbableSource, Row, commands, config_text, context_of,
    needed_secrets, probable_source, rows,
};

const CONFIG: &str = "bootstrapper.yaml";

pub(super) async fn init(args: &InitArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let kustomize = Kustomize::find(&Environment::default())?;
    let contexts = contexts(args.kubeconfig.clone()).await;
    let files = files::of(&repository.root);
    let mut clusters = Vec::new();
    for name in &repository.clusters {
        clusters.push(repository.load(name, &kustomize, &SecretValues::new()).await?);
    }
    let asks = std::io::stdin().is_terminal() && !args.yes && !args.dry_run;
    let tasks = Tasks::of_repository(&repository.root)?;
    // Whatever may be wrong is found before anything is asked or written.
    let of_cluster = |declared: &Declared| tasks.pipeline(declared, &Config::default());
    let pipelines = clusters.iter().map(of_cluster).collect::<Result<Vec<_>>>()?;
    let first = clusters.first().zip(pipelines.first());
    let table = first.map(|(declared, pipeline)| table(declared, pipeline, &files)).unwrap_or_default();
    let proposals: Vec<ClusterProposal> = clusters
        .iter()
        .zip(&pipelines)
        .map(|(declared, pipeline)| {
            proposal(declared, pipeline, &contexts, &files, clusters.len() == 1, asks)
        })
        .collect();
    let text = config_text(&proposals);
    if args.dry_run {
        out::text(&text)?;
    } else {
        write(&repository.root, &text)?;
    }
    summarize(&proposals);
    out::text(&table)
}

fn proposal(
    declared: &Declared,
    pipeline: &Pipeline,
    contexts: &[String],
    files: &[KnownFile],
    is_alone: bool,
    asks: bool,
) -> ClusterProposal {
    let context = match context_of(&declared.cluster, contexts, is_alone) {
        Context::Unknown(all) if asks && !all.is_empty() => ask(&declared.cluster, all),
        known => known,
    };
    let secrets = needed_secrets(declared).into_iter().map(|needed| {
        let home = probable_source(&declared.cluster, &needed, files);
        (needed, home)
    });
    ClusterProposal {
        name: declared.cluster.clone(),
        context,
        lacking: lacking(declared, pipeline),
        secrets: secrets.collect(),
    }
}

/// The downloads of the derived pipeline whose version is not declared.
fn lacking(declared: &Declared, pipeline: &Pipeline) -> Option<&'static str> {
    let unsaid = pipeline.steps().find_map(|step| match step.kind.applies() {
        Applies::Manifest(manifest) if declared.substituted_openly(&manifest.location).is_err() => {
            Some(manifest.location.contains("FLUX_OPERATOR_VERSION"))
        }
        _ => None,
    })?;
    Some(if unsaid { "operator" } else { "version" })
}

fn ask(cluster: &str, contexts: Vec<String>) -> Context {
    out::ask(&format!(
        "Kubeconfig context of cluster {cluster} ({}; empty for none of them): ",
        contexts.join(", ")
    ));
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    match contexts.iter().find(|context| *context == answer.trim()) {
        Some(context) => Context::Named(context.clone()),
        None => Context::Unknown(contexts),
    }
}

/// Writes the file if it does not exist: an existing one is never overwritten.
fn write(root: &Path, text: &str) -> Result<()> {
    match read_text(root, Path::new(CONFIG)) {
        Ok(old) if old == text => out::say(&format!("{CONFIG} is up to date")),
        Ok(_) => out::say(&format!(
            "{CONFIG} exists and is left as it is; `bootstrapper init --dry-run` prints the proposal"
        )),
        Err(_) => {
            let file = root.join(CONFIG);
            std::fs::File::create_new(&file)
                .and_then(|mut new| std::io::Write::write_all(&mut new, text.as_bytes()))
                .map_err(|error| {
                    Failure::step(format!("cannot write {}", file.display())).caused_by(&error)
                })?;
            out::say(&format!("wrote {CONFIG}"));
        }
    }
    Ok(())
}

fn summarize(proposals: &[ClusterProposal]) {
    for proposal in proposals {
        let open = proposal.secrets.iter().filter(|(_, home)| *home == ProbableSource::Unknown).count();
        let context = match &proposal.context {
            Context::SameName => format!("context {}", proposal.name),
            Context::Named(context) => format!("context {context}"),
            Context::Unknown(_) => "no kubeconfig context found".to_owned(),
        };
        let open = match open {
            0 => String::new(),
            open => format!(", {open} without a known source (environment variables are proposed)"),
        };
        let secrets = count(proposal.secrets.len(), "Secret");
        out::say(&format!(
            "{}: {context}; {secrets} that nothing in the repository provides{open}",
            proposal.name
        ));
    }
    if let [first, ..] = proposals {
        let name = &first.name;
        out::say(&format!(
            "next: bootstrapper validate {name}, bootstrapper plan {name}, bootstrapper {name} --sandbox"
        ));
    }
}

/// The replacement for each command of the existing bootstrap, as Markdown.
fn table(declared: &Declared, pipeline: &Pipeline, files: &[KnownFile]) -> String {
    let commands = commands(files);
    if commands.is_empty() {
        return "No Taskfile, justfile, mise, helmfile or script of a bootstrap was found.\n".to_owned();
    }
    let rows = rows(&commands, declared, pipeline);
    let of = |is_it: fn(&Cover) -> bool| rows.iter().filter(|row| is_it(&row.cover)).count();
    let mut text = format!(
        "{}: {} covered, {} need an entry, {} not covered\n\n| present bootstrap | where | with bootstrapper |\n| --- | --- | --- |\n",
        count(rows.len(), "command"),
        of(|cover| matches!(cover, Cover::Covered(_))),
        of(|cover| matches!(cover, Cover::Needs(_))),
        of(|cover| matches!(cover, Cover::NotCovered(_))),
    );
    for Row { file, task, text: command, cover } in &rows {
        let place =
            if task.is_empty() { file.display().to_string() } else { format!("{} ({task})", file.display()) };
        let becomes = match cover {
            Cover::Covered(by) => format!("covered by {by}"),
            Cover::Needs(what) => format!("needs {what}"),
            Cover::NotCovered(why) => format!("not covered: {why}"),
        };
        let _ = writeln!(text, "| `{}` | {} | {} |", cell(&shortened(command)), cell(&place), cell(&becomes));
    }
    text
}

/// A command without the values in it: the table may be shared.
fn without_values(text: &str) -> String {
    let hidden = |word: &str| {
        let lower = word.to_lowercase();
        let is_secret = ["from-literal", "password", "passwd", "token", "secret", "apikey", "api-key"];
        match word.rsplit_once(['=', ':']) {
            Some((name, value)) if !value.is_empty() && is_secret.iter().any(|one| lower.contains(one)) => {
                format!("{name}=…")
            }
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

/// The maximum length of a command in the table.
const LONGEST: usize = 100;

fn shortened(command: &str) -> String {
    let kept: String = command.chars().take(LONGEST).collect();
    if kept.len() == command.len() { kept } else { format!("{kept}…") }
}

fn cell(text: &str) -> String {
    one_line(&without_values(text)).replace('`', "'").replace('|', "\\|")
}
