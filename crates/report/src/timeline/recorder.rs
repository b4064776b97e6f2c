//! Folds the events of a run into its timeline.

use jiff::Timestamp;

use super::track::Track;
use super::{CriticalStep, FORMAT, RunInfo, Sample, StageTrack, Timeline};
use crate::Requests;
use crate::board::since;
use bootstrapper_engine::{Event, EventKind, RunSummary};

/// The minimum time between two samples of the requests, in seconds.
const SAMPLE_EVERY: f64 = 0.1;

/// Records a run.
#[derive(Debug)]
pub struct Recorder {
    info: RunInfo,
    stages: Vec<(String, Vec<Track>)>,
    samples: Vec<Sample>,
    summary: Option<RunSummary>,
}

impl Recorder {
    /// Records the run `info`.
    pub fn new(info: RunInfo) -> Self {
        Self { info, stages: Vec::new(), samples: Vec::new(), summary: None }
    }

    /// Records an event, and the number of requests at its time.
    pub fn record(&mut self, event: &Event, requests: Requests) {
        let now = self.elapsed(event.at);
        match &event.kind {
            EventKind::RunStarted { headline, stages } => {
                self.info.headline.clone_from(headline);
                self.info.started = event.at;
                let tracks = stages.iter().map(|stage| {
                    (stage.name.clone(), stage.steps.iter().map(Track::new).collect::<Vec<_>>())
                });
                self.stages = tracks.collect();
                self.samples = vec![Sample { at: 0.0, requests }];
                return;
            }
            EventKind::RunFinished { summary } => {
                // Warnings may have been resolved since the step ended.
                for (id, outcome) in &summary.steps {
                    if let Some(track) = self.track(&id.to_string()).filter(|_| outcome.unblocks_dependents())
                    {
                        track.ends(outcome, None);
                    }
                }
                self.summary = Some(summary.clone());
            }
            _ => {
                let step = event.step.as_ref().map(ToString::to_string);
                if let Some(track) = step.and_then(|step| self.track(&step)) {
                    track.record(event, now);
                }
            }
        }
        if self.samples.last().is_none_or(|last| now - last.at >= SAMPLE_EVERY) || self.summary.is_some() {
            self.samples.push(Sample { at: now, requests });
        }
    }

    /// The timeline at `now`: of the whole run, or of one that is aborted.
    pub fn timeline(&self, outcome: &str, now: Timestamp) -> Timeline {
        let elapsed = match &self.summary {
            Some(summary) => summary.elapsed.as_secs_f64(),
            None => self.elapsed(now),
        };
        let stages: Vec<StageTrack> = self
            .stages
            .iter()
            .map(|(name, tracks)| StageTrack {
                name: name.clone(),
                steps: tracks.iter().map(|track| track.finished(elapsed)).collect(),
            })
            .collect();
        let mut timeline = Timeline {
            format: FORMAT,
            run: self.info.clone(),
            outcome: outcome.to_owned(),
            seconds: elapsed,
            changed: self.summary.as_ref().map_or(0, |summary| summary.changed),
            unchanged: self.summary.as_ref().map_or(0, |summary| summary.unchanged),
            requests: self.requests(),
            samples: self.samples.clone(),
            stages,
            critical_path: Vec::new(),
            previous: None,
        };
        timeline.critical_path = self.critical_path(&timeline);
        timeline.rounded()
    }

    /// The requests of the run alone: those before its start are not part of it.
    fn requests(&self) -> Requests {
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else {
            return Requests::default();
        };
        let of = |count: fn(&Requests) -> u64| count(&last.requests).saturating_sub(count(&first.requests));
        Requests {
            reads: of(|requests| requests.reads),
            writes: of(|requests| requests.writes),
            repeated: of(|requests| requests.repeated),
        }
    }

    fn critical_path(&self, timeline: &Timeline) -> Vec<CriticalStep> {
        let path = self.summary.iter().flat_map(|summary| &summary.critical_path);
        path.filter_map(|(id, _)| {
            let step = id.to_string();
            CriticalStep::of(timeline.steps().find(|track| track.step == step)?)
        })
        .collect()
    }

    fn track(&mut self, step: &str) -> Option<&mut Track> {
        self.stages.iter_mut().flat_map(|(_, tracks)| tracks).find(|track| track.step() == step)
    }

    fn elapsed(&self, at: Timestamp) -> f64 {
        since(self.info.started, at).as_secs_f64()
    }
}
