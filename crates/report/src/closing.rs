//! The last lines of a run.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::duration;
use bootstrapper_core::output::one_line;
use bootstrapper_core::words::count;
use bootstrapper_engine::{RunSummary, StepOutcome};

/// The number of API requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that only read.
    pub reads: u64,
    /// Requests that wrote.
    pub writes: u64,
    /// Requests that failed in transit and were retried.
    pub repeated: u64,
}

/// The content of the last lines.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// Flux's current revision, `main@3f2c1ab`.
    pub revision: Option<&'a str>,
    /// How many Kustomizations Flux owns.
    pub kustomizations: usize,
    /// How many `HelmReleases` Flux owns.
    pub releases: usize,
    /// The outcome of the run.
    pub summary: &'a RunSummary,
    /// The run's API requests.
    pub requests: Requests,
    /// The kubeconfig, for a sandbox.
    pub kubeconfig: Option<&'a Path>,
    /// Which part of the bootstrap ran.
    pub extent: Extent<'a>,
}

/// Which part of the bootstrap a run covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// Everything, including the hand-over.
    HandedOver,
    /// Everything; the pipeline does not use Flux.
    WithoutFlux,
    /// These stages and steps.
    Part(&'a [String]),
}

/// One line with the result; for a sandbox, also the commands to use it.
pub fn closing_text(closing: &Closing) -> String {
    let mut text = headline(closing);
    text.push('\n');
    for (step, outcome) in &closing.summary.steps {
        let StepOutcome::Warning { summary, details } = outcome else { continue };
        let _ = writeln!(text, "  warning: {step}: {}", one_line(summary));
        for detail in details {
            let _ = writeln!(text, "    {}", one_line(detail));
        }
    }
    if closing.requests.repeated > 0 {
        let requests = count(closing.requests.repeated, "API request");
        let were = if closing.requests.repeated == 1 { "was" } else { "were" };
        let _ = writeln!(text, "  {requests} failed and {were} retried");
    }
    let Some(kubeconfig) = closing.kubeconfig else { return text };
    let cluster = closing.cluster;
    for command in [
        format!("export KUBECONFIG={}", kubeconfig.display()),
        "kubectl get kustomizations,helmreleases -A".to_owned(),
        format!("bootstrapper status {cluster} --sandbox"),
        format!("bootstrapper sandbox down {cluster}"),
    ] {
        let _ = writeln!(text, "  {command}");
    }
    text
}

fn headline(closing: &Closing) -> String {
    let Closing { cluster, summary, requests, .. } = *closing;
    let took = duration(summary.elapsed);
    let subject = match closing.extent {
        Extent::HandedOver => cluster.to_owned(),
        Extent::WithoutFlux => format!("every step of {cluster}"),
        Extent::Part(parts) => format!("{} of {cluster}", parts.join(", ")),
    };
    if !summary.succeeded() {
        let open = count(summary.open(), "step");
        let is_what = if closing.extent == Extent::HandedOver { "up" } else { "done" };
        return format!("{subject} is not {is_what}: {open} not finished.   {took}");
    }
    if summary.changed == 0 && closing.extent != Extent::HandedOver {
        // A part that is as declared is no cluster that is up.
        return format!(
            "{subject}: nothing to do: {} as declared, {}, {}, {took}",
            count(summary.unchanged, "object"),
            count(requests.writes, "write"),
            count(requests.reads, "read"),
        );
    }
    if summary.changed == 0 {
        let releases = format!(" and {}", count(closing.releases, "release"));
        return format!(
            "{subject} is up to date: {}{releases} as declared, {}, {}, {took}",
            count(summary.unchanged, "object"),
            count(requests.writes, "write"),
            count(requests.reads, "read"),
        );
    }
    let path = critical_path(summary);
    if closing.extent != Extent::HandedOver {
        return format!("{subject} is done: {} changed.   {took}{path}", count(summary.changed, "object"));
    }
    let revision = closing.revision.map(|revision| format!(" at {revision}")).unwrap_or_default();
    format!(
        "{cluster} is up: Flux owns {} and {}, all ready{revision}.   {took}{path}",
        count(closing.kustomizations, "Kustomization"),
        count(closing.releases, "HelmRelease"),
    )
}

/// The longest step of the critical path.
fn critical_path(summary: &RunSummary) -> String {
    let whole: Duration = summary.critical_path.iter().map(|(_, took)| *took).sum();
    let longest = summary.critical_path.iter().max_by_key(|(_, took)| *took);
    longest
        .map(|(id, _)| format!(" (critical path {}: {} {})", duration(whole), id.stage, id.name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_engine::StepId;

    fn summary(changed: usize) -> RunSummary {
        let id = StepId { stage: "cilium".into(), name: "agents".into() };
        RunSummary {
            steps: vec![(id.clone(), StepOutcome::Changed { summary: "x".into() })],
            failures: vec![],
            changed,
            unchanged: 214,
            elapsed: Duration::from_secs(178),
            took: vec![],
            critical_path: vec![(id, Duration::from_secs(171))],
        }
    }

    fn said(changed: usize, extent: Extent<'_>, kubeconfig: Option<&Path>) -> String {
        closing_text(&Closing {
            cluster: "infra",
            revision: Some("main@3f2c1ab"),
            kustomizations: 9,
            releases: 1,
            summary: &summary(changed),
            requests: Requests { reads: 43, writes: 0, repeated: 0 },
            kubeconfig,
            extent,
        })
    }

    #[test]
    fn says_what_is_true_and_no_more() {
        assert_eq!(
            said(3, Extent::HandedOver, None),
            "infra is up: Flux owns 9 Kustomizations and 1 HelmRelease, all ready at main@3f2c1ab.   2m58s (critical path 2m51s: cilium agents)\n"
        );
        assert_eq!(
            said(0, Extent::HandedOver, None),
            "infra is up to date: 214 objects and 1 release as declared, no writes, 43 reads, 2m58s\n"
        );
        let parts = ["crds".to_owned(), "core/release-coredns".to_owned()];
        let part = said(3, Extent::Part(&parts), None);
        assert!(
            part.starts_with("crds, core/release-coredns of infra is done: 3 objects changed."),
            "{part}"
        );
        assert!(!part.contains("Flux owns"));
        // Seeds alone are no cluster that is up.
        assert_eq!(
            said(0, Extent::Part(&parts), None),
            "crds, core/release-coredns of infra: nothing to do: 214 objects as declared, no writes, 43 reads, 2m58s\n"
        );
        let without = said(3, Extent::WithoutFlux, None);
        assert!(without.starts_with("every step of infra is done: 3 objects changed."), "{without}");
        assert!(
            said(0, Extent::HandedOver, Some(Path::new("k.yaml"))).contains("\n  export KUBECONFIG=k.yaml\n")
        );
    }
}
