//! Conditions and generations: what most rules are made of.

use serde_json::Value;

use super::Verdict;
use crate::object::Object;

/// How much of a message is told.
const LONGEST: usize = 200;

/// A condition of an object.
pub(crate) struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    pub(crate) fn is_true(&self) -> bool {
        self.0["status"] == "True"
    }

    pub(crate) fn is_false(&self) -> bool {
        self.0["status"] == "False"
    }

    pub(crate) fn reason(&self) -> &'a str {
        self.0["reason"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &'a str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// When it became so.
    pub(crate) fn since(&self) -> &'a Value {
        &self.0["lastTransitionTime"]
    }

    /// When something about it changed last, as Deployments tell it.
    pub(crate) fn last_update(&self) -> &'a Value {
        &self.0["lastUpdateTime"]
    }

    pub(super) fn observed_generation(&self) -> Option<i64> {
        self.0["observedGeneration"].as_i64()
    }

    /// `Reason: message`, the message's first line.
    pub(crate) fn told(&self) -> String {
        let message = self.0["message"].as_str().unwrap_or_default();
        let line = message.lines().next().unwrap_or_default();
        let short: String = line.chars().take(LONGEST).collect();
        match (self.reason(), short.as_str()) {
            ("", "") => format!("{} is {}", text(&self.0["type"]), text(&self.0["status"])),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

/// The condition of a type.
pub(crate) fn condition<'a>(object: &'a Object, kind: &str) -> Option<Condition<'a>> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind).map(Condition)
}

/// A condition that must be true.
pub(super) fn must_be_true(object: &Object, kind: &str) -> Verdict {
    match condition(object, kind) {
        Some(condition) if condition.is_true() => Verdict::Ready,
        Some(condition) => Verdict::not_yet(condition.told()),
        None => Verdict::not_yet(format!("{kind} is not known yet")),
    }
}

/// Not ready, if what the status tells is about an older generation.
pub(super) fn observed(object: &Object) -> Verdict {
    let seen = object.data["status"]["observedGeneration"].as_i64();
    match (object.metadata.generation, seen) {
        (Some(now), Some(seen)) if seen < now => {
            Verdict::not_yet("its controller has not seen the newest change yet")
        }
        _ => Verdict::Ready,
    }
}

/// Not ready, if it is being deleted.
pub(super) fn not_deleted(object: &Object) -> Verdict {
    match object.metadata.deletion_timestamp {
        Some(_) => Verdict::not_yet("is being deleted"),
        None => Verdict::Ready,
    }
}

pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
