//! `bootstrapper verify`: whether the cluster's pods can talk.

use std::time::Duration;

use async_trait::async_trait;

use super::args::{Output, VerifyArgs};
use super::out;
use super::session::{connect_options, open_repository};
use crate::cluster::Cluster;
use crate::failure::{Failure, FailureKind, Result};
use crate::pipeline::Config;
use crate::report;
use crate::sandbox::{self, Sandbox};
use crate::verify::{self, Outcome, Outside};

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn verify(args: &VerifyArgs) -> Result<()> {
    let sandbox = args.sandbox.then(|| sandbox::load(&args.cluster)).transpose()?;
    if let Some(sandbox) = sandbox.as_ref().filter(|sandbox| !sandbox.is_network_real()) {
        return Err(Failure::input(format!("the network of sandbox {} is simulated", sandbox.name))
            .because("its pods run in name only, and cannot talk")
            .hint("bring it up with --network real"));
    }
    let repository = open_repository(args.target.repo.as_deref())?;
    repository.require(&args.cluster)?;
    let config = Config::load(&repository.root)?;
    let options = connect_options(&args.cluster, &args.target, &config, sandbox.as_ref());
    let cluster = Cluster::connect(&options).await?;
    cluster.check_identity(&args.cluster).await?;
    let outside: Box<dyn Outside> = match sandbox {
        Some(sandbox) => Box::new(BeyondTheRouter(sandbox)),
        None => Box::new(ThisMachine),
    };
    let outcomes = verify::verify(&cluster, outside.as_ref()).await?;
    match args.output.output {
        Output::Json => out::json(&outcomes)?,
        Output::Text => out::text(&table(&outcomes))?,
    }
    let broken = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    if broken == 0 {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Step,
        format!("{broken} of {} connections of {} do not work", outcomes.len(), args.cluster),
    ))
}

fn table(outcomes: &[Outcome]) -> String {
    report::table(
        &["CHECK", "FROM", "TO", "RESULT"],
        outcomes.iter().map(|outcome| {
            let result = match &outcome.problem {
                None => format!("ok ({} ms)", outcome.milliseconds),
                Some(problem) => problem.lines().next().unwrap_or("no connection").to_owned(),
            };
            vec![outcome.check.name.to_owned(), outcome.from.clone(), outcome.check.to.clone(), result]
        }),
    )
}

/// The machine that this program runs on.
struct ThisMachine;

#[async_trait]
impl Outside for ThisMachine {
    fn name(&self) -> &'static str {
        "this machine"
    }

    async fn connect(&self, address: &str) -> Result<(), String> {
        sandbox::connect(address, PATIENCE).await.map_err(|failure| failure.to_string())
    }
}

/// A sandbox's outside: whoever is on the other side of its router.
struct BeyondTheRouter(Sandbox);

#[async_trait]
impl Outside for BeyondTheRouter {
    fn name(&self) -> &'static str {
        "router"
    }

    async fn connect(&self, address: &str) -> Result<(), String> {
        let entering = self.0.entering("router").map_err(|failure| failure.to_string())?;
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let output = tokio::process::Command::new(&entering[0])
            .args(&entering[1..])
            .args(["agnhost", "connect", address, &timeout])
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
