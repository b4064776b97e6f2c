//! Classes that pods, claims and Ingresses name: priority, runtime, storage.

use crate::fleet::{Placed, objects_of};
use crate::paths::values_at;
use crate::schema::is_unknown;
use crate::{Finding, Fleet, Rule, Severity, known, pods};
use bootstrapper_gitops::{Declared, Distribution};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "missing-class",
    severity: Severity::Error,
    summary: "a PriorityClass, RuntimeClass or StorageClass is not found",
    why: "the API server rejects pods of a priority or runtime that it does not know, and a claim of an unknown class stays Pending",
    fix: "declare the class, or correct its name",
    check: missing,
}];

/// Classes of every cluster.
const BUILT_IN: [&str; 2] = ["system-cluster-critical", "system-node-critical"];

/// Runtimes that k3s declares by itself (`pkg/deploy/embed: runtimes.yaml`).
const OF_K3S: [&str; 10] = [
    "crun",
    "lunatic",
    "nvidia",
    "nvidia-experimental",
    "slight",
    "spin",
    "wasmedge",
    "wasmer",
    "wasmtime",
    "wws",
];

fn missing(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let declared = placed.declared;
        let distribution = fleet.config.distribution_of(&declared.cluster);
        let named = of_pods(placed).into_iter().chain(of_claims(placed));
        let lost = named.filter(|one| {
            !one.name.is_empty() && !is_unknown(one.name) && !is_there(declared, distribution, one)
        });
        lost.filter_map(|one| {
            let message = format!("{} names {} {}, which is not found", placed.id(), one.kind, one.name);
            let finding = placed.finding(rule, &one.path, message);
            // Other distributions and clouds bring classes of their own.
            let finding = match one.kind {
                "PriorityClass" => finding,
                _ if distribution.is_none() => finding.with_severity(Severity::Warning),
                _ => finding,
            };
            // Charts make most classes: a note for each would hide the rest.
            known::possible_creator(declared, one.name).is_none().then_some(finding)
        })
        .collect()
    })
}

struct Named<'a> {
    kind: &'static str,
    name: &'a str,
    path: String,
}

fn of_pods(placed: Placed<'_>) -> Vec<Named<'_>> {
    const FIELDS: [(&str, &str); 2] =
        [("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")];
    let Some((path, pod)) = pods::pod_of(placed) else { return Vec::new() };
    let named = FIELDS.iter().filter_map(|(field, kind)| {
        Some(Named { kind, name: pod[*field].as_str()?, path: format!("{path}.{field}") })
    });
    named.collect()
}

/// Where claims are described.
const CLAIMS: [(&str, &str, &str); 4] = [
    ("", "PersistentVolumeClaim", "spec.storageClassName"),
    ("apps", "StatefulSet", "spec.volumeClaimTemplates[].spec.storageClassName"),
    ("postgresql.cnpg.io", "Cluster", "spec.storage.storageClass"),
    ("postgresql.cnpg.io", "Cluster", "spec.walStorage.storageClass"),
];

fn of_claims(placed: Placed<'_>) -> Vec<Named<'_>> {
    // A claim of a volume that exists needs no class.
    if placed.field(&["spec", "volumeName"]).is_string() {
        return Vec::new();
    }
    let paths = CLAIMS.iter().filter(|(group, kind, _)| placed.is(group, kind));
    let found = paths.flat_map(|(.., path)| values_at(&placed.object.data, path));
    found
        .filter_map(|(path, name)| Some((path, name.as_str()?)))
        .map(|(path, name)| Named { kind: "StorageClass", name, path })
        .collect()
}

fn is_there(declared: &Declared, distribution: Option<Distribution>, one: &Named<'_>) -> bool {
    let group = match one.kind {
        "PriorityClass" => "scheduling.k8s.io",
        "RuntimeClass" => "node.k8s.io",
        _ => "storage.k8s.io",
    };
    let may_be_k3s = matches!(distribution, None | Some(Distribution::K3s));
    let of_platform = match one.kind {
        "PriorityClass" => BUILT_IN.contains(&one.name),
        "RuntimeClass" => may_be_k3s && OF_K3S.contains(&one.name),
        _ => may_be_k3s && one.name == "local-path" || is_of_volume(declared, one.name),
    };
    of_platform || known::find(declared, group, one.kind, None, one.name).is_some()
}

/// Whether a declared volume has the class: its name need not be that of a StorageClass then.
fn is_of_volume(declared: &Declared, class: &str) -> bool {
    objects_of(declared)
        .any(|one| one.is("", "PersistentVolume") && one.field(&["spec", "storageClassName"]) == class)
}
