//! `bootstrapper new-cluster`: scaffolds a new cluster.

mod files;

use std::io::IsTerminal as _;

use clap::CommandFactory as _;

use self::files::{CLUSTERS, CONFIG};
use super::args::{Args, NewClusterArgs};
use super::out;
use super::repository::open_repository;
use bootstrapper_core::failure::{Failure, FailureKind, Location, Result};
use bootstrapper_core::words::count;
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::addresses::Settings;
use bootstrapper_validation::new_cluster::{self, Proposed, Subject, Value};

pub(super) fn new_cluster(args: &NewClusterArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let like = model(&repository, args.like.as_deref())?;
    let clusters: Vec<(String, Settings)> = repository
        .clusters
        .iter()
        .map(|name| Ok((name.clone(), repository.settings_of(name)?)))
        .collect::<Result<_>>()?;
    let verbs: Vec<String> =
        Args::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let proposed = if std::io::stdin().is_terminal() && !args.yes {
        match new_cluster::name_problem(&args.name, &clusters, &verbs) {
            Some(problem) => return Err(problem),
            None => answered(&args.name, &like, &clusters, args.given()?)?,
        }
    } else {
        new_cluster::propose(&args.name, &like, &clusters, &args.given()?)
    };
    let settings: Settings =
        proposed.iter().filter_map(|one| Some((one.name.clone(), one.value.text()?.to_owned()))).collect();
    let problems = new_cluster::problems(&Subject {
        name: &args.name,
        settings: &settings,
        like: &like,
        clusters: &clusters,
        verbs: &verbs,
        highest_id: files::highest_id(&repository.root),
    });
    if !problems.is_empty() {
        return Err(joined(problems));
    }
    let (files, mentions) = files::copies(&repository.root, &like, &args.name, &settings)?;
    let config = files::config(&repository.root, &like, &args.name)?;
    if args.dry_run {
        return files
            .iter()
            .chain(&config)
            .try_for_each(|file| out::text(&format!("---\n# {}\n{}", file.path.display(), file.text)));
    }
    files::write(&repository.root, &args.name, &files)?;
    if let Some(config) = &config {
        files::replace(&repository.root, config)?;
    }
    print_summary(args, &like, &proposed, config.is_some(), &mentions);
    for (setting, entry) in new_cluster::entries_for(&args.name, &settings, &clusters) {
        out::say(&format!("add {entry} to {setting} of the other clusters"));
    }
    out::say(&format!("next: bootstrapper validate {}, commit, bootstrapper {}", args.name, args.name));
    Ok(())
}

fn model(repository: &Repository, like: Option<&str>) -> Result<String> {
    match like {
        Some(like) => repository.require(like).map(|()| like.to_owned()),
        None => repository.clusters.first().cloned().ok_or_else(|| {
            Failure::input("no clusters in this repository")
                .hint("a new cluster is scaffolded from an existing one")
        }),
    }
}

/// Asks for each setting in turn; an answer changes the defaults of those after it.
fn answered(
    name: &str,
    like: &str,
    clusters: &[(String, Settings)],
    mut given: Settings,
) -> Result<Vec<Proposed>> {
    let mut proposed = new_cluster::propose(name, like, clusters, &given);
    for at in 0..proposed.len() {
        if let Some(answer) = proposed.get(at).and_then(ask) {
            given.insert(proposed[at].name.clone(), answer?);
            proposed = new_cluster::propose(name, like, clusters, &given);
        }
    }
    Ok(proposed)
}

/// Asks only for proposed or unknown settings, not for those that are given or equal in all clusters.
fn ask(one: &Proposed) -> Option<Result<String>> {
    let default = match &one.value {
        Value::Given(_) | Value::Kept(_) => return None,
        Value::Proposed(value) => Some(value),
        Value::Unknown => None,
    };
    loop {
        out::ask(&match default {
            Some(default) => format!("{} [{default}]: ", one.name),
            None => format!("{}: ", one.name),
        });
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Err(error) => return Some(Err(Failure::input("cannot read the answer").caused_by(&error))),
            Ok(0) => {
                return Some(Err(Failure::new(FailureKind::Cancelled, "aborted; nothing was written")));
            }
            Ok(_) => match (line.trim(), default) {
                ("", None) => {}
                ("", Some(default)) => return Some(Ok(default.clone())),
                (answer, _) => return Some(Ok(answer.to_owned())),
            },
        }
    }
}

fn joined(problems: Vec<Failure>) -> Failure {
    let failure = Failure::input(format!(
        "{} with the new cluster; nothing was written",
        count(problems.len(), "problem")
    ));
    problems.into_iter().fold(failure, |failure, problem| {
        let failure = failure.because(&problem.what);
        problem.hints.into_iter().fold(failure, |failure, hint| {
            if failure.hints.contains(&hint) { failure } else { failure.hint(hint) }
        })
    })
}

fn print_summary(
    args: &NewClusterArgs,
    like: &str,
    proposed: &[Proposed],
    has_config: bool,
    mentions: &[Location],
) {
    let name = &args.name;
    out::say(&format!("created {CLUSTERS}/{name} from {like}, with:"));
    for one in proposed {
        match &one.value {
            Value::Given(value) | Value::Proposed(value) => out::say(&format!("  {}: {value}", one.name)),
            Value::Kept(_) | Value::Unknown => {}
        }
    }
    if has_config {
        out::say(&format!("added an entry to {CONFIG}: create the secrets that it refers to"));
    } else {
        out::say(&format!("{CONFIG} has no entry for {like}: add one for {name} if it needs secrets"));
    }
    for place in mentions {
        out::say(&format!("{place} still names {like}"));
    }
}
