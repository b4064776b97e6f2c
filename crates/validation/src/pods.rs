//! Pods that the repository itself declares, in workloads of the built-in kinds.

use serde_json::Value;

use crate::fleet::Placed;
use crate::paths::values_at;

/// Where the pods of a kind are described: their metadata and spec.
const TEMPLATES: [(&str, &str, &str); 8] = [
    ("", "Pod", ""),
    ("", "ReplicationController", "spec.template"),
    ("apps", "DaemonSet", "spec.template"),
    ("apps", "Deployment", "spec.template"),
    ("apps", "ReplicaSet", "spec.template"),
    ("apps", "StatefulSet", "spec.template"),
    ("batch", "CronJob", "spec.jobTemplate.spec.template"),
    ("batch", "Job", "spec.template"),
];

/// The path of a pod's spec in an object, and the spec.
pub(super) fn pod_of(placed: Placed<'_>) -> Option<(String, &Value)> {
    let (_, _, template) = TEMPLATES.iter().find(|(group, kind, _)| placed.is(group, kind))?;
    let path = if template.is_empty() { "spec".to_owned() } else { format!("{template}.spec") };
    values_at(&placed.object.data, &path).pop()
}

/// The containers of a pod, each with its path.
pub(super) fn containers<'a>(path: &str, pod: &'a Value) -> Vec<(String, &'a Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    lists
        .flat_map(|list| values_at(pod, &format!("{list}[]")))
        .map(|(at, container)| (format!("{path}.{at}"), container))
        .collect()
}

/// A Secret, ConfigMap or claim without which a pod does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    /// Where it is named.
    pub(super) path: String,
}

/// Where a volume names what it needs: the path of the name, what is asked whether it is optional, and the kind.
const VOLUMES: [(&str, &str, &str); 5] = [
    ("secret.secretName", "secret", "Secret"),
    ("configMap.name", "configMap", "ConfigMap"),
    ("projected.sources[].secret.name", "", "Secret"),
    ("projected.sources[].configMap.name", "", "ConfigMap"),
    ("persistentVolumeClaim.claimName", "persistentVolumeClaim", "PersistentVolumeClaim"),
];

/// The same of a container.
const VARIABLES: [(&str, &str); 4] = [
    ("env[].valueFrom.secretKeyRef", "Secret"),
    ("env[].valueFrom.configMapKeyRef", "ConfigMap"),
    ("envFrom[].secretRef", "Secret"),
    ("envFrom[].configMapRef", "ConfigMap"),
];

/// Everything that a pod needs before it starts.
pub(super) fn needed<'a>(path: &str, pod: &'a Value) -> Vec<Needed<'a>> {
    let mut found = Vec::new();
    for (at, volume) in values_at(pod, "volumes[]") {
        for (name, holder, kind) in VOLUMES {
            if !holder.is_empty() && volume[holder]["optional"] == true {
                continue;
            }
            let names = values_at(volume, name).into_iter();
            found.extend(names.filter(|(field, _)| !is_optional(volume, field)).filter_map(
                |(field, value)| {
                    Some(Needed { kind, name: value.as_str()?, path: format!("{path}.{at}.{field}") })
                },
            ));
        }
    }
    for (at, container) in containers(path, pod) {
        for (reference, kind) in VARIABLES {
            let references = values_at(container, reference).into_iter();
            found.extend(references.filter(|(_, one)| one["optional"] != true).filter_map(|(field, one)| {
                Some(Needed { kind, name: one["name"].as_str()?, path: format!("{at}.{field}.name") })
            }));
        }
    }
    found
}

/// Whether a source of a projected volume, whose name is at that path, may be missing.
fn is_optional(volume: &Value, field: &str) -> bool {
    let Some((number, rest)) =
        field.strip_prefix("projected.sources[").and_then(|rest| rest.split_once("]."))
    else {
        return false;
    };
    let Ok(number) = number.parse::<usize>() else { return false };
    let kind = rest.split('.').next().unwrap_or_default();
    volume["projected"]["sources"][number][kind]["optional"] == true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_needs() {
        let pod = json!({
            "volumes": [
                {"name": "a", "secret": {"secretName": "s1"}},
                {"name": "b", "secret": {"secretName": "s2", "optional": true}},
                {"name": "c", "projected": {"sources": [
                    {"secret": {"name": "s3", "optional": true}}, {"configMap": {"name": "c1"}}, {"serviceAccountToken": {}}]}},
                {"name": "d", "emptyDir": {}},
                {"name": "e", "persistentVolumeClaim": {"claimName": "p1"}},
            ],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "s4"}}, {"configMapRef": {"name": "c2", "optional": true}}]}],
            "containers": [{"env": [
                {"name": "X", "value": "s5"},
                {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "s6", "key": "k"}}},
                {"name": "Z", "valueFrom": {"configMapKeyRef": {"name": "c3", "key": "k", "optional": true}}}]}],
        });
        let named: Vec<&str> = needed("spec", &pod).iter().map(|one| one.name).collect();
        assert_eq!(named, ["s1", "c1", "p1", "s4", "s6"]);
        assert_eq!(needed("spec", &pod)[4].path, "spec.containers[0].env[1].valueFrom.secretKeyRef.name");
    }
}
