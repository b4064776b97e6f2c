//! What a diagnosis looks at.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::engine::Cause;
use crate::object::{Object, ObjectRef};

/// What surrounds an object that is not ready.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The object.
    pub subject: Object,
    /// What it owns, directly or through a ReplicaSet.
    pub owned: Vec<Object>,
    /// The events of its namespace.
    pub events: Vec<Object>,
    /// All nodes.
    pub nodes: Vec<Object>,
    /// The last words of containers that crashed, by pod.
    pub logs: BTreeMap<String, String>,
    /// What it depends on, and where it takes its source from.
    pub related: Vec<Object>,
}

impl Evidence {
    /// The pods among what it owns; itself, if it is one.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(&self.subject).chain(&self.owned).filter(|object| ObjectRef::of(object).kind == "Pod")
    }

    /// The newest warning about the subject or what it owns: no rule knows it, but it is a fact.
    pub(super) fn last_warning(&self) -> Option<Cause> {
        let names: Vec<String> = std::iter::once(&self.subject)
            .chain(&self.owned)
            .filter_map(|object| object.metadata.name.clone())
            .collect();
        let is_about = |event: &&Object| {
            event.data["type"] == "Warning"
                && names.iter().any(|name| event.data["involvedObject"]["name"].as_str() == Some(name))
        };
        let newest = self
            .events
            .iter()
            .filter(is_about)
            .max_by_key(|event| text(&event.data["lastTimestamp"]).to_owned())?;
        Some(Cause {
            code: None,
            cause: format!("{}: {}", text(&newest.data["reason"]), text(&newest.data["message"])),
            evidence: vec![ObjectRef::of(&self.subject).to_string()],
            declared_in: None,
            remedy: Vec::new(),
        })
    }
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A cause with a code.
pub(super) fn cause(code: &str, cause: String, evidence: Vec<String>, remedy: &[&str]) -> Cause {
    Cause {
        code: Some(code.to_owned()),
        cause,
        evidence,
        declared_in: None,
        remedy: remedy.iter().map(|remedy| (*remedy).to_owned()).collect(),
    }
}
