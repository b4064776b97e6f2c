//! The set of marked values, and their matcher.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::matcher::Matcher;

/// The marked values of a process.
#[derive(Default)]
pub(super) struct Marked {
    values: BTreeSet<String>,
    /// None if values were added since it was built.
    matcher: Option<Arc<Matcher>>,
}

impl Marked {
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.contains(value)
    }

    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = String>) {
        self.values.extend(values);
        self.matcher = None;
    }

    /// None if it must be built.
    pub(super) fn matcher(&self) -> Option<Arc<Matcher>> {
        self.matcher.clone()
    }

    pub(super) fn rebuilt(&mut self) -> Arc<Matcher> {
        Arc::clone(self.matcher.get_or_insert_with(|| Arc::new(Matcher::of(&self.values))))
    }
}
