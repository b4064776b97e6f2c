//! `bootstrapper doctor`: diagnoses any cluster, at any time.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::args::{DoctorArgs, Output};
use super::consent;
use super::fleet::names_of_secrets;
use super::out;
use super::repository::open_repository;
use super::sandbox;
use super::session::{connect_options, connected};
use bootstrapper_cluster::doctor::{self, Budget, Examination, Scope};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::words::count;
use bootstrapper_diagnosis as diagnosis;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_gitops::{Declared, Repository, SecretValues};
use bootstrapper_report as report;
use bootstrapper_steps as steps;
use bootstrapper_tools::{Environment, Kustomize};

/// The timeout for loading the repository: its downloads may be unreachable.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct DoctorReport<'a> {
    cluster: &'a str,
    reachable: bool,
    #[serde(flatten)]
    examination: &'a Examination,
}

pub(super) async fn doctor(args: &DoctorArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    // A repository can set the context; without one, the name is the context.
    let repository = open_repository(args.target.repo.as_deref()).ok();
    let root = repository.as_ref().map(|repository| &repository.root);
    let config = root.map(|root| Config::load(root)).transpose()?.unwrap_or_default();
    if let Some(root) = root.filter(|_| rehearsal.is_none()) {
        consent::context(root, &args.cluster, &args.target, &config)?;
    }
    let options = connect_options(&args.cluster, &args.target, &config, rehearsal.as_ref());
    let cluster = match connected(&options, &config).await {
        Ok(cluster) => cluster,
        Err(failure) => return unreachable(args, &failure),
    };
    let scope =
        if args.namespace.is_empty() { Scope::Whole } else { Scope::Namespaces(args.namespace.clone()) };
    let mut examination = doctor::examine(&cluster, &scope, Budget::OF_A_PERSON).await;
    let problems = examination.causes.iter().filter(|cause| !cause.transient).count();
    if problems > 0
        && let Some(repository) = &repository
    {
        let environment = rehearsal.map(|rehearsal| rehearsal.environment).unwrap_or_default();
        let secrets = names_of_secrets(&repository.root, &config, &args.cluster).unwrap_or_default();
        let declared = declared(repository, &args.cluster, &environment, &secrets);
        if let Ok(Some(declared)) = tokio::time::timeout(LOAD_TIMEOUT, declared).await {
            steps::locate(&mut examination.causes, &declared);
        }
    }
    print(args, &examination, true)?;
    if problems == 0 && examination.unseen > 0 {
        let kinds = count(examination.unseen as u64, "kind");
        let what = format!("cannot list {kinds} of objects in {}: their state is unknown", args.cluster);
        return Err(Failure::new(FailureKind::Connection, what)
            .hint("grant `list` on the resources that are reported as unknown, or use the cluster's admin kubeconfig")
            .hint("diagnose some namespaces only: `--namespace`"));
    }
    if problems == 0 {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Step,
        format!("{} found in {}", count(problems as u64, "root cause"), args.cluster),
    )
    .hint("`bootstrapper explain CODE` explains each"))
}

/// The repository's declaration; the diagnosis continues without it if it cannot be loaded.
async fn declared(
    repository: &Repository,
    cluster: &str,
    environment: &Environment,
    secrets: &SecretValues,
) -> Option<Declared> {
    let kustomize = Kustomize::find(environment).ok()?;
    repository.load(cluster, &kustomize, secrets).await.ok()
}

fn print(args: &DoctorArgs, examination: &Examination, reachable: bool) -> Result<()> {
    match args.output.output {
        Output::Json => out::json(&DoctorReport { cluster: &args.cluster, reachable, examination }),
        Output::Text => {
            let Examination { causes, gaps, unseen } = examination;
            let mut text = report::causes_text(causes);
            if causes.iter().all(|cause| cause.transient) && reachable && *unseen == 0 {
                let in_progress = match causes.len() {
                    0 => String::new(),
                    some => format!("; {some} still in progress"),
                };
                let _ = writeln!(text, "{}: no problems found{in_progress}", args.cluster);
            }
            for gap in gaps {
                let _ = writeln!(text, "unknown: {gap}");
            }
            out::text(&text)
        }
    }
}

/// A failed connection is a diagnosis, too.
fn unreachable(args: &DoctorArgs, failure: &Failure) -> Result<()> {
    let cause = diagnosis::no_way_to_it(failure);
    print(args, &Examination { causes: vec![cause], gaps: Vec::new(), unseen: 0 }, false)?;
    Err(Failure::new(FailureKind::Connection, format!("cannot reach cluster {}", args.cluster)))
}
