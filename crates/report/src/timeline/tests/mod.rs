//! Timelines of recorded events.

mod well_formed;

use std::time::Duration;

use jiff::Timestamp;

use super::{PhaseKind, Recorder, RunInfo, Timeline, markdown, page};
use crate::Requests;
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::verdict::Reason;
use bootstrapper_engine::{
    Cause, Changes, Diff, Event, EventKind, Observation, RunSummary, StageOutline, StepId, StepOutcome,
    StepOutline,
};

/// A run that is made up for a test: the present moment, and when each step began.
struct MadeUpRun {
    recorder: Recorder,
    began: Vec<(String, u64)>,
}

fn id(name: &str) -> StepId {
    let (stage, name) = name.split_once('/').unwrap();
    StepId { stage: stage.into(), name: name.into() }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + i64::try_from(millis).unwrap()).unwrap()
}

fn node(text: &str) -> Reason {
    Reason {
        object: Some(ObjectRef::cluster_scoped("v1", "Node", "cp-3")),
        field: Some("Ready".into()),
        text: text.into(),
    }
}

impl MadeUpRun {
    fn begins() -> Self {
        let info = RunInfo {
            cluster: "infra".into(),
            command: "run".into(),
            place: "https://192.0.2.1:6443".into(),
            headline: String::new(),
            revision: Some("main@3f2c1ab".into()),
            by: "alice@laptop".into(),
            version: "0.1.0".into(),
            started: at(0),
        };
        let mut run = Self { recorder: Recorder::new(info), began: Vec::new() };
        let steps = [
            ("crds", vec![("crds/gateway", "CRDs of Gateway API"), ("crds/mesh", "mesh")]),
            ("cilium", vec![("cilium/release-cilium", "release kube-system/cilium 1.20.2")]),
            ("core", vec![("core/dns", "release coredns"), ("core/\"<b>&", "<script>alert(1)</script>")]),
        ];
        let stages = steps.map(|(name, steps)| StageOutline {
            name: name.into(),
            steps: steps
                .into_iter()
                .map(|(step, title)| StepOutline { id: id(step), title: title.into(), skip: None })
                .collect(),
        });
        let headline = "infra  https://192.0.2.1:6443  v1.36.3  repo main@3f2c1ab".to_owned();
        run.event(0, None, 0, EventKind::RunStarted { headline, stages: stages.into() });
        run
    }

    fn event(&mut self, millis: u64, step: Option<&str>, attempt: u32, kind: EventKind) {
        let began = self.began.iter().find(|(name, _)| Some(name.as_str()) == step).map(|(_, began)| *began);
        let elapsed = Duration::from_millis(millis - began.unwrap_or(millis));
        let event = Event {
            at: at(millis),
            step: step.map(id),
            attempt,
            step_elapsed: elapsed,
            attempt_elapsed: elapsed,
            kind,
        };
        let requests = Requests { reads: 40 + millis / 100, writes: 2 + millis / 1000, repeated: 0 };
        self.recorder.record(&event, requests);
    }

    fn starts(&mut self, millis: u64, step: &str) {
        self.began.push((step.to_owned(), millis));
        self.event(millis, Some(step), 0, EventKind::StepStarted);
    }

    fn acts(&mut self, from: u64, until: u64, step: &str, attempt: u32, summary: &str) {
        let observation = Observation::Missing(Diff::default());
        self.event(from, Some(step), attempt, EventKind::StepObserved { observation });
        let changes = Changes { summary: summary.into(), ..Changes::default() };
        self.event(until, Some(step), attempt, EventKind::StepActed { changes });
    }

    fn waits(&mut self, millis: u64, step: &str, attempt: u32, reasons: Vec<Reason>) {
        self.event(millis, Some(step), attempt, EventKind::StepWaiting { reasons, progress: None });
    }

    fn ends(&mut self, millis: u64, step: &str, outcome: StepOutcome) {
        let kind = EventKind::StepFinished { outcome, failure: None, causes: vec![] };
        self.event(millis, Some(step), 1, kind);
    }

    fn finishes(&mut self, millis: u64, steps: Vec<(&str, StepOutcome)>, path: &[&str]) {
        let summary = RunSummary {
            steps: steps.into_iter().map(|(step, outcome)| (id(step), outcome)).collect(),
            failures: vec![],
            changed: 5,
            unchanged: 61,
            elapsed: Duration::from_millis(millis),
            took: vec![],
            critical_path: path.iter().map(|step| (id(step), Duration::ZERO)).collect(),
        };
        self.event(millis, None, 0, EventKind::RunFinished { summary });
    }
}

fn unchanged(summary: &str) -> StepOutcome {
    StepOutcome::Unchanged { summary: summary.into() }
}

fn changed(summary: &str) -> StepOutcome {
    StepOutcome::Changed { summary: summary.into() }
}

/// Up to a Cilium whose second attempt waits.
fn half_way() -> MadeUpRun {
    let mut run = MadeUpRun::begins();
    run.starts(0, "crds/gateway");
    let observation = Observation::Satisfied { summary: "61 CRDs served".into(), unchanged: 61 };
    run.event(400, Some("crds/gateway"), 1, EventKind::StepObserved { observation });
    run.ends(500, "crds/gateway", unchanged("61 CRDs served"));
    run.ends(500, "crds/mesh", StepOutcome::Skipped { reason: "not declared".into() });
    run.starts(600, "cilium/release-cilium");
    let observation = Observation::Missing(Diff::default());
    run.event(1000, Some("cilium/release-cilium"), 1, EventKind::StepObserved { observation });
    let failure = Failure::step("helm: the registry does not answer");
    let next_in = Duration::from_secs(2);
    run.event(3000, Some("cilium/release-cilium"), 1, EventKind::AttemptFailed { failure, next_in });
    run.acts(5500, 9000, "cilium/release-cilium", 2, "installed cilium 1.20.2");
    run.waits(9000, "cilium/release-cilium", 2, vec![node("pulling for 0s"), "1/3 agents".into()]);
    run.waits(12_000, "cilium/release-cilium", 2, vec![node("pulling for 3s"), "2/3 agents".into()]);
    run
}

fn succeeded() -> Timeline {
    let mut run = half_way();
    let warned = |details: &[&str]| StepOutcome::Warning {
        summary: "installed cilium 1.20.2".into(),
        details: details.iter().map(|one| (*one).to_owned()).collect(),
    };
    run.ends(30_000, "cilium/release-cilium", warned(&["BGP status lags"]));
    run.starts(30_000, "core/dns");
    run.acts(30_100, 32_000, "core/dns", 1, "installed coredns | *bold*");
    run.ends(33_000, "core/dns", changed("installed coredns | *bold*"));
    run.starts(30_000, "core/\"<b>&");
    run.ends(30_500, "core/\"<b>&", unchanged("</style><script>alert(2)</script>"));
    let steps = vec![
        ("crds/gateway", unchanged("61 CRDs served")),
        ("cilium/release-cilium", changed("installed cilium 1.20.2")),
        ("core/dns", changed("installed coredns | *bold*")),
    ];
    run.finishes(33_100, steps, &["crds/gateway", "crds/mesh", "cilium/release-cilium", "core/dns"]);
    let before = {
        let mut run = MadeUpRun::begins();
        run.starts(0, "crds/gateway");
        run.ends(600, "crds/gateway", unchanged("61 CRDs served"));
        run.starts(600, "cilium/release-cilium");
        run.ends(8_000, "cilium/release-cilium", unchanged("as declared"));
        run.finishes(8_000, vec![], &[]);
        run.recorder.timeline("succeeded", at(8_000))
    };
    run.recorder.timeline("succeeded", at(33_100)).compared_with(Some(&before))
}

fn failed() -> Timeline {
    let mut run = half_way();
    let place = Location { file: "settings.yaml".into(), line: 14, column: 1 };
    let cause = Cause {
        code: Some("BS-CIL-003".into()),
        cause: "agents cannot reach the API server".into(),
        evidence: vec![],
        origins: vec![],
        declared_in: Some(place),
        remedy: vec!["correct it".into()],
        chain: vec![],
        blocks: vec![],
        transient: false,
    };
    let kind = EventKind::StepFinished {
        outcome: StepOutcome::Failed,
        failure: Some(Failure::step("agents cannot start").because("no route to host")),
        causes: vec![cause],
    };
    run.event(14_000, Some("cilium/release-cilium"), 2, kind);
    for step in ["core/dns", "core/\"<b>&"] {
        run.ends(14_000, step, StepOutcome::NotStarted);
    }
    let steps = vec![("cilium/release-cilium", StepOutcome::Failed), ("core/dns", StepOutcome::NotStarted)];
    run.finishes(14_000, steps, &["crds/gateway", "cilium/release-cilium"]);
    run.recorder.timeline("failed", at(14_000))
}

#[test]
fn a_run_as_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&succeeded()).unwrap());
}

#[test]
fn a_run_as_markdown() {
    insta::assert_snapshot!(markdown(&succeeded()));
}

#[test]
fn a_failed_run_as_markdown() {
    insta::assert_snapshot!(markdown(&failed()));
}

#[test]
fn what_was_written_is_read_again() {
    for timeline in [succeeded(), failed()] {
        let text = serde_json::to_string(&timeline).unwrap();
        assert_eq!(serde_json::from_str::<Timeline>(&text).unwrap(), timeline);
    }
}

#[test]
fn the_phases_of_a_step_cover_all_of_its_time() {
    for timeline in [succeeded(), failed()] {
        for step in timeline.steps().filter(|step| step.start.is_some() && !step.phases.is_empty()) {
            let mut end = step.start.unwrap();
            for phase in &step.phases {
                assert!((phase.start - end).abs() < 0.002, "{step:?}");
                end = phase.start + phase.seconds;
            }
            assert!((end - step.end().unwrap()).abs() < 0.002, "{step:?}");
        }
    }
    let timeline = succeeded();
    let cilium = timeline.steps().find(|step| step.step == "cilium/release-cilium").unwrap();
    let kinds: Vec<PhaseKind> = cilium.phases.iter().map(|phase| phase.kind).collect();
    let (compare, apply) = (PhaseKind::Compare, PhaseKind::Apply);
    assert_eq!(kinds, [compare, apply, PhaseKind::Retry, compare, apply, PhaseKind::Wait]);
}

#[test]
fn an_aborted_run_ends_now() {
    let timeline = half_way().recorder.timeline("aborted", at(20_000));
    let cilium = timeline.steps().find(|step| step.step == "cilium/release-cilium").unwrap();
    assert_eq!((cilium.outcome.as_str(), cilium.end()), ("running", Some(20.0)));
    assert_eq!(cilium.waits[0].reason, "Node cp-3: pulling for 3s");
    assert_eq!(timeline.critical_path, []);
    assert!(markdown(&timeline).starts_with("# infra: aborted after 20s\n"));
}

#[test]
fn a_page_is_well_formed_and_loads_nothing() {
    let empty = Recorder::new(succeeded().run).timeline("aborted", at(0));
    for timeline in [succeeded(), failed(), empty] {
        let page = page(&timeline);
        well_formed::check(&page);
        assert!(!page.contains("<script") && !page.contains("alert(2)</script>"));
        // `https` is only in the text of the headline.
        let loads = ["src=", "href=", "url(", "@import", "<link", "<img"];
        assert!(loads.iter().all(|one| !page.contains(one)), "{page}");
    }
}

#[test]
fn a_page_has_each_step_its_bars_its_waits_and_the_path() {
    let page = page(&succeeded());
    for part in [
        "release-cilium ★",
        "class=\"bar wait\" style=\"left:27.19%;width:63.44%\"",
        "attempt 1 failed: helm: the registry does not answer",
        "<li>21s Node cp-3: pulling for 3s</li>",
        "waiting: Node cp-3: pulling for 3s",
        "prefers-color-scheme: dark",
        "max-width: 45rem",
        "25s slower than the run of",
        "skipped: not declared",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Settled by the end of the run.
    assert!(!page.contains("BGP status lags"));
}
