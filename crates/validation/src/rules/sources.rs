//! Sources of Flux whose fields contradict each other.

use crate::fleet::Placed;
use crate::{Finding, Rule, Severity};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "source-refused",
    severity: Severity::Error,
    summary: "fields of a source contradict each other",
    why: "source-controller refuses the source before it fetches anything, and whatever needs it is never ready",
    fix: "change what the finding names",
    check: |rule, fleet| fleet.each_object(|placed| refused(rule, placed).into_iter().collect()),
}];

fn refused(rule: &Rule, placed: Placed<'_>) -> Option<Finding> {
    let id = placed.id();
    let (field, what) = match (id.group(), id.kind.as_str()) {
        ("source.toolkit.fluxcd.io", "HelmRepository") => helm_repository(placed)?,
        ("source.toolkit.fluxcd.io", "GitRepository") => git_repository(placed)?,
        ("fluxcd.controlplane.io", "FluxInstance") => instance(placed)?,
        _ => return None,
    };
    Some(placed.finding(rule, field, format!("{id}: {what}")))
}

type Fault = (&'static str, String);

fn text<'a>(placed: Placed<'a>, path: &[&str]) -> &'a str {
    placed.field(path).as_str().unwrap_or_default()
}

/// source-controller: `internal/controller/helmrepository_controller.go`, `helmchart_controller.go`.
fn helm_repository(placed: Placed<'_>) -> Option<Fault> {
    let (url, kind) = (text(placed, &["spec", "url"]), text(placed, &["spec", "type"]));
    let is_oci = url.starts_with("oci://");
    match kind {
        "oci" if url.starts_with("http") => {
            Some(("spec.url", format!("its type is oci, and its address {url} is not `oci://…`")))
        }
        "" | "default" if is_oci => {
            Some(("spec.url", format!("its address is {url}, which needs `type: oci`")))
        }
        _ => None,
    }
}

/// source-controller: `internal/controller/gitrepository_controller.go` (`getAuthOpts`).
fn git_repository(placed: Placed<'_>) -> Option<Fault> {
    let has_secret = !placed.field(&["spec", "secretRef"]).is_null();
    let provider = text(placed, &["spec", "provider"]);
    if provider == "github" && !has_secret {
        let what = "provider `github` needs a secretRef with the data of a GitHub app";
        return Some(("spec.provider", what.to_owned()));
    }
    (without_key(text(placed, &["spec", "url"])) && !has_secret && matches!(provider, "" | "generic")).then(
        || ("spec.url", "an address with ssh needs a secretRef with `identity` and `known_hosts`".to_owned()),
    )
}

fn instance(placed: Placed<'_>) -> Option<Fault> {
    let sync = placed.field(&["spec", "sync"]);
    let is_git = sync["kind"].as_str().is_none_or(|kind| kind == "GitRepository");
    let has_secret = sync["pullSecret"].as_str().is_some_and(|name| !name.is_empty());
    let is_refused = is_git && !has_secret && without_key(sync["url"].as_str().unwrap_or_default());
    is_refused.then(|| {
        (
            "spec.sync.url",
            "an address with ssh needs a pullSecret with `identity` and `known_hosts`".to_owned(),
        )
    })
}

fn without_key(url: &str) -> bool {
    url.starts_with("ssh://")
}
