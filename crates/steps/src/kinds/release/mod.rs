//! A Helm release, as its HelmRelease declares it.

mod need;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;

use crate::explain::{Explainer, about};
use crate::flux_owner::{FluxOwner, foreign_revision, owned_since};
use crate::following::follow_ready;
use crate::teardown::releases;
use crate::teardown::removal::{self, Removal};
use need::{Evidence, Need, need};

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_cluster::{Cluster, StoredRelease};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::object::{Object, ObjectRef, is_workload};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_core::words::count;
use bootstrapper_engine::{
    Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Owned, Step, Stuck, Teardown, Undo,
};
use bootstrapper_gitops::pipeline::ReleaseSpec;
use bootstrapper_gitops::{self as gitops, HelmAction};
use bootstrapper_tools::{CHART_DIGEST, HELM_PROCESS, Helm, Signature, chart_label, helm_has_exited};

/// A Helm release, as its HelmRelease declares it.
pub(super) struct Release {
    /// The API server.
    pub cluster: Cluster,
    /// Installs it; or the reason why Helm is missing, which preflight reports first.
    pub helm: Result<Arc<Helm>>,
    /// The declared release.
    pub declared: Arc<gitops::Release>,
    /// Whether its workloads must be ready, or a deployed release is enough. A network plugin's own workloads
    /// wait for what comes later: load-balancer addresses, cluster DNS.
    pub await_workloads: bool,
    /// Diagnoses its wait.
    pub explainer: Explainer,
}

impl Release {
    fn owner(&self) -> FluxOwner {
        FluxOwner(self.declared.id.clone())
    }

    fn name(&self) -> String {
        format!("release {}/{}", self.declared.release_namespace, self.declared.release_name)
    }

    /// Who owns it, and what needs to be done.
    async fn look(&self) -> Result<Ownership> {
        let flux = self.owner().object(&self.cluster).await?;
        if let Some(since) = flux.as_ref().and_then(owned_since) {
            let Self { cluster, declared, .. } = self;
            let newest = cluster.helm_revision(&declared.release_namespace, &declared.release_name).await?;
            let other = flux.as_ref().and_then(|flux| foreign_revision(flux, newest));
            return Ok(Ownership::Flux(other.map_or(since.clone(), |other| format!("{since}; {other}"))));
        }
        let stored = self.stored().await?;
        if let Some(stored) = &stored {
            self.require_same_archive(stored).await?;
        }
        let resolved = match (&self.helm, &stored) {
            (Ok(helm), Some(stored)) if self.needs_own_version(stored) => {
                let request = self.declared.helm_request(HelmAction::Upgrade);
                let version = helm.resolved_version(&request.chart, &request.access).await;
                // The version of a digest is all there is; any other one is declared.
                if self.declared.chart.digest().is_some() { Some(version?) } else { version.ok() }
            }
            _ => None,
        };
        let evidence = Evidence {
            flux: flux.as_ref(),
            resolved: resolved.as_deref(),
            limit: self.declared.helm_limit(),
            now: Timestamp::now(),
            has_exited: &helm_has_exited,
        };
        Ok(Ownership::Bootstrap(need(stored.as_ref(), &self.declared, &evidence), stored.map(Box::new)))
    }

    /// Whether only the chart itself tells if it is the installed one: it is declared by digest, by a range, by
    /// a tag that is no version, or by the version of a HelmRepository, which Flux does not compare with its own.
    fn needs_own_version(&self, stored: &StoredRelease) -> bool {
        let chart = &self.declared.chart;
        let is_artifact = self.declared.access.as_ref().is_ok_and(|access| access.is_artifact);
        let is_compared = is_artifact && chart.exact_version().is_some();
        chart.digest().is_some() || !is_compared && !chart.is_met_by(&stored.chart_version)
    }

    /// Fails if the archive of the chart differs from that of the newest revision with the same version: the
    /// installed one was chosen, the new one was not. An archive that cannot be downloaded now is not compared.
    async fn require_same_archive(&self, stored: &StoredRelease) -> Result<()> {
        let Self { declared, .. } = self;
        let Some(label) = stored.labels.get(CHART_DIGEST) else { return Ok(()) };
        let is_of_it = label.starts_with(&format!("{}.", stored.revision));
        let is_same_version =
            declared.chart.exact_version().is_some() && declared.chart.is_met_by(&stored.chart_version);
        let (true, true, Ok(helm)) = (is_of_it, is_same_version, &self.helm) else { return Ok(()) };
        let access = declared.helm_request(HelmAction::Upgrade).access;
        let digest = match helm.archive_digest(&declared.chart, &access).await {
            Ok(Some(digest)) => digest,
            Err(failure) if failure.retry != Retry::MayHelp => return Err(failure),
            Ok(None) | Err(_) => return Ok(()),
        };
        let fetched = chart_label(stored.revision, &digest);
        if fetched == *label {
            return Ok(());
        }
        let shown = |label: &str| label.split_once('.').map_or(label, |(_, digest)| digest).to_owned();
        let secret = &stored.secret;
        Err(Failure::input(format!(
            "chart {} differs from the installed archive of the same version",
            declared.chart
        ))
        .because(format!("sha256 installed: {}…", shown(label)))
        .because(format!("sha256 fetched:   {}…", shown(&fetched)))
        .hint("its publisher replaced it under the same version: declare a different version")
        .hint(format!(
            "if you know why, accept it: kubectl -n {} label secret {} {CHART_DIGEST}-",
            secret.namespace.as_deref().unwrap_or_default(),
            secret.name
        )))
    }

    /// Fails if the chart lacks the signature that its source requires, or if Flux would never install it:
    /// shown by a plan, before anything runs. A chart that cannot be downloaded now is checked before it is
    /// installed.
    async fn require_chart(&self) -> Result<()> {
        let request = self.declared.helm_request(HelmAction::Install);
        let Ok(helm) = &self.helm else { return Ok(()) };
        if matches!(request.access.signature, Some(Signature::Required(_)))
            && let Err(failure) = helm.pull(&request.chart, &request.access).await
            && failure.retry != Retry::MayHelp
        {
            return Err(failure);
        }
        match helm.unfit(&request.chart, &request.access).await {
            Ok(unfit) => unfit.map_or(Ok(()), Err),
            // An unreachable chart may be reachable when it is needed; one that is missing is reported then.
            Err(_) => Ok(()),
        }
    }

    /// The chart, with the version that a range or a digest resolves to.
    async fn chart(&self) -> String {
        let chart = &self.declared.chart;
        let access = self.declared.helm_request(HelmAction::Install).access;
        match &self.helm {
            Ok(helm) if chart.exact_version().is_none() => {
                match helm.resolved_version(chart, &access).await {
                    Ok(version) => format!("{chart}: {version}"),
                    Err(_) => chart.to_string(),
                }
            }
            _ => chart.to_string(),
        }
    }

    /// The stored release, if a bootstrap created it, or Flux did as the HelmRelease says.
    async fn own(&self) -> Result<Option<StoredRelease>> {
        let is_flux = |object: &Object| {
            let labels = object.metadata.labels.as_ref();
            let label = |key: &str| labels.and_then(|all| all.get(&format!("helm.toolkit.fluxcd.io/{key}")));
            let id = &self.declared.id;
            label("name") == Some(&id.name) && label("namespace") == id.namespace.as_ref()
        };
        let is_own = |stored: &StoredRelease| {
            stored.labels.contains_key(HELM_PROCESS) || stored.objects.iter().any(is_flux)
        };
        Ok(self.stored().await?.filter(is_own))
    }

    async fn stored(&self) -> Result<Option<StoredRelease>> {
        self.cluster.helm_release(&self.declared.release_namespace, &self.declared.release_name).await
    }
}

impl Kind for ReleaseSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Some(release) = planner.inputs.declared.release(&self.0) else {
            return planner.absent("HelmRelease", &self.0);
        };
        let digest = Some(planner.digest_of_text(format!("{} {}", release.chart, release.values)));
        if release.is_suspended() {
            let reason = "it is suspended: Flux would not install it".to_owned();
            return Ok(Planned::skipped(release.id.to_string(), reason).with_digest(digest));
        }
        let title = format!(
            "release {}/{} {}",
            release.release_namespace,
            release.release_name,
            release.chart.version_text()
        );
        let step = Release {
            cluster: planner.inputs.cluster.clone(),
            helm: planner.inputs.helm.clone(),
            declared: Arc::new(release.clone()),
            await_workloads: planner.spec.await_workloads(),
            explainer: Explainer::default(),
        };
        if let Err(failure) = release.installable() {
            let failure = planner.placed(failure);
            return Ok(Planned::impossible(title, failure, Arc::new(step)).with_digest(digest));
        }
        Ok(Planned::step(title, step).with_digest(digest))
    }
}

/// Who owns a release.
enum Ownership {
    /// Flux has adopted it; with a text about that.
    Flux(String),
    /// The bootstrap, unless another Helm is operating on it.
    Bootstrap(Need, Option<Box<StoredRelease>>),
}

#[async_trait]
impl Undo for Release {
    async fn owned(&self) -> Result<Owned> {
        let owners = vec![self.declared.id.clone()];
        let made = Owned { by: "helm", owners, ..Owned::default() };
        let Some(stored) = self.own().await? else { return Ok(made) };
        let objects = releases::objects(&self.cluster, &stored, &self.declared.release_namespace).await?;
        let details = vec![format!("revision {}", stored.revision), count(objects.len(), "object")];
        let change = Change { kind: ChangeKind::Deleted, subject: self.name(), details };
        let diff = Diff { summary: "1 release".to_owned(), changes: vec![change], unchanged: 0 };
        let uses = releases::mounted(&stored, &self.declared.release_namespace);
        Ok(Owned { diff, objects, uses, ..made })
    }

    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes> {
        if let Some(since) = self.owner().owns(&self.cluster).await? {
            return Err(Failure::step(format!("{} cannot be removed", self.name()))
                .because(format!("{}: {since}; it would be installed again", self.declared.id))
                .hint("with --flux-too Flux releases it first"));
        }
        let Owned { diff, objects, .. } = self.owned().await?;
        if !diff.changes.is_empty() {
            (teardown.say)(format!("helm: uninstalling {}", self.name()));
            let helm = self.helm.as_ref().map_err(Clone::clone)?;
            let relay = self.cluster.relay().await?;
            let Self { declared, .. } = self;
            helm.uninstall(&declared.release_name, &declared.release_namespace, relay.access()).await?;
            // Helm deletes objects, and does not wait.
            removal::await_removal(&self.cluster, &objects, Removal::Await, teardown).await?;
        }
        Ok(Changes { summary: diff.summary, changes: diff.changes, ..Changes::default() })
    }
}

#[async_trait]
impl Step for Release {
    async fn observe(&self) -> Result<Observation> {
        let known = self.look().await?;
        if matches!(known, Ownership::Bootstrap(Need::Install | Need::Upgrade(_) | Need::Recover(_), _)) {
            self.require_chart().await?;
        }
        let change = |kind, details| Diff {
            summary: self.name(),
            changes: vec![Change { kind, subject: self.name(), details }],
            unchanged: 0,
        };
        Ok(match known {
            Ownership::Flux(summary) => Observation::Satisfied { summary, unchanged: 1 },
            Ownership::Bootstrap(Need::Nothing, stored) => {
                let revision = stored.map(|stored| stored.revision).unwrap_or_default();
                let summary = format!("{} revision {revision} as declared", self.name());
                Observation::Satisfied { summary, unchanged: 1 }
            }
            Ownership::Bootstrap(Need::Install, _) => {
                let details = [self.chart().await].into_iter().chain(self.declared.unverified());
                Observation::Missing(change(ChangeKind::Created, details.collect()))
            }
            Ownership::Bootstrap(Need::Upgrade(differences), _) => {
                Observation::Drifted(change(ChangeKind::Configured, differences))
            }
            Ownership::Bootstrap(Need::Recover(why), _) => {
                Observation::Drifted(change(ChangeKind::Configured, vec![format!("{why}: recovered first")]))
            }
            Ownership::Bootstrap(Need::Wait(why), _) => {
                Observation::Blocked { by: format!("{}: {why}", self.name()) }
            }
        })
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        // Since the observation, Flux may have taken over, or an earlier attempt may have succeeded.
        let mut known = self.look().await?;
        let recovered = matches!(&known, Ownership::Bootstrap(Need::Recover(_), _));
        if let Ownership::Bootstrap(Need::Recover(why), Some(stored)) = &known {
            (act.say)(format!("removing revision {}: {why}", stored.revision));
            // Helm then finds the previous revision, or none; objects created meanwhile have the labels of the
            // release, and are adopted.
            self.cluster.delete(&stored.secret).await?;
            known = self.look().await?;
        }
        let (need, next) = match known {
            Ownership::Flux(summary) => return Ok(Changes { summary, ..Changes::default() }),
            Ownership::Bootstrap(need, stored) => (need, stored.map_or(1, |stored| stored.revision + 1)),
        };
        let (kind, action) = match need {
            Need::Nothing if recovered => {
                let details = vec!["as before the interrupted operation".to_owned()];
                let change = Change { kind: ChangeKind::Configured, subject: self.name(), details };
                return Ok(Changes { summary: self.name(), changes: vec![change], ..Changes::default() });
            }
            Need::Nothing => {
                return Ok(Changes { summary: self.name(), unchanged: 1, ..Changes::default() });
            }
            Need::Install => (ChangeKind::Created, HelmAction::Install),
            Need::Upgrade(_) => (ChangeKind::Configured, HelmAction::Upgrade),
            Need::Recover(why) | Need::Wait(why) => {
                return Err(Failure::step(format!("{} is locked by another Helm operation", self.name()))
                    .because(why)
                    .retry(Retry::MayHelp));
            }
        };
        (act.say)(format!("helm: {} {}", self.name(), self.declared.chart));
        let helm = self.helm.as_ref().map_err(Clone::clone)?;
        let relay = self.cluster.relay().await?;
        helm.upgrade_install(&self.declared.complete_request(action)?, next, relay.access()).await?;
        if let Some(word) = helm.unverified_remark(&self.declared.chart).await {
            (act.say)(format!("helm: {word}"));
        }
        let chart = self.chart().await;
        let change = Change { kind, subject: self.name(), details: vec![chart] };
        Ok(Changes {
            summary: format!("{} {}", self.name(), self.declared.chart.version_text()),
            changes: vec![change],
            warnings: self.declared.unverified().into_iter().collect(),
            ..Changes::default()
        })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let own = stream::once(async move {
            match self.workloads().await {
                Ok(workloads) => follow_ready(&self.cluster, workloads),
                Err(failure) => stream::once(async move { Err(failure) }).boxed(),
            }
        })
        .flatten()
        .boxed();
        self.owner().settle_or(&self.cluster, own)
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        // The watched objects were read from the previous release.
        let workloads = match stuck.readiness.filter(|readiness| !readiness.observed.is_empty()) {
            Some(_) => Vec::new(),
            None => self.workloads().await.unwrap_or_default(),
        };
        let causes = self.explainer.of_objects(&self.cluster, &workloads, stuck).await;
        about(causes, &declared_in(&self.declared))
    }
}

/// What declares a release: an artifact's tag is in its source, anything else in the HelmRelease.
pub(crate) fn declared_in(release: &gitops::Release) -> [ObjectRef; 2] {
    let (own, source) = (release.id.clone(), release.source.clone());
    if source.kind == "OCIRepository" { [source, own] } else { [own, source] }
}

impl Release {
    /// The workloads of the release, without Services: a Service that waits for an address often waits for an
    /// object that only a later step can create.
    async fn workloads(&self) -> Result<Vec<ObjectRef>> {
        if !self.await_workloads {
            return Ok(Vec::new());
        }
        let stored = self.stored().await?.ok_or_else(|| {
            Failure::step(format!("{} has no stored state", self.name())).retry(Retry::MayHelp)
        })?;
        Ok(stored
            .objects
            .iter()
            .filter(|object| is_workload(object))
            .map(|object| self.located(object))
            .collect())
    }

    /// Charts often leave the namespace of their objects to Helm.
    fn located(&self, object: &Object) -> ObjectRef {
        let mut id = ObjectRef::of(object);
        id.namespace.get_or_insert_with(|| self.declared.release_namespace.clone());
        id
    }
}
