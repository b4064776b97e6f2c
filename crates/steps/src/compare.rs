//! Turns comparisons with the cluster into changes.

use bootstrapper_cluster::Comparison;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Change, ChangeKind};

/// The change that a comparison shows, if any.
pub(super) fn change(id: &ObjectRef, comparison: &Comparison) -> Option<Change> {
    let (kind, details) = match comparison {
        Comparison::Unchanged => return None,
        Comparison::Created => (ChangeKind::Created, Vec::new()),
        Comparison::Configured(details) => (ChangeKind::Configured, details.clone()),
        Comparison::Conflict(details) => (ChangeKind::Conflict, details.clone()),
    };
    Some(Change { kind, subject: id.to_string(), details })
}

/// `4 namespaces`, `2 of 6 BGP objects`; `noun` is the singular.
pub(super) fn summary_of(noun: &str, changes: &[Change], unchanged: usize) -> String {
    match unchanged {
        0 => count(changes.len(), noun),
        _ => format!("{} of {}", changes.len(), count(changes.len() + unchanged, noun)),
    }
}
