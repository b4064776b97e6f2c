//! The timeline of a run: events in; a page, Markdown or JSON out. Pure.

mod compare;
mod critical;
mod html;
mod markdown;
mod model;
mod recorder;
mod rounded;
#[cfg(test)]
mod tests;
mod track;
mod waits;

pub use compare::{Comparison, StepDifference};
pub use critical::CriticalStep;
pub use html::page;
pub use markdown::markdown;
pub use model::{FORMAT, Phase, PhaseKind, Retry, RunInfo, Sample, StageTrack, StepTrack, Timeline, Wait};
pub use recorder::Recorder;
