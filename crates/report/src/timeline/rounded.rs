//! Times to the millisecond: more digits say nothing, and make the file hard to read.

use super::Timeline;

fn round(seconds: &mut f64) {
    *seconds = (*seconds * 1000.0).round() / 1000.0;
}

impl Timeline {
    /// The same, with all times rounded to milliseconds.
    pub(super) fn rounded(mut self) -> Self {
        round(&mut self.seconds);
        self.samples.iter_mut().for_each(|sample| round(&mut sample.at));
        for step in self.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
            step.start.iter_mut().for_each(round);
            round(&mut step.seconds);
            let phases = step.phases.iter_mut().flat_map(|phase| [&mut phase.start, &mut phase.seconds]);
            let waits = step.waits.iter_mut().flat_map(|wait| [&mut wait.start, &mut wait.seconds]);
            let retries = step.retries.iter_mut().flat_map(|retry| [&mut retry.at, &mut retry.pause]);
            phases.chain(waits).chain(retries).for_each(round);
        }
        for step in &mut self.critical_path {
            [&mut step.start, &mut step.seconds].into_iter().for_each(round);
        }
        self
    }
}
