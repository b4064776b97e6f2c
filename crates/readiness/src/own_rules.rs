//! The rules that a repository adds for kinds of its own.

use std::collections::BTreeMap;

use super::{Expressions, Verdict};
use bootstrapper_core::object::Object;

/// Rules by API version and kind; what has none is judged by the rule of its kind.
#[derive(Debug, Default)]
pub struct OwnRules(BTreeMap<(String, String), Expressions>);

impl OwnRules {
    /// Adds a rule; false if the kind has one already.
    pub fn add(&mut self, api_version: String, kind: String, rule: Expressions) -> bool {
        self.0.insert((api_version, kind), rule).is_none()
    }

    /// Whether an object is ready.
    pub fn verdict(&self, object: &Object) -> Verdict {
        let types = object.types.clone().unwrap_or_default();
        match self.0.get(&(types.api_version, types.kind)) {
            Some(own) => own.verdict(object),
            None => super::verdict(object),
        }
    }
}
