//! What we say of objects, beside what kstatus says of them.

use bootstrapper::object::{Object, ObjectRef};
use bootstrapper::readiness::{self, Status, Verdict};
use jiff::Timestamp;
use serde_json::Value;

use super::oracle;

/// What both say of an object.
pub(crate) struct Answer {
    object: Object,
    status: Status,
    verdict: Verdict,
    /// In the words of the original.
    pub(crate) theirs: String,
}

/// Asks both.
pub(crate) fn compared(objects: &[Value]) -> Vec<Answer> {
    let theirs: Vec<String> = oracle::ask("readiness", &objects);
    let ours = objects.iter().map(|object| {
        let object: Object = serde_json::from_value(object.clone()).unwrap();
        (readiness::status(&object, Timestamp::now()), readiness::verdict(&object), object)
    });
    ours.zip(theirs)
        .map(|((status, verdict, object), theirs)| Answer { object, status, verdict, theirs })
        .collect()
}

impl Answer {
    /// What of ours may not be, given what kstatus says.
    pub(crate) fn difference(&self) -> Option<String> {
        let ours = match &self.status {
            Status::Current => "Current",
            Status::InProgress(_) => "InProgress",
            Status::Failed(_) => "Failed",
            Status::Terminating => "Terminating",
            Status::Unknown(_) => "Unknown",
        };
        let breach = match &self.verdict {
            _ if ours != self.theirs => format!("the port says {:?}", self.status),
            Verdict::Ready if self.theirs != "Current" => "it is ready before kstatus says so".to_owned(),
            // A pod that crashes, or finds no node, may be helped; and a Deployment that is late for it.
            Verdict::NotYet(why)
                if self.theirs == "Failed"
                    && !matches!(ObjectRef::of(&self.object).kind.as_str(), "Pod" | "Deployment") =>
            {
                format!("there is hope: {why:?}")
            }
            _ => return None,
        };
        let object = serde_json::to_string(&self.object).unwrap();
        Some(format!("{object}\n  kstatus says {}: {breach}", self.theirs))
    }
}
