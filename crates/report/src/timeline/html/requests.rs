//! The API requests over time.

use std::fmt::Write as _;

use super::super::markdown::took;
use super::super::{Sample, Timeline};
use super::markup::percent;
use bootstrapper_core::words::count;

/// The number of bars.
const BARS: u32 = 60;

pub(super) fn lane(page: &mut String, timeline: &Timeline) {
    let numbers = buckets(&timeline.samples, timeline.seconds);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    page.push_str("<div class=\"row requests\"><span class=\"name\">requests</span><div class=\"track\">");
    let width = timeline.seconds / f64::from(BARS);
    for (index, number) in (0..BARS).zip(&numbers) {
        let at = took(f64::from(index) * width);
        let _ = write!(
            page,
            "<i style=\"height:{}%\" title=\"{:.1} per second at {at}\"></i>",
            percent(*number, most),
            number / width.max(f64::EPSILON)
        );
    }
    let requests = &timeline.requests;
    let _ = writeln!(
        page,
        "</div><span class=\"time\" title=\"{}, {}\">{}</span></div>",
        count(requests.reads, "read"),
        count(requests.writes, "write"),
        requests.reads + requests.writes
    );
}

/// The number of requests in each of [`BARS`] parts of the run; those between two samples are spread evenly.
fn buckets(samples: &[Sample], whole: f64) -> Vec<f64> {
    let until = |at: f64| -> f64 {
        let after = samples.partition_point(|sample| sample.at <= at);
        let total = |index: usize| samples.get(index).map(|sample| (sample.at, requests(sample)));
        match (after.checked_sub(1).and_then(total), total(after)) {
            (Some((from, before)), Some((to, then))) if to > from => {
                before + (then - before) * (at - from) / (to - from)
            }
            (Some((_, before)), _) => before,
            (None, next) => next.map_or(0.0, |(_, then)| then),
        }
    };
    let width = whole / f64::from(BARS);
    (0..BARS)
        .map(|index| (until(f64::from(index + 1) * width) - until(f64::from(index) * width)).max(0.0))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of requests")]
fn requests(sample: &Sample) -> f64 {
    (sample.requests.reads + sample.requests.writes) as f64
}
