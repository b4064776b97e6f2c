//! Workloads and their pods.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Fault;
use crate::fleet::Placed;
use crate::paths::values_at;
use crate::pods::{containers, pod_of};
use bootstrapper_core::selector::selects;

/// Workloads whose pods do not end by themselves.
const LASTING: [&str; 4] = ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];

pub(super) fn faults(placed: Placed<'_>) -> Vec<Fault> {
    let Some((path, pod)) = pod_of(placed) else { return Vec::new() };
    let mut found = Vec::new();
    found.extend(selector(placed));
    found.extend(restart_policy(placed, &path, pod));
    found.extend(of_pod(placed, &path, pod));
    found
}

fn is_of(placed: Placed<'_>, kinds: &[&str]) -> bool {
    let id = placed.id();
    matches!(id.group(), "apps" | "batch") && kinds.contains(&id.kind.as_str())
}

/// A workload that does not select its own pods.
fn selector(placed: Placed<'_>) -> Option<Fault> {
    if !is_of(placed, &LASTING) {
        return None;
    }
    let selector = placed.field(&["spec", "selector"]);
    let labels = placed.field(&["spec", "template", "metadata", "labels"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let labels: BTreeMap<String, String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
        .collect();
    let is_set = selector.as_object().is_some_and(|fields| !fields.is_empty());
    (is_set && !selects(selector, &labels)).then(|| {
        Fault::new(
            "spec.selector",
            format!("its selector {selector} does not match the labels of its own template"),
        )
    })
}

fn restart_policy(placed: Placed<'_>, path: &str, pod: &Value) -> Option<Fault> {
    let policy = pod["restartPolicy"].as_str();
    let (is_fault, needs) = if is_of(placed, &["CronJob", "Job"]) {
        (matches!(policy, None | Some("Always")), "OnFailure or Never")
    } else if is_of(placed, &LASTING) {
        (policy.is_some_and(|policy| policy != "Always"), "Always")
    } else {
        return None;
    };
    let is = policy.unwrap_or("not set, so `Always`");
    is_fault.then(|| {
        let field = if policy.is_some() { format!("{path}.restartPolicy") } else { path.to_owned() };
        Fault::new(field, format!("restartPolicy is {is}, and must be {needs}"))
    })
}

fn of_pod(placed: Placed<'_>, path: &str, pod: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut volumes: BTreeSet<&str> = BTreeSet::new();
    for (at, volume) in values_at(pod, "volumes[]") {
        let name = volume["name"].as_str().unwrap_or_default();
        if !volumes.insert(name) {
            found.push(Fault::new(format!("{path}.{at}.name"), format!("volume {name} is declared twice")));
        }
        let kinds = volume.as_object().into_iter().flatten();
        let kinds: Vec<&str> = kinds
            .filter(|(kind, value)| *kind != "name" && !value.is_null())
            .map(|(kind, _)| kind.as_str())
            .collect();
        if kinds.len() > 1 {
            let what = format!("volume {name} is of more than one kind ({})", kinds.join(", "));
            found.push(Fault::new(format!("{path}.{at}"), what));
        }
    }
    let claims = values_at(&placed.object.data, "spec.volumeClaimTemplates[].metadata.name").into_iter();
    volumes.extend(claims.filter_map(|(_, name)| name.as_str()));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (at, container) in containers(path, pod) {
        let name = container["name"].as_str().unwrap_or_default();
        if !names.insert(name) {
            found.push(Fault::new(format!("{at}.name"), format!("container {name} is declared twice")));
        }
        found.extend(of_container(&at, name, container, &volumes));
    }
    found
}

fn of_container(path: &str, name: &str, container: &Value, volumes: &BTreeSet<&str>) -> Vec<Fault> {
    let mut found = Vec::new();
    if container["image"].as_str().is_none_or(str::is_empty) && !path.contains("ephemeral") {
        found.push(Fault::new(path, format!("container {name} has no image")));
    }
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for (at, mount) in values_at(container, "volumeMounts[]") {
        let volume = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(volume) {
            let what = format!("container {name} mounts the volume {volume}, which the pod does not have");
            found.push(Fault::new(format!("{path}.{at}.name"), what));
        }
        if let Some(target) = mount["mountPath"].as_str().filter(|target| !paths.insert(target)) {
            let what = format!("container {name} mounts two volumes at {target}");
            found.push(Fault::new(format!("{path}.{at}.mountPath"), what));
        }
    }
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        let of = |kind: &str| quantity(&container["resources"][kind][resource]);
        if let (Some(least), Some(most)) = (of("requests"), of("limits"))
            && least > most
        {
            let text = |kind: &str| shown(&container["resources"][kind][resource]);
            let what = format!(
                "container {name} requests {} of {resource}, more than its limit {}",
                text("requests"),
                text("limits")
            );
            found.push(Fault::new(format!("{path}.resources.requests.{resource}"), what));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(fields) = container[probe].as_object() else { continue };
        let ways = ["exec", "grpc", "httpGet", "tcpSocket"];
        let used: Vec<&str> =
            ways.into_iter().filter(|way| fields.get(*way).is_some_and(|it| !it.is_null())).collect();
        let what = match used.len() {
            1 => continue,
            0 => format!("the {probe} of container {name} has none of {}", ways.join(", ")),
            _ => format!("the {probe} of container {name} has more than one of {}", used.join(", ")),
        };
        found.push(Fault::new(format!("{path}.{probe}"), what));
    }
    found
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The suffixes of quantities, each with its factor.
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The value of a quantity (`100m`, `1Gi`, `2e3`); none if it has another form.
fn quantity(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let text = value.as_str()?.trim();
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    Some(number.parse::<f64>().ok().filter(|number| number.is_finite())? * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities() {
        for (text, value) in [
            (json!("100m"), Some(0.1)),
            (json!("1Gi"), Some(1_073_741_824.0)),
            (json!(2), Some(2.0)),
            (json!("2e3"), Some(2000.0)),
            (json!("1E"), Some(1e18)),
            (json!("much"), None),
            (json!(null), None),
        ] {
            assert_eq!(quantity(&text), value, "{text}");
        }
    }

    #[test]
    fn containers_that_no_api_server_takes() {
        let volumes = BTreeSet::from(["data"]);
        let faults = |container: Value| {
            let found = of_container("spec.containers[0]", "a", &container, &volumes);
            found.into_iter().map(|fault| fault.path).collect::<Vec<_>>()
        };
        let fine = json!({"image": "a:1", "volumeMounts": [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/b"}],
            "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"cpu": "1000m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 3}});
        assert!(faults(fine).is_empty());
        assert_eq!(faults(json!({})), ["spec.containers[0]"]);
        let mounts = json!({"image": "a:1", "volumeMounts": [{"name": "date", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]});
        assert_eq!(
            faults(mounts),
            ["spec.containers[0].volumeMounts[0].name", "spec.containers[0].volumeMounts[1].mountPath"]
        );
        let large = json!({"image": "a:1", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}}});
        assert_eq!(faults(large), ["spec.containers[0].resources.requests.memory"]);
        let probes = json!({"image": "a:1", "readinessProbe": {"periodSeconds": 1}, "livenessProbe": {"exec": {}, "grpc": {}}});
        assert_eq!(faults(probes), ["spec.containers[0].livenessProbe", "spec.containers[0].readinessProbe"]);
    }
}
