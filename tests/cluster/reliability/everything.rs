//! All that a cluster has, without what differs between any two lives of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bootstrapper::object::{Object, ObjectRef};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::{Discovery, verbs};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

/// Kinds whose objects come and go by themselves, or whose spec reports what goes on.
const PASSING: [&str; 11] = [
    "Event",
    "Lease",
    "Endpoints",
    "EndpointSlice",
    "ComponentStatus",
    "IPAddress",
    "CiliumEndpoint",
    "CiliumIdentity",
    "CiliumNode",
    "Node",
    "FluxReport",
];

/// What Kubernetes, Helm and this program keep of the way there.
const OF_THE_WAY: [&str; 5] = [
    "sh.helm.release.",
    "bootstrapper",
    "kube-root-ca.crt",
    "extension-apiserver-authentication",
    "kubernetes",
];

/// Every object that a declaration made, and no controller by itself: its fields, and who owns them.
pub(crate) async fn everything(kubeconfig: &Path) -> BTreeMap<String, Value> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let served = Discovery::new(client.clone()).run().await.unwrap();
    let mut all = BTreeMap::new();
    let resources = served.groups().flat_map(kube::discovery::ApiGroup::recommended_resources);
    let lasts = |kind: &str| !PASSING.contains(&kind);
    for (resource, _) in
        resources.filter(|(resource, can)| can.supports_operation(verbs::LIST) && lasts(&resource.kind))
    {
        let objects: Api<Object> = Api::all_with(client.clone(), &resource);
        let types =
            kube::core::TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        for mut object in objects.list(&ListParams::default()).await.unwrap().items {
            let name = object.metadata.name.clone().unwrap_or_default();
            let is_anothers =
                object.metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
            if !is_anothers && !OF_THE_WAY.iter().any(|start| name.starts_with(start)) {
                object.types = Some(types.clone());
                all.insert(ObjectRef::of(&object).to_string(), lasting(object));
            }
        }
    }
    all
}

/// What differs between what there was to be and what there is: where, and how.
pub(crate) fn differences(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let value = |state: &BTreeMap<String, Value>| Value::Object(state.clone().into_iter().collect());
    let mut told = Vec::new();
    compare("", &value(before), &value(now), &mut told);
    told
}

fn compare(place: &str, before: &Value, now: &Value, told: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            for key in keys {
                let of =
                    |fields: &serde_json::Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
                compare(&format!("{place}.{key}"), &of(before), &of(now), told);
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (index, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&format!("{place}[{index}]"), before, now, told);
            }
        }
        _ if before == now => {}
        _ => told.push(format!("{place}: {now} instead of {before}")),
    }
}

/// Without its status, and what any two lives of an object differ in: times and versions.
pub(crate) fn bare(object: Object) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = fields["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| {
        !matches!(name.as_str(), "uid" | "resourceVersion" | "creationTimestamp" | "generation")
    });
    for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.as_object_mut().unwrap().remove("time");
    }
    value
}

/// Takes out that somebody once asked Flux to look at an object: that is no part of its state, and how often a
/// run has to ask depends on what fails meanwhile.
fn drop_requests(value: &mut Value) {
    const REQUESTED: [&str; 2] = ["reconcile.fluxcd.io/requestedAt", "reconcile.fluxcd.io/resetAt"];
    let metadata = &mut value["metadata"];
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !REQUESTED.contains(&name.as_str()));
        if annotations.is_empty() {
            metadata.as_object_mut().unwrap().remove("annotations");
        }
    }
    if let Some(managed) = value["metadata"].get_mut("managedFields").and_then(Value::as_array_mut) {
        managed.retain(|entry| entry["manager"] != "bootstrapper-reconcile");
    }
}

/// Also without addresses, who wrote the status, random values, and requests to Flux.
fn lasting(object: Object) -> Value {
    let is_secret = object.types.as_ref().is_some_and(|types| types.kind == "Secret");
    let mut value = bare(object);
    if let Some(managed) = value["metadata"].get_mut("managedFields").and_then(Value::as_array_mut) {
        managed.retain(|entry| entry["subresource"].is_null());
    }
    if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut).filter(|_| is_secret) {
        data.values_mut().for_each(|value| *value = json!("a value"));
    }
    drop_what_is_drawn(&mut value);
    drop_requests(&mut value);
    value
}

fn drop_what_is_drawn(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !matches!(
                    name.as_str(),
                    "clusterIP" | "clusterIPs" | "nodePort" | "healthCheckNodePort" | "caBundle"
                ) && !name.ends_with("controller-uid")
            });
            fields.values_mut().for_each(drop_what_is_drawn);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_what_is_drawn),
        _ => {}
    }
}
