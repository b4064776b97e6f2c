//! The output of a run, from its events.

use std::time::Duration;

use jiff::Timestamp;

use super::board::Board;
use super::plain::Lines;
use super::view::view;
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
