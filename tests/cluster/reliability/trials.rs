//! One disturbance of one life: how it ended, and whether anybody could tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::estate::{Ground, TIMEOUT, Trial};
use super::everything::differences;
use super::run::{Ended, Run, kill};
use crate::proxy::{Call, Fate, Weather, fair};

/// How many runs may follow one that was disturbed.
const RUNS: usize = 5;

/// What became of a trial.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Where the fault was: `write 3`.
    pub(crate) at: String,
    /// How many runs it took; none if the last one that is allowed failed, too.
    pub(crate) runs: Option<usize>,
    /// What differs from a life without disturbance; empty if nothing does.
    pub(crate) differences: Vec<String>,
    /// How long all runs took together.
    pub(crate) took: Duration,
}

/// Where the time of an undisturbed life, and its end, are known.
pub(crate) struct Undisturbed {
    pub(crate) took: Duration,
    pub(crate) writes: u64,
    pub(crate) helm_writes: u64,
    state: std::collections::BTreeMap<String, Value>,
}

/// Whose write it is at which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Anyones,
    Helms,
}

/// Who is killed as a write comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Tool,
    Helm,
}

impl Undisturbed {
    pub(crate) async fn of(ground: &Ground) -> Self {
        let trial = ground.trial();
        let helm_writes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&helm_writes);
        ground.proxy.weather(Arc::new(move |call: &Call| {
            if call.is_helms && call.write.is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Passes
        }));
        let ended = trial.run().await;
        assert_eq!(ended.code, Some(0), "{}", ended.failure);
        let writes = ground.proxy.writes();
        assert_eq!(trial.revisions().await, [(1, "deployed".to_owned())]);
        let helm_writes = helm_writes.load(Ordering::SeqCst);
        assert!(helm_writes > 2, "Helm goes through the proxy");
        Self { took: ended.took, writes, helm_writes, state: trial.end_state().await }
    }

    /// Runs again until a run ends well, in the same weather if it `lasts`; then looks at what there is.
    pub(crate) async fn compare(
        &self,
        ground: &Ground,
        trial: &Trial<'_>,
        first: Ended,
        at: String,
        lasts: bool,
    ) -> Outcome {
        let mut took = first.took;
        let mut last = first;
        let mut runs = 1;
        while last.code != Some(0) && runs < RUNS {
            if !lasts {
                ground.proxy.weather(fair());
            }
            trial.is_over().await;
            last = trial.run().await;
            took += last.took;
            runs += 1;
        }
        ground.proxy.weather(fair());
        trial.is_over().await;
        if last.code != Some(0) {
            return Outcome {
                at,
                runs: None,
                differences: vec![format!("exit {:?}: {}", last.code, last.failure)],
                took,
            };
        }
        let differences = self.differences(ground, trial).await;
        Outcome { at, runs: Some(runs), differences, took }
    }

    async fn differences(&self, ground: &Ground, trial: &Trial<'_>) -> Vec<String> {
        let mut differences = differences(&self.state, &trial.end_state().await);
        let revisions = trial.revisions().await;
        let is_well = |(place, (revision, state)): (usize, &(u64, String))| {
            let is_last = place + 1 == revisions.len();
            let is_once = revisions.iter().filter(|(other, _)| other == revision).count() == 1;
            is_once && (state == "deployed") == is_last && !state.starts_with("pending")
        };
        if !revisions.iter().enumerate().all(is_well) {
            differences.push(format!("revisions: {revisions:?}"));
        }
        // That of a run that has died is nobody's: whoever writes next takes it at once.
        differences.extend(ground.cluster.lock_holding().await.unwrap());
        let again = trial.run().await;
        if again.code != Some(0) || ground.proxy.writes() != 0 {
            differences.push(format!("run again: exit {:?}, {} writes", again.code, ground.proxy.writes()));
        }
        differences
    }

    /// Somebody is killed with the `k`-th write: before the API server hears of it, or after it has
    /// done it and before anybody knows.
    pub(crate) async fn killed(
        &self,
        ground: &Ground,
        victim: Victim,
        whose: Whose,
        k: u64,
        fate: Fate,
    ) -> Outcome {
        let trial = ground.trial();
        ground.proxy.weather(fair());
        let (sender, mut come) = tokio::sync::mpsc::unbounded_channel();
        let seen = AtomicU64::new(0);
        ground.proxy.weather(Arc::new(move |call: &Call| {
            let counts = call.write.is_some() && (whose == Whose::Anyones || call.is_helms);
            if counts && seen.fetch_add(1, Ordering::SeqCst) + 1 == k {
                let _ = sender.send(());
                return fate;
            }
            Fate::Passes
        }));
        let mut run = trial.start();
        let id = run.id();
        let come = async {
            come.recv().await;
        };
        tokio::select! {
            () = come => {}
            _ = run.comes_to(|_| false) => {}
        }
        match victim {
            Victim::Tool => kill(id),
            Victim::Helm => {
                trial
                    .processes()
                    .iter()
                    .filter(|(_, program)| program == "helm")
                    .for_each(|(id, _)| kill(*id));
            }
        }
        let first = run.ends(TIMEOUT).await;
        let moment = if fate == Fate::Unheard { "before" } else { "after" };
        self.compare(ground, &trial, first, format!("{moment} write {k}"), false).await
    }

    /// The weather lasts over all runs.
    pub(crate) async fn in_weather(&self, ground: &Ground, weather: Weather, at: String) -> Outcome {
        let trial = ground.trial();
        ground.proxy.weather(weather);
        let first = trial.run().await;
        self.compare(ground, &trial, first, at, true).await
    }

    /// Watches fare so while the run waits for a guest that comes only now.
    pub(crate) async fn watching(&self, ground: &Ground, fate: Fate) -> Outcome {
        let trial = ground.trial_with_guest();
        let has_come = Arc::new(AtomicBool::new(false));
        let (comes, (lie, mut lies)) = (Arc::clone(&has_come), tokio::sync::mpsc::unbounded_channel());
        ground.proxy.weather(Arc::new(move |call: &Call| {
            let lies = call.is_watch && !call.is_helms && call.path.ends_with("/configmaps");
            // Who listens anew is heard.
            if !lies || comes.load(Ordering::SeqCst) {
                return Fate::Passes;
            }
            let _ = lie.send(());
            fate
        }));
        let mut run = trial.start();
        let waits =
            |event: &Value| event["event"] == "step-waiting" && event["step"].to_string().contains("guest");
        // It looks once, and then waits: the watch of its wait is the one that is to lie.
        assert!(run.comes_to(waits).await, "{}", trial.said());
        while lies.try_recv().is_ok() {}
        assert!(run.comes_to(waits).await, "{}", trial.said());
        lies.recv().await.unwrap();
        has_come.store(true, Ordering::SeqCst);
        trial.guest_comes().await;
        ground.proxy.moment_has_come();
        let first = run.ends(TIMEOUT).await;
        let outcome = self.compare(ground, &trial, first, "a wait".to_owned(), true).await;
        // Nobody else has a guest.
        let differences = outcome.differences.into_iter().filter(|told| !told.contains("guest")).collect();
        Outcome { differences, ..outcome }
    }

    /// Something breaks as the run comes to its `k`-th step, and heals when `until` says so.
    pub(crate) async fn outage<B: Future<Output = ()>, U: AsyncFnOnce(&mut Run), H: Future<Output = ()>>(
        &self,
        ground: &Ground,
        k: usize,
        breaks: impl FnOnce() -> B,
        until: U,
        heals: impl FnOnce() -> H,
    ) -> Outcome {
        let trial = ground.trial();
        ground.proxy.weather(fair());
        let mut run = trial.start();
        let mut step = String::new();
        for _ in 0..k {
            let name = std::sync::Mutex::new(String::new());
            let starts = |event: &Value| {
                event["step"].to_string().clone_into(&mut name.lock().unwrap());
                event["event"] == "step-started"
            };
            assert!(run.comes_to(starts).await, "{}", trial.said());
            step = name.into_inner().unwrap();
        }
        breaks().await;
        until(&mut run).await;
        heals().await;
        let first = run.ends(TIMEOUT).await;
        self.compare(ground, &trial, first, step, false).await
    }

    /// The network of a run is cut for so long that another run takes its place, and dies there: it writes
    /// no more, though there is much to do.
    pub(crate) async fn taken_over(&self, ground: &Ground) -> Outcome {
        let trial = ground.trial();
        ground.proxy.weather(fair());
        let mut cut_off = trial.start();
        let has_begun =
            |event: &Value| event["event"] == "step-started" && event["step"]["stage"] == "objects";
        assert!(cut_off.comes_to(has_begun).await, "{}", trial.said());
        ground.proxy.weather(Arc::new(|_| Fate::Unheard));
        let mut other = trial.start_directly();
        // Who has changed something holds the lock.
        assert!(other.comes_to(|event| event["event"] == "step-acted").await, "{}", trial.said());
        kill(other.id());
        other.ends(TIMEOUT).await;
        ground.proxy.weather(fair());
        let cut_off = cut_off.ends(TIMEOUT).await;
        assert_eq!((cut_off.code, ground.proxy.writes()), (Some(8), 0), "{}", cut_off.failure);
        self.compare(ground, &trial, cut_off, "a step".to_owned(), false).await
    }

    /// Two runs at once: one does the work, the other says so and leaves, or finds it done.
    pub(crate) async fn two_at_once(&self, ground: &Ground) -> Outcome {
        let trial = ground.trial();
        ground.proxy.weather(fair());
        let (one, other) = (trial.start(), trial.start());
        let (one, other) = tokio::join!(one.ends(TIMEOUT), other.ends(TIMEOUT));
        let codes = [one.code, other.code];
        assert!(codes.contains(&Some(0)), "{codes:?}: {}", trial.said());
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 8))), "{codes:?}: {}", trial.said());
        let took = one.took.max(other.took);
        let first = Ended { code: Some(0), took, failure: String::new() };
        self.compare(ground, &trial, first, "from the start".to_owned(), false).await
    }
}

/// So many of a hundred calls fail, in all the ways that calls fail; which ones, follows from the seed.
pub(crate) fn failing(percent: u64, seed: u64) -> Weather {
    let state = AtomicU64::new(seed);
    Arc::new(move |call: &Call| {
        let drawn = drawn(state.fetch_add(1, Ordering::SeqCst));
        if drawn % 100 >= percent {
            return Fate::Passes;
        }
        match (drawn / 100) % 7 {
            0 => Fate::Refused(429, Some(1)),
            1 => Fate::Refused(500, None),
            2 => Fate::Refused(503, None),
            3 => Fate::Unheard,
            4 if call.write.is_some() => Fate::Unanswered,
            5 if !call.is_watch => Fate::Truncated,
            _ => Fate::Slow(Duration::from_secs(1)),
        }
    })
}

/// A number that looks as if drawn by chance: one round of splitmix64.
fn drawn(of: u64) -> u64 {
    let mut mixed = of.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
