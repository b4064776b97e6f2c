//! Repeated diagnoses of one wait. Results are kept while the cause is unchanged, and requests are limited to
//! one in ten seconds, after an initial burst.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::gather::{Budget, Examination, explain_from, reread};
use crate::Cluster;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_diagnosis::{Scene, Symptoms};
use bootstrapper_engine::{Cause, are_same};

/// How long a cause is only rechecked, before everything is examined again.
const STANDS: Duration = Duration::from_mins(1);

/// The query results of one wait.
#[derive(Debug, Default)]
pub struct Case {
    allowance: Allowance,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    scene: Scene,
    symptoms: Symptoms,
    causes: Vec<Cause>,
    /// The time of the last full examination, and its number of requests.
    asked_at: Instant,
    cost: usize,
}

impl Case {
    /// The root causes of symptoms, with what the wait itself observes. A known cause is only rechecked.
    pub async fn examine(&mut self, cluster: &Cluster, symptoms: Symptoms, seen: Vec<Object>) -> Examination {
        let now = jiff::Timestamp::now();
        let mut left = self.allowance.left();
        let is_refusal_new = symptoms.refusal.is_some()
            && self.known.as_ref().is_none_or(|known| known.symptoms.refusal != symptoms.refusal);
        if is_refusal_new {
            left = AT_FIRST;
        } else if let Some(known) = &mut self.known {
            let again = known.again(cluster, &symptoms, &seen, now, &mut left).await;
            self.allowance.keep(left);
            let is_affordable = left >= known.cost;
            if !is_affordable || (known.is_fresh(&symptoms) && are_same(&again.causes, &known.causes)) {
                return again;
            }
        }
        let mut scene = Scene::at(now);
        for object in seen {
            scene.add(object);
        }
        let mut budget = Budget(left);
        let found = explain_from(cluster, &mut scene, &symptoms, &mut budget).await;
        self.allowance.keep(budget.0);
        let causes = found.causes.clone();
        self.known = Some(Known { scene, symptoms, causes, asked_at: Instant::now(), cost: left - budget.0 });
        found
    }
}

impl Known {
    /// The walk over the known objects, with those that may have changed: the wait's observations, and the
    /// faulty objects.
    async fn again(
        &mut self,
        cluster: &Cluster,
        symptoms: &Symptoms,
        seen: &[Object],
        now: jiff::Timestamp,
        left: &mut usize,
    ) -> Examination {
        self.scene.later(now);
        let of_the_wait: BTreeSet<ObjectRef> = seen.iter().map(ObjectRef::of).collect();
        for object in seen {
            self.scene.add(object.clone());
        }
        let roots = self.causes.iter().filter_map(|cause| cause.origins.first());
        let roots: BTreeSet<ObjectRef> =
            roots.filter(|root| !of_the_wait.contains(root)).take(*left).cloned().collect();
        *left -= reread(cluster, &mut self.scene, roots).await;
        let mut budget = Budget(*left);
        let found = explain_from(cluster, &mut self.scene, symptoms, &mut budget).await;
        *left = budget.0;
        found
    }

    /// Whether the fault was found recently, for the same symptoms. A cause in progress may turn into a
    /// failure anywhere.
    fn is_fresh(&self, symptoms: &Symptoms) -> bool {
        let is_wrong = !self.causes.is_empty() && self.causes.iter().all(|cause| !cause.transient);
        is_wrong && self.symptoms == *symptoms && self.asked_at.elapsed() < STANDS
    }
}

/// The initial burst, and the interval of further requests.
const AT_FIRST: usize = 40;
const ONE_MORE: Duration = Duration::from_secs(10);

/// The number of requests permitted now.
#[derive(Debug)]
struct Allowance {
    left: usize,
    counted_at: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: AT_FIRST, counted_at: Instant::now() }
    }
}

impl Allowance {
    fn left(&mut self) -> usize {
        let more = self.counted_at.elapsed().as_secs() / ONE_MORE.as_secs();
        self.counted_at += Duration::from_secs(more * ONE_MORE.as_secs());
        self.left = AT_FIRST.min(self.left.saturating_add(usize::try_from(more).unwrap_or(AT_FIRST)));
        self.left
    }

    fn keep(&mut self, left: usize) {
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_may_ask_once_in_ten_seconds_and_a_few_times_at_first() {
        let mut allowance = Allowance::default();
        let mut asked = 0;
        for _ in 0..600 {
            asked += allowance.left();
            allowance.keep(0);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(asked, AT_FIRST + 59);
    }
}
