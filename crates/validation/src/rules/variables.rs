//! Unused settings.

use std::collections::BTreeSet;

use crate::{Finding, Fleet, Rule, Severity};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "unused-setting",
    severity: Severity::Warning,
    summary: "a setting of a cluster is unused",
    why: "changing it has no effect",
    fix: "remove it, or use it",
    check: unused,
}];

/// Settings that bootstrapper itself uses: for checks, and for sandboxes.
const READ_BY_US: [&str; 4] = ["NODE_CIDR", "NODE_COUNT", "NODE_SUBNETS", "SERVICE_CIDR"];

fn unused(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let tasks = fleet.files.iter().filter(|(file, _)| file.starts_with("tasks"));
    let tasks: Vec<&str> = tasks.map(|(_, text)| text.as_str()).collect();
    fleet.each_whole(|declared| {
        let mut used: BTreeSet<&str> = READ_BY_US.into();
        used.extend(
            declared.kustomizations.iter().flat_map(|one| one.used_variables.iter().map(String::as_str)),
        );
        let is_used =
            |name: &str| used.contains(name) || tasks.iter().any(|text| text.contains(&format!("${{{name}")));
        let unused = declared.settings.keys().filter(|name| !is_used(name));
        unused
            .map(|name| {
                Finding::of(rule, format!("{name} is unused"))
                    .in_cluster(&declared.cluster)
                    .at(declared.setting_location(name))
            })
            .collect()
    })
}
