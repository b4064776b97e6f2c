//! Asks for approval of a repository's requests before anything on this machine is used.

use std::io::IsTerminal as _;
use std::path::Path;

use super::args::Target;
use super::confirm::prompt_yes_no;
use super::out;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_gitops::trust::{
    Approvals, Given, Request, RequestKind, Store, context_request, digest_of, shown,
};
use bootstrapper_report as report;

/// The approved requests of a list: approved by this call, or earlier. Asks at the terminal for missing
/// approvals; without one it fails. In a sandbox, values are generated and the vault is the sandbox's: only
/// commands need approval there.
pub(super) fn approvals(
    root: &Path,
    cluster: &str,
    list: &[Request],
    trust: Option<&str>,
    in_sandbox: bool,
) -> Result<Approvals> {
    let is_needed = |request: &&Request| !in_sandbox || request.kind == RequestKind::Command;
    let needed: Vec<Request> = list.iter().filter(is_needed).cloned().collect();
    let mut approvals = already_approved(root, &needed, trust)?;
    let missing: Vec<&Request> = needed.iter().filter(|request| !approvals.allows(request)).collect();
    if missing.is_empty() {
        return Ok(approvals);
    }
    if !can_ask() {
        return Err(refusal(root, cluster, &missing, &needed));
    }
    let things = count(missing.len(), "thing");
    out::say(&format!("{} requests {things} from your machine for cluster {cluster}:", root.display()));
    out::say(&table(missing.iter().copied()));
    ask("Approve? You are asked again when the list changes.")?;
    Store::of(root)?.add(missing.iter().copied())?;
    approvals.add(missing);
    Ok(approvals)
}

/// The requests that are already approved, without asking.
pub(super) fn already_approved(root: &Path, list: &[Request], trust: Option<&str>) -> Result<Approvals> {
    let given = Given::parse(trust);
    // Without a home folder nothing can be stored.
    let stored = match Store::of(root) {
        _ if given == Given::Everything => Ok(std::collections::BTreeSet::new()),
        Ok(store) => store.approved(),
        Err(_) => Ok(std::collections::BTreeSet::new()),
    };
    Ok(Approvals::new(stored?, &given, list))
}

/// Asks about the context that a repository sets, if nothing else of it is used.
pub(super) fn context(root: &Path, cluster: &str, target: &Target, config: &Config) -> Result<()> {
    match context_request(root, config, cluster) {
        Some(request) if target.context.is_none() => {
            approvals(root, cluster, &[request], target.trust.as_deref(), false).map(drop)
        }
        _ => Ok(()),
    }
}

/// The list as text.
pub(super) fn table<'a>(requests: impl Iterator<Item = &'a Request>) -> String {
    let rows = requests.map(|request| {
        let place = request.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let what = match &request.content {
            Some(content) => format!("{} [sha256:{}]", request.what, content.get(..12).unwrap_or(content)),
            None => request.what.clone(),
        };
        vec![request.kind.name().to_owned(), shown(&what), shown(&request.purpose), shown(&place)]
    });
    report::table(&["KIND", "WHAT", "FOR", "WHERE"], rows)
}

/// Whether stdin and stderr are a terminal.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question; anything but yes is a failure.
pub(super) fn ask(question: &str) -> Result<()> {
    if prompt_yes_no(question) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::NotApproved, "not approved; nothing was read or run"))
}

fn refusal(root: &Path, cluster: &str, missing: &[&Request], list: &[Request]) -> Failure {
    let what = format!(
        "{} requests {} from this machine that you have not approved, for cluster {cluster}",
        root.display(),
        count(missing.len(), "thing"),
    );
    let failure = Failure::new(FailureKind::NotApproved, what);
    let failure = missing.iter().fold(failure, Failure::because);
    failure
        .hint(format!("approve at a terminal: bootstrapper trust {cluster} --repo {}", root.display()))
        .hint(format!(
            "in CI, approve exactly this list: --trust={} (or BOOTSTRAPPER_TRUST)",
            digest_of(list)
        ))
        .hint("approve everything that the repository requests: --trust")
}
