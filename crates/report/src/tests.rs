//! The output of a run, from its events.

use std::time::Duration;

use jiff::Timestamp;

use super::board::Board;
use super::ci::{Log, Part};
use super::plain::Lines;
use super::view::view;
use super::{Expected, Forecast, PastRun, PastStep};
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_engine::{
    Cause, Changes, Event, EventKind, RunSummary, StageOutline, StepId, StepOutcome, StepOutline,
};

fn id(name: &str) -> StepId {
    let (stage, name) = name.split_once('/').unwrap();
    StepId { stage: stage.into(), name: name.into() }
}

fn event(millis: i64, step: &str, kind: EventKind) -> Event {
    Event {
        at: Timestamp::from_millisecond(millis).unwrap(),
        step: (!step.is_empty()).then(|| id(step)),
        attempt: 1,
        step_elapsed: Duration::from_secs(1),
        attempt_elapsed: Duration::ZERO,
        kind,
    }
}

fn started() -> Event {
    let stages = [
        ("crds", vec![("crds/gateway", "Gateway API"), ("crds/mesh", "mesh")]),
        ("cilium", vec![("cilium/release", "release cilium"), ("cilium/bgp", "BGP")]),
        ("core", vec![("core/dns", "coredns"), ("core/spegel", "spegel")]),
    ];
    let outline = |(name, steps): (&str, Vec<(&str, &str)>)| StageOutline {
        name: name.into(),
        steps: steps
            .into_iter()
            .map(|(step, title)| StepOutline {
                id: id(step),
                title: title.into(),
                skip: (step == "crds/mesh").then(|| "not declared".into()),
            })
            .collect(),
    };
    event(
        0,
        "",
        EventKind::RunStarted { headline: "infra  3 nodes".into(), stages: stages.map(outline).into() },
    )
}

fn finished(outcome: StepOutcome) -> EventKind {
    EventKind::StepFinished { outcome, failure: None, causes: vec![] }
}

fn running() -> Vec<Event> {
    vec![
        started(),
        event(0, "crds/gateway", EventKind::StepStarted),
        event(1900, "crds/gateway", finished(StepOutcome::Changed { summary: "61 CRDs served".into() })),
        event(1900, "crds/mesh", finished(StepOutcome::Skipped { reason: "not declared".into() })),
        event(2000, "cilium/release", EventKind::StepStarted),
        event(
            3000,
            "cilium/release",
            EventKind::StepActed {
                changes: Changes { summary: "installed 1.20.2".into(), ..Changes::default() },
            },
        ),
        event(
            4000,
            "cilium/release",
            EventKind::StepWaiting { reasons: vec!["agents 2/3".into()], progress: None },
        ),
    ]
}

fn failed() -> Vec<Event> {
    let mut events = running();
    events.push(event(
        14_000,
        "cilium/release",
        EventKind::StepFinished {
            outcome: StepOutcome::Failed,
            failure: Some(Failure::step("never: agents cannot start").because("no route to host")),
            causes: vec![Cause {
                code: Some("BS-CIL-003".into()),
                cause: "agents cannot reach the API server".into(),
                evidence: vec!["pod cilium-x on cp-3".into()],
                origins: vec![],
                declared_in: Some(Location { file: "settings.yaml".into(), line: 14, column: 1 }),
                remedy: vec!["correct it".into()],
                chain: vec!["Deployment coredns".into(), "Pod cilium-x".into()],
                blocks: vec![],
                transient: false,
            }],
        },
    ));
    for step in ["cilium/bgp", "core/dns", "core/spegel"] {
        events.push(event(14_000, step, finished(StepOutcome::NotStarted)));
    }
    events
}

fn seen(events: &[Event], now: i64, columns: usize) -> String {
    let mut board = Board::default();
    for event in events {
        board.fold(event);
    }
    view(&board, Timestamp::from_millisecond(now).unwrap(), columns).join("\n")
}

#[test]
fn a_run_shows_what_is_done_what_waits_and_what_is_to_come() {
    insta::assert_snapshot!(seen(&running(), 43_000, 70));
}

#[test]
fn a_failure_shows_cause_evidence_and_remedy() {
    insta::assert_snapshot!(seen(&failed(), 99_000, 80));
}

#[test]
fn a_cancelled_run_says_that_it_stops() {
    let mut events = running();
    events.push(event(5000, "", EventKind::CancelRequested));
    assert!(
        seen(&events, 6000, 80).ends_with("stopping after in-flight operations; press Ctrl-C again to abort")
    );
}

#[test]
fn a_second_run_changes_nothing() {
    let mut events = vec![started()];
    for step in ["crds/gateway", "crds/mesh", "cilium/release", "cilium/bgp", "core/dns", "core/spegel"] {
        events.push(event(0, step, EventKind::StepStarted));
        events.push(event(400, step, finished(StepOutcome::Unchanged { summary: "as declared".into() })));
    }
    insta::assert_snapshot!(seen(&events, 9000, 60));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in [1, 12, 30, 80] {
        for line in seen(&failed(), 50_000, columns).lines().chain(seen(&running(), 50_000, columns).lines())
        {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
}

#[test]
fn plain_lines_say_each_thing_once() {
    let mut events = running();
    events.push(events[6].clone());
    events.push(event(
        5000,
        "cilium/release",
        EventKind::AttemptFailed { failure: Failure::step("apply refused"), next_in: Duration::from_secs(2) },
    ));
    let mut lines = Lines::new(false);
    let said: Vec<String> = events.iter().flat_map(|event| lines.of(event)).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn quiet_says_failures_and_the_end() {
    let mut events = failed();
    events.push(event(
        15_000,
        "",
        EventKind::RunFinished {
            summary: RunSummary {
                steps: vec![(id("cilium/release"), StepOutcome::Failed)],
                failures: vec![],
                changed: 0,
                unchanged: 0,
                elapsed: Duration::from_secs(15),
                took: vec![],
                critical_path: vec![],
            },
        },
    ));
    let mut lines = Lines::new(true);
    let said: Vec<String> = events.iter().flat_map(|event| lines.of(event)).collect();
    assert!(said[0].ends_with("cilium/release  failed"), "{said:?}");
    assert!(said[said.len() - 1].ends_with("1 of 1 step not done, after 15s"), "{said:?}");
    assert!(said.iter().all(|line| !line.contains("installed")));
}

#[test]
fn a_run_shows_elapsed_and_expected_time_once_it_changes_something() {
    let expected =
        |step: &str, seconds: f64| PastStep { step: step.into(), outcome: "changed".into(), seconds };
    let past = PastRun { has_changed: true, steps: vec![expected("cilium/release", 40.0)] };
    let forecast = Forecast { steps: Expected::of(&[past]), total: Some(Duration::from_mins(2)) };
    let shown = |events: &[Event]| {
        let mut board = Board { forecast: forecast.clone(), ..Board::default() };
        for event in events {
            board.fold(event);
        }
        view(&board, Timestamp::from_millisecond(43_000).unwrap(), 100).join("\n")
    };
    let events = running();
    let text = shown(&events);
    assert!(text.contains("\n  1/5 steps, 43s of about 2m00s\n"), "{text}");
    assert!(text.contains("release cilium (41s of about 40s)"), "{text}");
    // Nothing has been changed yet: a run without changes takes no time.
    let text = shown(&events[..5]);
    assert!(text.contains("\n  1/5 steps, 43s\n") && text.contains("0/2 · release cilium  "), "{text}");
}

#[test]
fn what_is_slow_for_a_moment_is_not_shown() {
    let cause = Cause {
        code: Some("BS-POD-009".into()),
        cause: "Pod a: starting".into(),
        evidence: vec![],
        origins: vec![],
        declared_in: None,
        remedy: vec![],
        chain: vec![],
        blocks: vec![],
        transient: true,
    };
    let mut events = running();
    events.push(event(5000, "cilium/release", EventKind::StepExplained { causes: vec![cause] }));
    assert!(!seen(&events, 124_000, 80).contains("starting"));
    assert!(seen(&events, 125_000, 80).contains("slow          Pod a: starting"));
    let mut lines = Lines::new(false);
    let said: Vec<String> = events.iter().flat_map(|event| lines.of(event)).collect();
    assert!(!said.iter().any(|line| line.contains("slow")), "{said:?}");
    let at = |second| Timestamp::from_second(second).unwrap();
    assert!(!lines.due(at(124)).iter().any(|line| line.contains("slow")));
    assert!(lines.due(at(125)).iter().any(|line| line.ends_with("slow: Pod a: starting")));
    assert!(lines.due(at(200)).is_empty());
}

fn logged(events: &[Event]) -> Vec<Part> {
    let mut log = Log::default();
    events.iter().flat_map(|event| log.of(event)).collect()
}

fn written(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Line(line) => format!("{line}\n"),
        Part::Begin(stage) => format!("<{stage}>\n"),
        Part::End(stage) => format!("</{stage}>\n"),
    };
    parts.iter().map(part).collect::<Vec<_>>().concat()
}

#[test]
fn a_log_of_ci_has_a_group_per_stage_and_failures_outside() {
    insta::assert_snapshot!(written(&logged(&failed())));
}

#[test]
fn stages_at_the_same_time_have_groups_one_after_the_other() {
    let done =
        |step: &str, millis| event(millis, step, finished(StepOutcome::Unchanged { summary: "done".into() }));
    let begins = |step: &str| event(0, step, EventKind::StepStarted);
    let events = vec![
        started(),
        begins("cilium/release"),
        begins("core/dns"),
        done("cilium/release", 100),
        done("core/dns", 200),
        begins("core/spegel"),
        done("core/spegel", 300),
        done("cilium/bgp", 400),
    ];
    let text = written(&logged(&events));
    let groups: Vec<&str> = text.lines().filter(|line| line.starts_with('<')).collect();
    assert_eq!(groups, ["<cilium>", "</cilium>", "<core>", "</core>"], "{text}");
    assert!(text.find("core/dns").unwrap() > text.find("</cilium>").unwrap(), "{text}");
}

#[test]
fn a_green_run_of_a_large_plan_is_a_page_of_ci_log() {
    let stages: Vec<StageOutline> = (0..8)
        .map(|stage| StageOutline {
            name: format!("s{stage}"),
            steps: (0..4)
                .map(|step| StepOutline {
                    id: id(&format!("s{stage}/{step}")),
                    title: "title".into(),
                    skip: None,
                })
                .collect(),
        })
        .collect();
    let mut log = Log::default();
    let mut parts = log.of(&event(0, "", EventKind::RunStarted { headline: "infra".into(), stages }));
    let mut clock = 0;
    for step in (0..8).flat_map(|stage| (0..4).map(move |step| format!("s{stage}/{step}"))) {
        parts.extend(log.of(&event(clock, &step, EventKind::StepStarted)));
        for second in 0..30 {
            let reasons = vec![format!("reason {second}").as_str().into()];
            parts.extend(log.of(&event(clock, &step, EventKind::StepWaiting { reasons, progress: None })));
            let message = "requesting reconciliation".to_owned();
            parts.extend(log.of(&event(clock, &step, EventKind::StepSaid { message })));
            // One step of them waits for long.
            clock += if step == "s7/2" { 2000 } else { 100 };
            parts.extend(log.due(Timestamp::from_millisecond(clock).unwrap()));
        }
        parts.extend(log.of(&event(clock, &step, finished(StepOutcome::Changed { summary: "done".into() }))));
    }
    let text = written(&parts);
    assert!(text.lines().count() <= 55, "{text}");
    let waits = text.lines().filter(|line| line.contains("s7/2  running: requesting reconciliation")).count();
    assert_eq!(waits, 2, "{text}");
}
