//! A bootstrap that is disturbed comes to the same end as one that is not: by kills, calls that fail,
//! watches that lie, servers and networks that go away.
//!
//! A sample is part of the suite. `RELIABILITY=all cargo test --test cluster reliability:: -- --nocapture` plays
//! all, and writes `docs/reliability.md`; that takes about an hour.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use crate::common;
mod estate;
pub(crate) mod everything;
mod pipeline;
mod run;
mod table;
mod trials;
pub(crate) mod undisturbed;

use std::sync::Arc;
use std::time::Duration;

use crate::proxy::{Fate, fair};
use estate::Ground;
use pipeline::{Absence, Blow, Life};
use run::Run;
use table::Table;
use trials::{Undisturbed, Victim, Whose, failing};
use undisturbed::undisturbed;

const BEFORE_AND_AFTER: [Fate; 2] = [Fate::Unheard, Fate::Unanswered];

/// How much is played.
struct Extent {
    is_all: bool,
}

impl Extent {
    fn asked_for() -> Self {
        Self { is_all: std::env::var("RELIABILITY").is_ok_and(|asked| asked == "all") }
    }

    /// Those of `1..=last` that are played.
    fn of(&self, last: u64) -> Vec<u64> {
        if self.is_all { (1..=last).collect() } else { vec![1, last / 2, last] }
    }

    /// How long something is away.
    fn absence(&self, longest: Duration) -> Absence {
        if self.is_all { Absence::For(longest) } else { Absence::UntilNoticed(2) }
    }
}

/// One chapter at a time: each has a control plane of its own.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_disturbed_bootstrap_comes_to_the_same_end() {
    let _alone = ALONE.lock().await;
    let extent = Extent::asked_for();
    let ground = Ground::begin().await;
    let undisturbed = Undisturbed::of(&ground).await;
    let mut table = Table::new("A small repository", undisturbed.took);
    killed(&extent, &ground, &undisturbed, &mut table).await;
    with_failing_calls(&extent, &ground, &undisturbed, &mut table).await;
    with_watches_that_lie(&ground, &undisturbed, &mut table).await;
    with_outages(&extent, &ground, &undisturbed, &mut table).await;
    let two = undisturbed.two_at_once(&ground).await;
    table.add("two runs at the same time", vec![two]);
    let taken_over = undisturbed.taken_over(&ground).await;
    table.add("the network is cut until another run has taken over", vec![taken_over]);
    if extent.is_all {
        table.write();
    }
    table.require_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_comes_up_the_same_whatever_happens_at_each_stage() {
    let _alone = ALONE.lock().await;
    if Extent::asked_for().is_all {
        every_fault_at_every_stage().await;
    } else {
        let blows = [Blow::Killed, Blow::NetworkCut, Blow::ServerGone, Blow::StoreKilled];
        let life = Life::begin("sample").await;
        let in_turn = |stage: usize| Some(blows[stage % blows.len()]);
        let lived = life.bootstrap(fair(), Absence::UntilNoticed(2), in_turn).await;
        let usual = undisturbed().await;
        let mut table = Table::new("The whole bootstrap", usual.took);
        let outcome = life.compare(lived, usual, "all stages").await;
        table.add("each of these in turn, a stage each", vec![outcome]);
        table.require_all();
    }
}

async fn every_fault_at_every_stage() {
    let usual = undisturbed().await;
    let stages = usual.stages.len();
    let mut table = Table::new("The whole bootstrap", usual.took);
    let everywhere = |blow: Blow| move |_: usize| Some(blow);
    for (blow, absence, fault) in [
        (Blow::Killed, Absence::UntilNoticed(0), "`kill -9` of the tool"),
        (Blow::ServerGone, Absence::For(Duration::from_secs(30)), "the API server is down for 30 s"),
        (Blow::StoreKilled, Absence::UntilNoticed(0), "etcd is killed and restarted"),
        (Blow::NetworkCut, Absence::For(Duration::from_mins(1)), "the network is down for 1 min"),
    ] {
        let life = Life::begin("everywhere").await;
        let lived = life.bootstrap(fair(), absence, everywhere(blow)).await;
        let outcome = life.compare(lived, usual, "all stages").await;
        table.add(&format!("{fault}, at the start of each of its {stages} stages"), vec![outcome]);
    }
    let life = Life::begin("weather").await;
    let lived = life.bootstrap(failing(20, 1), Absence::UntilNoticed(0), |_| None).await;
    table.add("20 % of all API requests fail", vec![life.compare(lived, usual, "all stages").await]);
    table.write();
    table.require_all();
}

async fn killed(extent: &Extent, ground: &Ground, undisturbed: &Undisturbed, table: &mut Table) {
    let mut tool = Vec::new();
    for k in extent.of(undisturbed.writes) {
        for fate in BEFORE_AND_AFTER {
            tool.push(undisturbed.killed(ground, Victim::Tool, Whose::Anyones, k, fate).await);
        }
    }
    table.add("`kill -9` of the tool, on a write of the tool or its Helm", tool);
    let mut helm = Vec::new();
    for k in extent.of(undisturbed.helm_writes) {
        for fate in BEFORE_AND_AFTER {
            helm.push(undisturbed.killed(ground, Victim::Helm, Whose::Helms, k, fate).await);
        }
    }
    table.add("`kill -9` of Helm, on a write of Helm", helm);
}

async fn with_failing_calls(extent: &Extent, ground: &Ground, undisturbed: &Undisturbed, table: &mut Table) {
    let seeds: &[u64] = if extent.is_all { &[1, 1001, 2001, 3001, 4001] } else { &[1] };
    for percent in [5, 20, 50] {
        let mut outcomes = Vec::new();
        for seed in seeds {
            outcomes
                .push(undisturbed.in_weather(ground, failing(percent, *seed), format!("seed {seed}")).await);
        }
        table.add(&format!("{percent} % of all API requests fail"), outcomes);
    }
}

async fn with_watches_that_lie(ground: &Ground, undisturbed: &Undisturbed, table: &mut Table) {
    for (fate, fault) in [
        (Fate::Dropped, "watches end after their first event"),
        (Fate::Expired, "watches fail with 410 Gone"),
        (Fate::Silent, "watches send no more events"),
    ] {
        table.add(fault, vec![undisturbed.watching(ground, fate).await]);
    }
}

async fn with_outages(extent: &Extent, ground: &Ground, undisturbed: &Undisturbed, table: &mut Table) {
    let steps = if extent.is_all { vec![1, 2, 3, 4, 5] } else { vec![4] };
    let sandbox = |verb: &'static [&'static str]| {
        let mut command = ground.command(verb);
        async move { tokio::task::spawn_blocking(move || drop(command.assert().success())).await.unwrap() }
    };
    let mut gone = Vec::new();
    let mut store = Vec::new();
    let mut cut = Vec::new();
    for k in &steps {
        let away = async |run: &mut Run| extent.absence(Duration::from_secs(30)).passes(run).await;
        let breaks = || sandbox(&["sandbox", "fault", "estate", "api-server-gone"]);
        let heals = || sandbox(&["sandbox", "heal", "estate"]);
        gone.push(undisturbed.outage(ground, *k, breaks, away, heals).await);

        let breaks = || sandbox(&["sandbox", "fault", "estate", "store-killed"]);
        store.push(undisturbed.outage(ground, *k, breaks, async |_: &mut Run| (), || async {}).await);

        let away = async |run: &mut Run| extent.absence(Duration::from_mins(1)).passes(run).await;
        let breaks = || async { ground.proxy.weather(Arc::new(|_| Fate::Unheard)) };
        let heals = || async { ground.proxy.weather(fair()) };
        cut.push(undisturbed.outage(ground, *k, breaks, away, heals).await);
    }
    table.add("the API server is down for 30 s, from the start of a step", gone);
    table.add("etcd is killed and restarted, at the start of a step", store);
    table.add("the network is down for 1 min, from the start of a step", cut);
}
