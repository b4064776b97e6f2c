//! How Flux takes over: a forecast of its changes before, and a verification after.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::Kind;
use crate::adoption::{Adoption, Forecast, Ledger, Verdict as Seen};
use crate::following::ready;
use crate::owns_nothing::owns_nothing;
use crate::plan::{Inputs, Planned, Planner};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::verdict::Readiness;
use bootstrapper_engine::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step, Stuck};
use bootstrapper_gitops::pipeline::AdoptionSpec;
use bootstrapper_readiness::has_taken_over;

/// Forecasts what Flux will change, and records the state before it does.
pub(super) struct ForecastAdoption(pub Adoption);

/// Verifies what Flux changed, against the recorded state.
pub(super) struct VerifyAdoption(pub Adoption);

impl Kind for AdoptionSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Inputs { cluster, declared, helm, .. } = planner.inputs;
        let adoption =
            Adoption { cluster: cluster.clone(), declared: Arc::clone(declared), helm: helm.clone() };
        Ok(match self {
            Self::Forecast => Planned::step("hand-over forecast", ForecastAdoption(adoption)),
            Self::Verify => Planned::step("hand-over result", VerifyAdoption(adoption)),
        })
    }
}

/// Whether Flux has started: the root Kustomization has applied a revision.
async fn has_begun(adoption: &Adoption) -> Result<bool> {
    let root = adoption.cluster.get(&ObjectRef::of(&adoption.declared.sync)).await?;
    Ok(root.as_ref().is_some_and(has_taken_over))
}

impl ForecastAdoption {
    /// Whether Flux, or the operator that installs Flux and the root Kustomization together, is installed.
    async fn can_begin(&self) -> Result<bool> {
        let sync = ObjectRef::of(&self.0.declared.sync);
        let cluster = &self.0.cluster;
        Ok(cluster.serves(&sync.api_version, &sync.kind).await?
            || cluster.serves("fluxcd.controlplane.io/v1", "FluxInstance").await?)
    }
}

owns_nothing!(ForecastAdoption);

#[async_trait]
impl Step for ForecastAdoption {
    async fn observe(&self) -> Result<Observation> {
        if has_begun(&self.0).await? {
            return Ok(Observation::Satisfied { summary: "Flux has taken over".to_owned(), unchanged: 0 });
        }
        if !self.can_begin().await? {
            return Ok(Observation::Blocked { by: "Flux: it is not installed yet".to_owned() });
        }
        let forecast = self.0.forecast().await?;
        Ok(Observation::Drifted(Diff {
            summary: forecast.summary(),
            changes: changes(&forecast),
            unchanged: forecast.counts().same,
        }))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let Observation::Drifted(Diff { summary, changes, unchanged }) = act.observed else {
            return Ok(Changes::default());
        };
        let mut warnings: Vec<String> = changes.iter().map(told).collect();
        if act.strict && !warnings.is_empty() {
            let failure = Failure::step(summary.clone()).hint(
                "make the installed state match what the repository declares, or run without --strict and let Flux change it",
            );
            return Err(warnings.into_iter().fold(failure, Failure::because));
        }
        // The record is only for the verification: Flux can start without it.
        let noted = async {
            let before = self.0.record().await?;
            self.0.note(&Ledger { before, verdict: None }).await
        };
        if let Err(failure) = noted.await {
            warnings.push(format!("the state before the hand-over could not be recorded: {failure}"));
        }
        Ok(Changes { summary: summary.clone(), unchanged: *unchanged, warnings, ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        ready()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

owns_nothing!(VerifyAdoption);

#[async_trait]
impl Step for VerifyAdoption {
    async fn observe(&self) -> Result<Observation> {
        if !has_begun(&self.0).await? {
            return Ok(Observation::Awaited { waits_for: vec!["Flux to take over".into()], progress: None });
        }
        Ok(match self.0.ledger().await? {
            Some(Ledger { verdict: Some(verdict), .. }) => {
                Observation::Satisfied { summary: verdict.summary(), unchanged: 0 }
            }
            Some(_) => Observation::Drifted(Diff {
                summary: "the hand-over was not compared yet".to_owned(),
                ..Diff::default()
            }),
            None => Observation::Satisfied {
                summary: "taken over; the state before was not recorded".to_owned(),
                unchanged: 0,
            },
        })
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        let Some(Ledger { before, verdict: None }) = self.0.ledger().await? else {
            return Ok(Changes::default());
        };
        let verdict: Seen = before.verdict(&self.0.record().await?, jiff::Timestamp::now());
        let (summary, warnings) = (verdict.summary(), verdict.differences.clone());
        self.0.note(&Ledger { before, verdict: Some(verdict) }).await?;
        Ok(Changes { summary, warnings, ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        ready()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

fn changes(forecast: &Forecast) -> Vec<Change> {
    let change = |entry: &crate::adoption::ObjectForecast| Change {
        kind: ChangeKind::Configured,
        subject: entry.describe(),
        details: entry.details(),
    };
    forecast.differences().map(change).collect()
}

/// How many details of a difference a warning has; `handover` shows all.
const MOST_SHOWN: usize = 4;

fn told(change: &Change) -> String {
    let shown: Vec<&str> = change.details.iter().take(MOST_SHOWN).map(String::as_str).collect();
    let more = match change.details.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}: {}{more}", change.subject, shown.join(", "))
}
