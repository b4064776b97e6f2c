//! Conditions, the basis of most rules.

use serde_json::Value;

use super::{Reason, Verdict};
use bootstrapper_core::object::Object;

/// The maximum length of a message.
const LONGEST: usize = 200;

/// A condition of an object.
pub struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    /// Whether its status is `True`.
    pub fn is_true(&self) -> bool {
        self.0["status"] == "True"
    }

    /// Whether its status is `False`; `Unknown` is neither.
    pub fn is_false(&self) -> bool {
        self.0["status"] == "False"
    }

    /// Its reason, one word; empty without one.
    pub fn reason(&self) -> &'a str {
        text(&self.0["reason"])
    }

    /// Its message; empty without one.
    pub fn message(&self) -> &'a str {
        text(&self.0["message"])
    }

    /// When its status last changed.
    pub fn since(&self) -> &'a Value {
        &self.0["lastTransitionTime"]
    }

    /// When it was last updated, as Deployments record it.
    pub fn last_update(&self) -> &'a Value {
        &self.0["lastUpdateTime"]
    }

    /// Reason and message, in one line of limited length.
    pub fn describe(&self) -> String {
        describe(self.0)
    }

    /// The same, as a reason why its object is not ready.
    pub(super) fn as_reason(&self) -> Reason {
        Reason::in_field(text(&self.0["type"]), self.describe())
    }

    /// Whether it is of an older generation than `object`.
    pub fn is_outdated(&self, object: &Object) -> bool {
        let seen = self.0["observedGeneration"].as_i64();
        matches!((object.metadata.generation, seen), (Some(now), Some(seen)) if seen < now)
    }
}

/// `Reason: message`, the message's first line.
pub(super) fn describe(condition: &Value) -> String {
    let message = text(&condition["message"]);
    let line = message.lines().next().unwrap_or_default();
    let short: String = line.chars().take(LONGEST).collect();
    match (text(&condition["reason"]), short.as_str()) {
        ("", "") => format!("{} is {}", text(&condition["type"]), text(&condition["status"])),
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// The condition of a type.
pub fn condition<'a>(object: &'a Object, kind: &str) -> Option<Condition<'a>> {
    find(&object.data["status"], kind)
}

/// The condition of a type in `status`, or in a part of the status.
pub(super) fn find<'a>(status: &'a Value, kind: &str) -> Option<Condition<'a>> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).map(Condition)
}

/// A condition that must be true, at the current generation.
pub(super) fn must_be_true(object: &Object, kind: &str) -> Verdict {
    required(object, condition(object, kind), kind)
}

/// The verdict of [`must_be_true`] for a condition.
pub(super) fn required(object: &Object, condition: Option<Condition<'_>>, kind: &str) -> Verdict {
    match condition {
        Some(condition) if condition.is_true() && condition.is_outdated(object) => {
            Verdict::not_yet("its controller has not observed the latest change yet")
        }
        Some(condition) if condition.is_true() => Verdict::Ready,
        Some(condition) => Verdict::not_yet(condition.as_reason()),
        None => Verdict::not_yet(Reason::in_field(kind, format!("{kind} is not reported yet"))),
    }
}

/// A number field of an object; 0 if missing.
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// A text field of an object; empty if missing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
