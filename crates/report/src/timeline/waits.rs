//! The waits of one step: each reason from the moment when it is given to the moment when it is not.

use super::Wait;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::verdict::Reason;

/// The maximum number of waits per step; the shortest are dropped.
const KEPT: usize = 100;

/// The waits of a step.
#[derive(Debug, Default)]
pub(super) struct Waits {
    open: Vec<Open>,
    ended: Vec<Wait>,
}

/// What a reason is about: its text may contain a number that changes.
type About = (Option<ObjectRef>, Option<String>, String);

#[derive(Debug)]
struct Open {
    about: About,
    start: f64,
    /// The present text, and since when.
    now: (String, f64),
    /// The text that was true for longest so far, and how long.
    longest: (String, f64),
}

impl Waits {
    /// These reasons replace the previous ones.
    pub(super) fn replace(&mut self, reasons: &[Reason], at: f64) {
        let about: Vec<About> = reasons.iter().map(about).collect();
        let (open, over): (Vec<Open>, Vec<Open>) =
            std::mem::take(&mut self.open).into_iter().partition(|wait| about.contains(&wait.about));
        self.open = open;
        self.ended.extend(over.into_iter().map(|wait| wait.ends(at)));
        for (reason, about) in reasons.iter().zip(about) {
            let text = reason.to_string();
            match self.open.iter_mut().find(|wait| wait.about == about) {
                Some(wait) => wait.says(text, at),
                None => {
                    self.open.push(Open {
                        about,
                        start: at,
                        now: (text, at),
                        longest: (String::new(), -1.0),
                    });
                }
            }
        }
    }

    /// All waits of a step that is at `at`, the longest first.
    pub(super) fn all(&self, at: f64) -> Vec<Wait> {
        let mut all = self.ended.clone();
        all.extend(self.open.iter().map(|wait| wait.clone_ended(at)));
        all.sort_by(|one, other| {
            other.seconds.total_cmp(&one.seconds).then(one.start.total_cmp(&other.start))
        });
        all.truncate(KEPT);
        all
    }
}

impl Open {
    fn says(&mut self, text: String, at: f64) {
        if self.now.0 != text {
            let before = std::mem::replace(&mut self.now, (text, at));
            if at - before.1 > self.longest.1 {
                self.longest = (before.0, at - before.1);
            }
        }
    }

    fn clone_ended(&self, at: f64) -> Wait {
        let (text, since) = &self.now;
        let reason = if at - since >= self.longest.1 { text } else { &self.longest.0 };
        Wait { reason: reason.clone(), start: self.start, seconds: (at - self.start).max(0.0) }
    }

    fn ends(self, at: f64) -> Wait {
        self.clone_ended(at)
    }
}

/// The object and its field; the text where there is neither.
fn about(reason: &Reason) -> About {
    let is_known = reason.object.is_some() || reason.field.is_some();
    let text = if is_known { String::new() } else { reason.text.clone() };
    (reason.object.clone(), reason.field.clone(), text)
}
