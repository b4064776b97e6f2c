//! Queries Helm and the API server for the changes of the upgrade with which Flux takes a release over.

use futures::future::try_join_all;

use super::Adoption;
use super::dry_run::{AT_ONCE, at_most, json};
use super::effect::{Effect, ObjectForecast, effect};
use super::forecast::{Forecast, Hook, Unseen};
use super::helm_rules::{Due, changes, is_typed, merge_patch, removed};
use bootstrapper_cluster::{Answer, ApplyMethod, Cluster, HELM_CONTROLLER, StoredRelease, Write, covers};
use bootstrapper_core::failure::{Result, Retry};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_gitops::{CrdPolicy, HelmAction, Release};
use bootstrapper_tools::HelmRequest;

impl Adoption {
    pub(super) async fn of_release(&self, release: &Release) -> Result<Forecast> {
        let mut forecast = Forecast::default();
        if self.is_settled(&release.object, &mut forecast).await? {
            return Ok(forecast);
        }
        let (namespace, name) = (&release.release_namespace, &release.release_name);
        let Some(stored) = self.cluster.helm_release(namespace, name).await? else {
            forecast.installs.push(release.id.clone());
            return Ok(forecast);
        };
        if let Err(failure) = release.installable() {
            forecast.unseen.push(Unseen { id: release.id.clone(), because: failure.to_string() });
            return Ok(forecast);
        }
        let helm = self.helm.as_ref().map_err(Clone::clone)?;
        let request = HelmRequest {
            is_tracked: self.is_tracked(release).await?,
            ..release.helm_request(HelmAction::Upgrade)
        };
        let relay = self.cluster.relay().await?;
        let rehearsal = match helm.rehearse(&request, relay.access()).await {
            Ok(rehearsal) => rehearsal,
            Err(failure) if failure.retry == Retry::Useless => {
                let effect = Effect::Refused { because: failure.to_string() };
                let id = release.id.clone();
                forecast.objects.push(ObjectForecast { object: id.clone(), by: id, effect });
                return Ok(forecast);
            }
            Err(failure) => return Err(failure),
        };
        let wanted = self.located(rehearsal.objects, namespace).await?;
        let before = self.located(stored.objects.clone(), namespace).await?;
        let all: Vec<_> = changes(&before, &wanted)
            .into_iter()
            .map(|due| self.applied_by_helm(due, &stored, release))
            .collect();
        forecast.objects = at_most(AT_ONCE, all).await?;
        let shipped = helm.show_crds(&request).await?;
        let all: Vec<_> = shipped.iter().map(|crd| self.shipped(crd, &stored, release)).collect();
        forecast.objects.extend(at_most(AT_ONCE, all).await?);
        let hooks = self.located(rehearsal.hooks, namespace).await?;
        forecast.hooks =
            hooks.iter().map(|hook| Hook { object: ObjectRef::of(hook), by: release.id.clone() }).collect();
        Ok(forecast)
    }

    /// Charts often leave the namespace of their objects to Helm.
    pub(super) async fn located(&self, objects: Vec<Object>, namespace: &str) -> Result<Vec<Object>> {
        try_join_all(objects.into_iter().map(|object| self.cluster.located(object, namespace))).await
    }

    /// Whether the cluster's helm-controller appends the chart's digest to its version; the repository may
    /// declare something else.
    async fn is_tracked(&self, release: &Release) -> Result<bool> {
        if release.object.data["spec"]["chartRef"]["kind"] != "OCIRepository" {
            return Ok(false);
        }
        let controllers =
            Selection::of("apps/v1", "Deployment").labelled("app.kubernetes.io/component=helm-controller");
        let found = self.cluster.list(&controllers).await?;
        Ok(!found
            .iter()
            .any(|controller| json(controller).to_string().contains("DisableChartDigestTracking=true")))
    }

    /// The effect on a CRD in the chart's `crds` folder (`internal/action/crds.go` of helm-controller v1.6.0).
    async fn shipped(
        &self,
        crd: &Object,
        stored: &StoredRelease,
        release: &Release,
    ) -> Result<ObjectForecast> {
        let id = ObjectRef::of(crd);
        let policy = release.crds(HelmAction::Upgrade);
        let mut wanted = crd.clone();
        wanted.metadata.labels.get_or_insert_default().extend(release.origin_labels());
        let effect = match (policy, self.cluster.get(&id).await?) {
            (CrdPolicy::Skip, _) => Effect::LeftAlone,
            (_, None) => Effect::Created,
            (CrdPolicy::Create, Some(_)) if !is_server_side(stored) => Effect::LeftAlone,
            (_, Some(live)) => {
                let write = if is_server_side(stored) {
                    Write::Apply(&wanted)
                } else {
                    wanted.metadata.resource_version.clone_from(&live.metadata.resource_version);
                    Write::Replace(&wanted)
                };
                told(&live, self.cluster.dry_run(&id, write, HELM_CONTROLLER).await?, Vec::new())
            }
        };
        Ok(ObjectForecast { object: id, by: release.id.clone(), effect })
    }

    async fn applied_by_helm(
        &self,
        due: Due<'_>,
        stored: &StoredRelease,
        release: &Release,
    ) -> Result<ObjectForecast> {
        let object = ObjectRef::of(match due {
            Due::Applied { wanted, .. } | Due::Deleted(wanted) => wanted,
        });
        let live = self.cluster.get(&object).await?;
        let effect = match (due, live) {
            (Due::Deleted(_), Some(_)) => Effect::Deleted,
            // Helm ignores that it is missing.
            (Due::Deleted(_), None) => Effect::Same { marks: 0 },
            (Due::Applied { .. }, None) => Effect::Missing,
            (Due::Applied { wanted, stored: before }, Some(live)) => {
                upgraded(&self.cluster, wanted, before, &live, is_server_side(stored)).await?
            }
        };
        Ok(ObjectForecast { object, by: release.id.clone(), effect })
    }
}

/// The effect of an upgrade on an existing object.
async fn upgraded(
    cluster: &Cluster,
    wanted: &Object,
    before: Option<&Object>,
    live: &Object,
    is_server_side: bool,
) -> Result<Effect> {
    let id = ObjectRef::of(wanted);
    let (old, new, stands) = (before.map(json), json(wanted), json(live));
    if is_server_side {
        let answer = cluster.dry_run(&id, Write::Apply(wanted), HELM_CONTROLLER).await?;
        return Ok(told(live, answer, Vec::new()));
    }
    if !is_typed(&id) {
        // Without an old manifest, the live object takes its place.
        let Some(patch) = merge_patch(old.as_ref().unwrap_or(&stands), &new) else {
            return Ok(Effect::Same { marks: 0 });
        };
        return Ok(told(
            live,
            cluster.dry_run(&id, Write::Merge(&patch), HELM_CONTROLLER).await?,
            Vec::new(),
        ));
    }
    let gone = old.map(|old| removed(&old, &new, &stands)).unwrap_or_default();
    if gone.is_empty() && covers(live, wanted) {
        return Ok(Effect::Same { marks: 0 });
    }
    // An apply merges lists by their keys, as Helm does; only the server knows the keys.
    Ok(told(live, cluster.dry_run(&id, Write::Apply(wanted), HELM_CONTROLLER).await?, gone))
}

/// The effect shown by the API server's answer; `gone` are additional removed fields.
fn told(live: &Object, answer: Answer, gone: Vec<String>) -> Effect {
    match answer {
        Answer::Taken(after) => effect(live, &after, gone),
        Answer::Immutable(because) | Answer::Refused(because) => Effect::Refused { because },
    }
}

/// An upgrade uses the apply method of the previous revision.
fn is_server_side(stored: &StoredRelease) -> bool {
    stored.apply_method == ApplyMethod::ServerSide
}
