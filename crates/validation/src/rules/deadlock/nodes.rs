//! Workloads must fit on the nodes of the cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Scene, at, each, number};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector::selects;
use bootstrapper_gitops::order::Cilium;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "more-replicas-than-nodes",
        severity: Severity::Error,
        summary: "more replicas than nodes, with at most one per node",
        why: "the rest stay Pending, and a wait for all replicas times out",
        fix: "use at most as many replicas as nodes, or make the anti-affinity preferred; declare the number of nodes with the setting NODE_COUNT, or `nodes` of the cluster in bootstrapper.yaml",
        check: |rule, fleet| each(fleet, |scene| too_many(rule, scene)),
    },
    Rule {
        name: "budget-blocks-drain",
        severity: Severity::Warning,
        summary: "a PodDisruptionBudget permits no disruption",
        why: "a node with one of its pods cannot be drained, which blocks every node upgrade",
        fix: "permit one unavailable pod: `maxUnavailable: 1`, or a minAvailable below the number of replicas",
        check: |rule, fleet| each(fleet, |scene| blocking(rule, scene)),
    },
];

/// The default number of nodes: the smallest control plane that tolerates the loss of one.
const USUAL: u64 = 3;

/// The number of nodes, and whether the cluster declares it.
fn nodes(scene: &Scene<'_>) -> (u64, bool) {
    let setting = scene.declared.settings.get("NODE_COUNT").and_then(|text| text.parse().ok());
    let declared = setting.or_else(|| scene.fleet.config.nodes_of(&scene.declared.cluster));
    (declared.unwrap_or(USUAL), declared.is_some())
}

fn too_many(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let (nodes, is_declared) = nodes(scene);
    let described = if is_declared {
        format!("{nodes} nodes")
    } else {
        format!("number of nodes not declared, assuming {nodes}")
    };
    let described = if nodes == 1 { "the cluster has one node".to_owned() } else { described };
    let finding = |id: &ObjectRef, field: &str, what: &str, wanted: u64| {
        let message = format!("{id} requires {wanted} {what} on different nodes: {described}");
        let finding = scene.finding(rule, id, field, message);
        if is_declared { finding } else { Finding { severity: Severity::Warning, ..finding } }
    };
    let mut found = Vec::new();
    for release in &scene.declared.releases {
        let (path, what, wanted) = match (Cilium::of(release), release.chart.name()) {
            (Some(cilium), _) => {
                let own = number(at(cilium.values, "operator.replicas"));
                ("operator.replicas", "replicas of cilium-operator", own.or(is_declared.then_some(2)))
            }
            (None, "rook-ceph-cluster") => {
                let mon = at(&release.values, "cephClusterSpec.mon");
                let may_share = mon["allowMultiplePerNode"] == true;
                let own = number(&mon["count"]).or(is_declared.then_some(3)).filter(|_| !may_share);
                ("cephClusterSpec.mon.count", "Ceph monitors", own)
            }
            _ => ("", "", None),
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted > nodes) {
            found.push(finding(&release.id, &format!("spec.values.{path}"), what, wanted));
        }
        for (path, wanted) in apart(&release.values, "") {
            if wanted > nodes {
                found.push(finding(&release.id, &format!("spec.values.{path}"), "replicas", wanted));
            }
        }
    }
    for object in scene.declared.objects() {
        let id = ObjectRef::of(object);
        let pod = at(&object.data, "spec.template.spec");
        let replicas = number(at(&object.data, "spec.replicas")).unwrap_or(1);
        if !matches!(id.kind.as_str(), "Deployment" | "StatefulSet") {
            continue;
        }
        if replicas > nodes && is_apart(&pod["affinity"]) {
            found.push(finding(&id, "spec.replicas", "replicas", replicas));
        }
        let spread = pod["topologySpreadConstraints"].as_array().into_iter().flatten();
        let domains = spread
            .filter(|one| one["topologyKey"] == HOSTNAME && one["whenUnsatisfiable"] != "ScheduleAnyway")
            .filter_map(|one| number(&one["minDomains"]))
            .max();
        if let Some(domains) = domains.filter(|domains| *domains > nodes) {
            found.push(finding(
                &id,
                "spec.template.spec.topologySpreadConstraints",
                "topology domains",
                domains,
            ));
        }
    }
    found
}

const HOSTNAME: &str = "kubernetes.io/hostname";

/// Whether its pods must not share a node.
fn is_apart(affinity: &Value) -> bool {
    let required = at(affinity, "podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    required.as_array().into_iter().flatten().any(|term| term["topologyKey"] == HOSTNAME)
}

/// Replica counts in a release's values whose pods must not share a node, with their paths.
fn apart(values: &Value, path: &str) -> Vec<(String, u64)> {
    let Some(map) = values.as_object() else { return Vec::new() };
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut found: Vec<_> = map.iter().flat_map(|(name, value)| apart(value, &within(name))).collect();
    if is_apart(&values["affinity"]) && values["enabled"] != false {
        let replicas = ["replicas", "replicaCount"].into_iter();
        found.extend(replicas.filter_map(|name| Some((within(name), number(&values[name])?))));
    }
    found
}

fn blocking(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let budgets =
        scene.declared.objects().filter(|object| ObjectRef::of(object).kind == "PodDisruptionBudget");
    let found = budgets.filter_map(|budget| {
        let id = ObjectRef::of(budget);
        let spec = &budget.data["spec"];
        let (least, most) = (&spec["minAvailable"], &spec["maxUnavailable"]);
        if *most == 0 || most == "0%" || least == "100%" {
            let field = if most.is_null() { "spec.minAvailable" } else { "spec.maxUnavailable" };
            return Some(scene.finding(rule, &id, field, format!("{id} permits no disruption")));
        }
        let least = least.as_u64()?;
        let workload = scene.declared.objects().find(|object| is_selected(object, budget))?;
        let replicas = number(at(&workload.data, "spec.replicas")).unwrap_or(1);
        let message =
            format!("{id} requires {least} available pods, but {} has {replicas}", ObjectRef::of(workload));
        (least >= replicas && replicas > 0).then(|| scene.finding(rule, &id, "spec.minAvailable", message))
    });
    found.collect()
}

/// Whether a budget selects the pods of a workload.
fn is_selected(workload: &Object, budget: &Object) -> bool {
    let kind = ObjectRef::of(workload).kind;
    let labels = at(&workload.data, "spec.template.metadata.labels");
    let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap_or_default();
    matches!(kind.as_str(), "Deployment" | "StatefulSet")
        && workload.metadata.namespace == budget.metadata.namespace
        && selects(at(&budget.data, "spec.selector"), &labels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_must_be_apart_counts() {
        let apart_by = |term: Value| json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
        let hosts = apart_by(json!({"topologyKey": HOSTNAME}));
        let table = [
            (json!({"web": {"replicas": 4, "affinity": hosts}}), vec![("web.replicas".to_owned(), 4)]),
            (json!({"replicaCount": "5", "affinity": hosts}), vec![("replicaCount".to_owned(), 5)]),
            (json!({"replicas": 4, "affinity": apart_by(json!({"topologyKey": "zone"}))}), Vec::new()),
            (json!({"replicas": 4}), Vec::new()),
        ];
        for (values, expected) in table {
            assert_eq!(apart(&values, ""), expected, "{values}");
        }
    }
}
