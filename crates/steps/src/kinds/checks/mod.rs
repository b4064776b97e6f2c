//! Preflight: all problems that can be known in advance, listed at once, before anything is written.

mod addresses;
mod identity;
mod leftovers;
mod nodes;
mod permissions;
mod secrets;
mod server;
mod tools;

pub use permissions::{NeededPermission, needed_permissions};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt as _};

use super::Kind;
use crate::owns_nothing::owns_nothing;
use crate::plan::{Inputs, Planned, Planner};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Act, Cause, Changes, Observation, Step, Stuck};
use bootstrapper_gitops::pipeline::{Check, ChecksSpec};
use bootstrapper_gitops::{Declared, Distribution};
use bootstrapper_tools::Helm;

/// The input of the checks.
pub(super) struct Subject {
    /// The API server.
    pub cluster: Cluster,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
    /// The distribution of its nodes, if `bootstrapper.yaml` declares it.
    pub distribution: Option<Distribution>,
    /// Settings of the other clusters in the repository, by name: their ranges must not overlap.
    pub neighbours: Vec<(String, std::collections::BTreeMap<String, String>)>,
    /// Helm, or the reason why it is missing.
    pub helm: Result<Arc<Helm>>,
    /// Secrets that could not be resolved.
    pub unresolved_secrets: Vec<Failure>,
}

/// Named checks of one subject.
pub(super) struct Checks {
    /// Their input.
    pub subject: Subject,
    /// The checks to run.
    pub which: Vec<Check>,
    /// The warnings of the last observation.
    warnings: Mutex<Vec<String>>,
}

impl Kind for ChecksSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Inputs { cluster, declared, distribution, neighbours, helm, secrets, .. } = planner.inputs;
        let subject = Subject {
            cluster: cluster.clone(),
            declared: Arc::clone(declared),
            distribution: *distribution,
            neighbours: neighbours.clone(),
            helm: helm.clone(),
            unresolved_secrets: secrets.unresolved.clone(),
        };
        Ok(Planned::step(
            count(self.0.len(), "check"),
            Checks { subject, which: self.0.clone(), warnings: Mutex::default() },
        ))
    }
}

/// The findings of one check.
#[derive(Debug, Default)]
struct Findings {
    /// How many things were checked.
    looked_at: usize,
    problems: Vec<Failure>,
    /// Problems that do not stop the bootstrap.
    warnings: Vec<String>,
}

impl Findings {
    /// Adds one checked thing.
    fn look(&mut self, problem: Option<Failure>) {
        self.looked_at += 1;
        self.problems.extend(problem);
    }

    /// Counts one more check, whose problem is only a warning.
    fn warn(&mut self, warning: Option<String>) {
        self.looked_at += 1;
        self.warnings.extend(warning);
    }

    fn join(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.problems.extend(other.problems);
        self.warnings.extend(other.warnings);
    }
}

impl FromIterator<Option<Failure>> for Findings {
    fn from_iter<I: IntoIterator<Item = Option<Failure>>>(looks: I) -> Self {
        let mut findings = Self::default();
        looks.into_iter().for_each(|problem| findings.look(problem));
        findings
    }
}

impl Subject {
    async fn check(&self, check: Check) -> Result<Findings> {
        Ok(match check {
            Check::Tools => tools::check(self),
            Check::Server => server::check(self)?,
            Check::Identity => identity::check(self).await?,
            Check::Permissions => permissions::check(self).await?,
            Check::Nodes => nodes::check(self).await?,
            Check::Addresses => addresses::check(self),
            Check::Secrets => secrets::check(self),
        })
    }
}

impl Checks {
    /// The warnings of the last observation.
    fn warned(&self) -> MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

owns_nothing!(Checks);

#[async_trait]
impl Step for Checks {
    async fn observe(&self) -> Result<Observation> {
        let answers = join_all(self.which.iter().map(|check| self.subject.check(*check))).await;
        let mut all = Findings::default();
        for answer in answers {
            match answer {
                Ok(findings) => all.join(findings),
                Err(failure) => all.look(Some(failure)),
            }
        }
        if all.problems.is_empty() {
            let mut summary = count(all.looked_at, "check");
            for warning in &all.warnings {
                summary.push_str("; warning: ");
                summary.push_str(warning);
            }
            *self.warned() = all.warnings;
            return Ok(Observation::Satisfied { summary, unchanged: 0 });
        }
        Err(joined(all))
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        futures::stream::once(async {
            // At the end of a run, warnings are checked again.
            if !self.warned().is_empty() {
                self.observe().await?;
            }
            Ok(Readiness { remarks: self.warned().clone(), ..Readiness::ready() })
        })
        .boxed()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

/// One failure that lists all problems, each with its own hint, and the warnings. The most severe problem decides
/// the exit code.
fn joined(all: Findings) -> Failure {
    let kind = if all.problems.iter().any(|problem| problem.kind == FailureKind::WrongCluster) {
        FailureKind::WrongCluster
    } else {
        FailureKind::Preflight
    };
    let failure = Failure::new(
        kind,
        format!("{} of {} checks failed; nothing was written", all.problems.len(), all.looked_at),
    );
    let failure = all.problems.into_iter().fold(failure, |failure, problem| {
        let place = problem.location.as_ref().map(|location| format!(" ({location})")).unwrap_or_default();
        let failure = failure.because(format!("{problem}{place}"));
        problem.hints.into_iter().fold(failure, |failure, hint| {
            if failure.hints.contains(&hint) { failure } else { failure.hint(hint) }
        })
    });
    all.warnings.into_iter().fold(failure, |failure, warning| failure.because(format!("warning: {warning}")))
}

fn problem(what: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Preflight, what)
}
