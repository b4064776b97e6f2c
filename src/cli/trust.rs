//! `bootstrapper trust`: lists the repository's requests to this machine, and approves them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Output, TrustArgs};
use super::fleet::names_of_secrets;
use super::repository::open_repository;
use super::{consent, out};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::words::count;
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::{Config, Tasks};
use bootstrapper_gitops::trust::{self, Request, Store};
use bootstrapper_tools::{Environment, Kustomize};

#[derive(Serialize)]
struct ClusterRequests {
    cluster: String,
    /// The digest for `--trust=DIGEST` in CI.
    digest: String,
    requests: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    request: Request,
    approved: bool,
}

pub(super) async fn trust(args: &TrustArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let store = Store::of(&repository.root)?;
    if args.revoke {
        let was_there = store.revoke()?;
        let said = if was_there { "approvals revoked" } else { "no approvals to revoke" };
        out::say(&format!("{}: {said}", repository.root.display()));
        return Ok(());
    }
    args.clusters.iter().try_for_each(|name| repository.require(name))?;
    let clusters = if args.clusters.is_empty() { &repository.clusters } else { &args.clusters };
    let stored = store.approved()?;
    let mut all = Vec::new();
    for cluster in clusters {
        all.push(asked(&repository, cluster, &stored).await?);
    }
    match args.output.output {
        Output::Json => out::json(&all)?,
        Output::Text => out::text(&text(&repository, &all))?,
    }
    let new: Vec<&Request> = all
        .iter()
        .flat_map(|one| &one.requests)
        .filter(|one| !one.approved)
        .map(|one| &one.request)
        .collect();
    if args.list || new.is_empty() {
        return Ok(());
    }
    if !args.yes {
        if !consent::can_ask() {
            let what = format!("{} need approval, but stdin is not a terminal", count(new.len(), "request"));
            return Err(Failure::new(FailureKind::NotApproved, what)
                .hint("pass --yes to approve this list, or --list to only show it"));
        }
        consent::ask("Approve the new requests? You are asked again when the list changes.")?;
    }
    store.add(new.iter().copied())?;
    out::say(&format!("approved {} for {}", count(new.len(), "request"), repository.root.display()));
    Ok(())
}

async fn asked(repository: &Repository, cluster: &str, stored: &BTreeSet<String>) -> Result<ClusterRequests> {
    let config = Config::load(&repository.root)?;
    let kustomize = Kustomize::find(&Environment::default())?;
    let names = names_of_secrets(&repository.root, &config, cluster)?;
    let declared = repository.load(cluster, &kustomize, &names).await?;
    let pipeline = Tasks::of_repository(&repository.root)?.pipeline(&declared, &config)?;
    let requests = trust::requests(&repository.root, &config, &pipeline, &declared)?;
    let digest = trust::digest_of(&requests);
    let listed = |request: Request| Listed { approved: stored.contains(&request.digest()), request };
    Ok(ClusterRequests {
        cluster: cluster.to_owned(),
        digest,
        requests: requests.into_iter().map(listed).collect(),
    })
}

fn text(repository: &Repository, all: &[ClusterRequests]) -> String {
    let mut text = String::new();
    for one in all {
        let new = one.requests.iter().filter(|request| !request.approved).count();
        let state = match (one.requests.len(), new) {
            (0, _) => "no requests".to_owned(),
            (some, 0) => format!("{}, all approved", count(some, "request")),
            (some, new) => format!("{}, {new} not approved", count(some, "request")),
        };
        let _ = writeln!(text, "{}  cluster {}: {state}", repository.root.display(), one.cluster);
        if !one.requests.is_empty() {
            text.push_str(&consent::table(one.requests.iter().map(|request| &request.request)));
            let _ = writeln!(text, "  list  sha256:{}", one.digest);
        }
    }
    text
}
