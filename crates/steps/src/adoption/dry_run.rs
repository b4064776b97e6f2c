//! Queries the API server for what Flux will change.

use std::thread::available_parallelism;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::dropped::dropped;
use super::effect::{Effect, ObjectForecast, effect};
use super::forecast::{Forecast, Unseen};
use super::observe::DEFAULT;
use super::{Adoption, kustomize_rules};
use bootstrapper_cluster::{Answer, Write};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::{Kustomization, UNKNOWN};
use bootstrapper_readiness::has_taken_over;

/// How many objects are compared concurrently. The API server's priority and fairness limits more.
pub(super) const AT_ONCE: usize = 16;

impl Adoption {
    /// Forecasts what Flux will change, except for what it already owns.
    pub async fn forecast(&self) -> Result<Forecast> {
        let mut forecast = Forecast::default();
        for part in [self.kustomizations().await?, self.releases().await?].into_iter().flatten() {
            forecast.objects.extend(part.objects);
            forecast.hooks.extend(part.hooks);
            forecast.installs.extend(part.installs);
            forecast.owned.extend(part.owned);
            forecast.unseen.extend(part.unseen);
        }
        Ok(forecast)
    }

    async fn kustomizations(&self) -> Result<Vec<Forecast>> {
        let all: Vec<_> = self
            .declared
            .kustomizations
            .iter()
            .map(|kustomization| self.of_kustomization(kustomization))
            .collect();
        // Each one compares many objects concurrently already.
        stream::iter(all).buffered(2).try_collect().await
    }

    async fn releases(&self) -> Result<Vec<Forecast>> {
        let all: Vec<_> = self.declared.releases.iter().map(|release| self.of_release(release)).collect();
        // Each one runs Helm, which uses one core.
        let at_once = available_parallelism().map_or(2, usize::from);
        at_most(at_once, all).await
    }

    /// Whether Flux already owns it, or does not reconcile it now; then there is nothing to forecast.
    pub(super) async fn is_settled(&self, declared: &Object, forecast: &mut Forecast) -> Result<bool> {
        let id = ObjectRef::of(declared);
        if self.cluster.get(&id).await?.as_ref().is_some_and(has_taken_over) {
            forecast.owned.push(id);
            return Ok(true);
        }
        if declared.data["spec"]["suspend"] == true {
            forecast.unseen.push(Unseen { id, because: "it is suspended".to_owned() });
            return Ok(true);
        }
        Ok(false)
    }

    async fn of_kustomization(&self, kustomization: &Kustomization) -> Result<Forecast> {
        let mut forecast = Forecast::default();
        if self.is_settled(&kustomization.object, &mut forecast).await? {
            return Ok(forecast);
        }
        if !kustomization.is_here {
            let because = "it takes its files from another repository".to_owned();
            forecast.unseen.push(Unseen { id: kustomization.id.clone(), because });
        }
        // The operator applies the objects of ResourceSets.
        let (places, own): (Vec<usize>, Vec<Object>) =
            kustomization.own_objects().map(|(at, object)| (at, object.clone())).unzip();
        let objects = self.located(own, DEFAULT).await?;
        let all: Vec<_> = objects
            .iter()
            .zip(places)
            .map(|(object, at)| async move {
                let effect =
                    self.applied_by_kustomize(object, kustomization.is_complete(at), kustomization).await?;
                Ok::<_, bootstrapper_core::failure::Failure>(ObjectForecast {
                    object: ObjectRef::of(object),
                    by: kustomization.id.clone(),
                    effect,
                })
            })
            .collect();
        forecast.objects = at_most(AT_ONCE, all).await?;
        Ok(forecast)
    }

    async fn applied_by_kustomize(
        &self,
        object: &Object,
        is_complete: bool,
        kustomization: &Kustomization,
    ) -> Result<Effect> {
        let id = ObjectRef::of(object);
        let Some(live) = self.cluster.get(&id).await? else { return Ok(Effect::Created) };
        if kustomize_rules::is_left_alone(object, &live) {
            return Ok(Effect::LeftAlone);
        }
        if let Some(because) = only_in_cluster(object, is_complete) {
            return Ok(Effect::Unknown { because });
        }
        let wanted = kustomize_rules::as_applied(object, &kustomization.id);
        let answer = self.cluster.dry_run(&id, Write::Apply(&wanted), kustomize_rules::MANAGER).await?;
        let is_forced = kustomize_rules::is_forced(&kustomization.object, object, &live);
        Ok(match answer {
            Answer::Taken(after) => {
                let entries = live.metadata.managed_fields.as_deref().unwrap_or_default();
                let is_taken = |entry: &_| kustomize_rules::is_taken(entry, object, &live);
                effect(&live, &after, dropped(&json(&live), &json(&wanted), entries, is_taken))
            }
            Answer::Immutable(because) if is_forced => Effect::Recreated { because },
            Answer::Immutable(because) | Answer::Refused(because) => Effect::Refused { because },
        })
    }
}

/// Awaits all futures, at most `number` concurrently.
pub(super) async fn at_most<T>(number: usize, all: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    stream::iter(all).buffered(number).try_collect().await
}

/// Why only the cluster knows what Flux will apply.
fn only_in_cluster(object: &Object, is_complete: bool) -> Option<String> {
    if object.data["sops"]["mac"].is_string() {
        return Some("it is encrypted with SOPS".to_owned());
    }
    let is_unknown = !is_complete || json(object).to_string().contains(UNKNOWN);
    is_unknown.then(|| "a value in it comes from a Secret".to_owned())
}

pub(super) fn json(object: &Object) -> serde_json::Value {
    serde_json::json!(object)
}
