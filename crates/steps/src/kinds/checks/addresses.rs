//! Address ranges that overlap within the cluster or with other clusters, and mesh ids that two clusters share.

use super::{Findings, Subject};
use bootstrapper_gitops::addresses::{collisions_with, collisions_within, shared_mesh_id, unreadable};

pub(super) fn check(subject: &Subject) -> Findings {
    let own = &subject.declared.settings;
    let mut findings: Findings = unreadable(own).chain(collisions_within(own)).collect();
    for (neighbour, settings) in &subject.neighbours {
        findings.look(shared_mesh_id(own, neighbour, settings));
        for collision in collisions_with(own, neighbour, settings) {
            findings.look(collision);
        }
    }
    for failure in &mut findings.problems {
        let setting = failure.what.split_whitespace().next().unwrap_or_default();
        failure.location = subject.declared.setting_location(setting);
    }
    findings
}
