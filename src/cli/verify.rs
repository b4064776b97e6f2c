//! `bootstrapper verify`: checks the connectivity of the clusters' pods.

use std::time::Duration;

use async_trait::async_trait;

use super::args::{Output, VerifyArgs};
use super::consent;
use super::out;
use super::repository::open_repository;
use super::sandbox;
use super::session::{connect_options, connected};
use bootstrapper_cluster::Identity;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_report as report;
use bootstrapper_steps::verify::{self, Member, Outcome, Outside};
use bootstrapper_tools::fetch_page;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A slower successful connection may have lost packets: TCP retransmits after 200 ms at the earliest.
const SLOW_MILLISECONDS: u128 = 200;

pub(super) async fn verify(args: &VerifyArgs) -> Result<()> {
    if args.clusters.len() > 1 && args.target.context.is_some() {
        return Err(Failure::input("--context cannot be used with several clusters")
            .hint("map contexts to clusters in bootstrapper.yaml"));
    }
    let repository = open_repository(args.target.repo.as_deref())?;
    let config = Config::load(&repository.root)?;
    let mut members = Vec::new();
    for name in &args.clusters {
        members.push(member(name, args, &repository, &config).await?);
    }
    let outcomes = verify::verify(&members).await?;
    match args.output.output {
        Output::Json => out::json(&outcomes)?,
        Output::Text => out::text(&table(&outcomes))?,
    }
    let broken = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    if broken == 0 {
        return Ok(());
    }
    let clusters = args.clusters.join(" and ");
    Err(Failure::new(
        FailureKind::Step,
        format!("{broken} of {} connections of {clusters} failed", outcomes.len()),
    ))
}

async fn member(name: &str, args: &VerifyArgs, repository: &Repository, config: &Config) -> Result<Member> {
    repository.require(name)?;
    let rehearsal = sandbox::running(name, args.sandbox)?;
    let beyond_router = rehearsal.as_ref().map(|rehearsal| {
        rehearsal.beyond_router.clone().ok_or_else(|| {
            Failure::input(format!("the network of sandbox {name} is simulated"))
                .because("its pods have no containers, and cannot communicate")
                .hint("bring it up with --network real")
        })
    });
    let outside: Box<dyn Outside> = match beyond_router.transpose()? {
        Some(entering) => Box::new(BeyondTheRouter(entering)),
        None => Box::new(ThisMachine),
    };
    if rehearsal.is_none() {
        consent::context(&repository.root, name, &args.target, config)?;
    }
    let options = connect_options(name, &args.target, config, rehearsal.as_ref());
    let cluster = connected(&options, config).await?;
    if let Some(identity_record) = cluster.identity_record().await? {
        identity_record.require(&Identity::named(name))?;
    }
    Ok(Member { name: name.to_owned(), cluster, outside })
}

fn table(outcomes: &[Outcome]) -> String {
    report::table(
        &["CLUSTER", "CHECK", "FROM", "TO", "RESULT"],
        outcomes.iter().map(|outcome| {
            vec![
                outcome.cluster.clone(),
                outcome.check.to_owned(),
                outcome.from.clone(),
                outcome.to.clone(),
                result(outcome),
            ]
        }),
    )
}

fn result(outcome: &Outcome) -> String {
    match (&outcome.problem, outcome.milliseconds) {
        (Some(problem), _) => problem.lines().map(str::trim).collect::<Vec<_>>().join("; "),
        (None, Some(slow)) if slow > SLOW_MILLISECONDS => format!("slow ({slow} ms): possible packet loss"),
        (None, Some(quick)) => format!("ok ({quick} ms)"),
        (None, None) => outcome.remark.as_ref().map_or("ok".to_owned(), |remark| format!("ok; {remark}")),
    }
}

/// The machine of this program.
struct ThisMachine;

#[async_trait]
impl Outside for ThisMachine {
    fn name(&self) -> &'static str {
        "this machine"
    }

    async fn fetch(&self, url: &str) -> Result<(), String> {
        fetch_page(url, TIMEOUT).await.map(drop).map_err(|failure| failure.to_string())
    }
}

/// The far side of a sandbox's router: the command that runs another one there.
struct BeyondTheRouter(Vec<String>);

#[async_trait]
impl Outside for BeyondTheRouter {
    fn name(&self) -> &'static str {
        "router"
    }

    async fn fetch(&self, url: &str) -> Result<(), String> {
        let mut words = self.0.iter();
        let output = tokio::process::Command::new(words.next().map_or("", String::as_str))
            .args(words)
            .args(["wget", "-q", "-T", &TIMEOUT.as_secs().to_string(), "-O", "/dev/null", url])
            .output()
            .await
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
