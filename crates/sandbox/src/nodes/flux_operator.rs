//! Stands in for flux-operator, which cannot be had as a Go module: while its pod runs, it does what
//! the FluxInstance asks for, with Flux's own manifests.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::site::Site;
use bootstrapper_cluster::seen;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::private::Folder;
use bootstrapper_readiness as readiness;
use bootstrapper_tools::Kustomize;

const MANAGER: &str = "flux-operator";
/// As the original, it is asked before an instance goes.
const FINALIZER: &str = "fluxcd.controlplane.io/finalizer";
/// An instance that nothing is done for, not even as it goes.
const DISABLED: &str = "fluxcd.controlplane.io/reconcile";
const NAMESPACE: &str = "flux-system";

/// Acts for as long as the sandbox runs.
pub(super) async fn run(site: &Site) {
    let operator = ObjectRef::namespaced("apps/v1", "Deployment", NAMESPACE, "flux-operator");
    let instance = ObjectRef::namespaced("fluxcd.controlplane.io/v1", "FluxInstance", NAMESPACE, "flux");
    let mut states = seen(site.cluster.follow(vec![operator.clone(), instance.clone()]));
    let mut done = None;
    while let Some(state) = states.next().await {
        let found = |id: &ObjectRef| state.get(id).cloned().flatten();
        let (Some(operator), Some(instance)) = (found(&operator), found(&instance)) else { continue };
        if !readiness::verdict(&operator).is_ready() {
            continue;
        }
        if instance.metadata.deletion_timestamp.is_some() {
            if let Err(failure) = finalize(site, &instance).await {
                tracing::error!(%failure, "cannot uninstall Flux");
            }
            continue;
        }
        let generation = (instance.metadata.uid.clone(), instance.metadata.generation);
        if done.as_ref() == Some(&generation) || is_disabled(&instance) {
            continue;
        }
        let outcome = reconcile(site, &instance).await;
        if outcome.is_ok() {
            done = Some(generation.clone());
        }
        if let Err(failure) = update_status(site, &instance, &outcome).await {
            tracing::error!(%failure, "cannot update the status of the FluxInstance");
        }
    }
}

fn is_disabled(instance: &Object) -> bool {
    let annotations = instance.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DISABLED)).is_some_and(|value| value == "disabled")
}

/// What the instance asks for, and in which version.
async fn wanted(site: &Site, instance: &Object) -> Result<(String, Vec<Object>)> {
    let spec = &instance.data["spec"];
    let version = version(
        &site.programs.assets.flux_operator.join("config/data/flux"),
        spec["distribution"]["version"].as_str().unwrap_or("2.x"),
    )?;
    let built = build(site, spec, &version).await?;
    Ok((version, bootstrapper_core::yaml::from_multiple(&built, Path::new("Flux's manifests"))?))
}

/// Uninstalls Flux in the order of the original (`fluxinstance_uninstaller.go`): controllers, the
/// finalizers of what they reconciled, all else, and the instance once the CRDs are gone.
async fn finalize(site: &Site, instance: &Object) -> Result<()> {
    if !is_disabled(instance) {
        let (_, mut objects) = wanted(site, instance).await?;
        objects.retain(|object| ObjectRef::of(object).kind != "Namespace");
        let ids = |kind: &str| -> Vec<ObjectRef> {
            objects.iter().map(ObjectRef::of).filter(|id| id.kind == kind).collect()
        };
        let deployments = ids("Deployment");
        for id in &deployments {
            site.cluster.delete(id).await?;
        }
        until_gone(site, deployments).await;
        let crds = ids("CustomResourceDefinition");
        for crd in objects.iter().filter(|object| bootstrapper_core::object::is_crd(object)) {
            release_all(site, crd).await?;
        }
        for object in &objects {
            site.cluster.delete(&ObjectRef::of(object)).await?;
        }
        until_gone(site, crds).await;
    }
    let none = json!({"metadata": {"finalizers": null}});
    merge(site, &ObjectRef::of(instance), &none).await
}

async fn merge(site: &Site, id: &ObjectRef, patch: &Value) -> Result<()> {
    let Some(api) = site.cluster.raw_api_in(id).await? else { return Ok(()) };
    let as_itself = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch(&id.name, &as_itself, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => {
            other.map(drop).map_err(|error| Failure::step(format!("cannot change {id}")).caused_by(&error))
        }
    }
}

async fn until_gone(site: &Site, ids: Vec<ObjectRef>) {
    let mut states = seen(site.cluster.follow(ids));
    while let Some(state) = states.next().await {
        if state.values().all(Option::is_none) {
            return;
        }
    }
}

/// Takes the finalizers from all objects of a kind.
async fn release_all(site: &Site, crd: &Object) -> Result<()> {
    let spec = &crd.data["spec"];
    let versions = spec["versions"].as_array().into_iter().flatten();
    let served =
        versions.filter(|version| version["served"] == true).filter_map(|version| version["name"].as_str());
    let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else {
        return Ok(());
    };
    for version in served.take(1) {
        let all = Selection::of(&format!("{group}/{version}"), kind);
        for object in site.cluster.list(&all).await? {
            let none = json!({"metadata": {"finalizers": null}});
            merge(site, &ObjectRef::of(&object), &none).await?;
        }
    }
    Ok(())
}

/// Applies what the instance asks for and awaits it; the version.
async fn reconcile(site: &Site, instance: &Object) -> Result<String> {
    let finalizer = json!({"metadata": {"finalizers": [FINALIZER]}});
    merge(site, &ObjectRef::of(instance), &finalizer).await?;
    let (version, objects) = wanted(site, instance).await?;
    let (first, rest): (Vec<Object>, Vec<Object>) = objects.into_iter().partition(|object| {
        matches!(ObjectRef::of(object).kind.as_str(), "CustomResourceDefinition" | "Namespace")
    });
    let (sync, rest): (Vec<Object>, Vec<Object>) =
        rest.into_iter().partition(|object| ObjectRef::of(object).group().ends_with(".toolkit.fluxcd.io"));
    apply(site, &first).await?;
    apply(site, &rest).await?;
    let deployments: Vec<ObjectRef> =
        rest.iter().map(ObjectRef::of).filter(|id| id.kind == "Deployment").collect();
    let mut states = seen(site.cluster.follow(deployments));
    while let Some(state) = states.next().await {
        if state
            .values()
            .all(|object| object.as_ref().is_some_and(|object| readiness::verdict(object).is_ready()))
        {
            break;
        }
    }
    apply(site, &sync).await?;
    Ok(version)
}

/// The newest version that a wish like `2.x`, `2.9.x` or `2.9.4` allows.
fn version(folder: &Path, wish: &str) -> Result<String> {
    let wished = semver::VersionReq::parse(&if wish.contains('x') || wish.contains('*') {
        wish.replace('x', "*")
    } else {
        format!("={wish}")
    })
    .map_err(|error| Failure::step(format!("invalid Flux version `{wish}`")).caused_by(&error))?;
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    entries
        .filter_map(|entry| {
            semver::Version::parse(entry.file_name().to_string_lossy().trim_start_matches('v')).ok()
        })
        .filter(|version| wished.matches(version))
        .max()
        .map(|version| version.to_string())
        .ok_or_else(|| Failure::step(format!("no Flux {wish} in the sandbox")))
}

/// The components that are asked for; the four that matter most, if none is named.
fn components(spec: &Value) -> Vec<&str> {
    const DEFAULT: [&str; 4] =
        ["source-controller", "kustomize-controller", "helm-controller", "notification-controller"];
    let named: Vec<&str> =
        spec["components"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if named.is_empty() { DEFAULT.to_vec() } else { named }
}

/// Flux's manifests for the components that are asked for, with the instance's own patches.
async fn build(site: &Site, spec: &Value, version: &str) -> Result<String> {
    let failed = |error: std::io::Error| Failure::step("cannot build Flux's manifests").caused_by(&error);
    let source = site.programs.assets.flux_operator.join(format!("config/data/flux/v{version}"));
    let folder = Folder::new()?;
    let components = components(spec);
    let files =
        components.iter().map(|component| format!("{component}.yaml")).chain(["rbac.yaml".to_owned()]);
    let mut resources = vec![PathBuf::from("namespace.yaml")];
    for file in files {
        std::fs::copy(source.join(&file), folder.path().join(&file)).map_err(failed)?;
        resources.push(file.into());
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    std::fs::write(folder.path().join("namespace.yaml"), namespace.to_string()).map_err(failed)?;
    if let Some([source, root]) = sync(&spec["sync"]) {
        let text = format!("{source}\n---\n{root}\n");
        std::fs::write(folder.path().join("sync.yaml"), text).map_err(failed)?;
        resources.push("sync.yaml".into());
    }
    let registry = spec["distribution"]["registry"].as_str().unwrap_or("ghcr.io/fluxcd");
    let images: Vec<Value> = components
        .iter()
        .map(|name| json!({"name": format!("fluxcd/{name}"), "newName": format!("{registry}/{name}")}))
        .collect();
    let mut kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "namespace": NAMESPACE, "resources": resources, "images": images,
    });
    if spec["kustomize"]["patches"].is_array() {
        kustomization["patches"] = spec["kustomize"]["patches"].clone();
    }
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).map_err(failed)?;
    Kustomize::find(&site.environment)?.build(folder.path()).await
}

/// The source and the root Kustomization, as the original makes them (`syncTmpl` of flux-operator v0.58.1).
fn sync(sync: &Value) -> Option<[Value; 2]> {
    let url = sync["url"].as_str()?;
    let kind = sync["kind"].as_str().unwrap_or("GitRepository");
    let name = sync["name"].as_str().unwrap_or(NAMESPACE);
    let mut source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": sync["interval"].as_str().unwrap_or("1m0s")},
    });
    match kind {
        "GitRepository" => source["spec"]["ref"] = json!({"name": sync["ref"]}),
        "OCIRepository" => source["spec"]["ref"] = json!({"tag": sync["ref"]}),
        _ => source["spec"]["bucketName"] = sync["ref"].clone(),
    }
    source["spec"][if kind == "Bucket" { "endpoint" } else { "url" }] = url.into();
    if let Some(secret) = sync["pullSecret"].as_str() {
        source["spec"]["secretRef"] = json!({"name": secret});
    }
    if let Some(provider) = sync["provider"].as_str() {
        source["spec"]["provider"] = provider.into();
    }
    let root = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "interval": "10m0s", "path": sync["path"], "prune": true,
            "sourceRef": {"kind": kind, "name": name},
        },
    });
    Some([source, root])
}

async fn apply(site: &Site, objects: &[Object]) -> Result<()> {
    for object in objects {
        let id = ObjectRef::of(object);
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot apply {id}")).caused_by(error)
        };
        let api = site
            .cluster
            .raw_api_in(&id)
            .await?
            .ok_or_else(|| Failure::step(format!("{} is not served", id.kind)))?;
        let live = api.get_opt(&id.name).await.map_err(|error| failed(&error))?;
        if let Some(entries) = live.and_then(|live| taken_over(live.metadata.managed_fields?)) {
            let patch = Patch::Merge(json!({"metadata": {"managedFields": entries}}));
            api.patch(&id.name, &PatchParams::default(), &patch).await.map_err(|error| failed(&error))?;
        }
        api.patch(&id.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
            .await
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// As the original does before it applies: what `kubectl` owns becomes its own. None if that is
/// nothing, or it has an entry already.
fn taken_over(mut entries: Vec<ManagedFieldsEntry>) -> Option<Vec<ManagedFieldsEntry>> {
    let manager = |entry: &ManagedFieldsEntry| entry.manager.clone().unwrap_or_default();
    if entries.iter().any(|entry| manager(entry) == MANAGER) {
        return None;
    }
    let theirs = entries.iter_mut().find(|entry| manager(entry).starts_with("kubectl"))?;
    theirs.manager = Some(MANAGER.to_owned());
    theirs.operation = Some("Apply".to_owned());
    Some(entries)
}

async fn update_status(site: &Site, instance: &Object, outcome: &Result<String>) -> Result<()> {
    let id = ObjectRef::of(instance);
    let (status, reason, message) = match outcome {
        Ok(version) => ("True", "ReconciliationSucceeded", format!("installed Flux v{version}")),
        Err(failure) => ("False", "ReconciliationFailed", failure.to_string()),
    };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut status = json!({"conditions": [{
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "observedGeneration": instance.metadata.generation, "lastTransitionTime": now,
    }]});
    if let Ok(version) = outcome {
        status["lastAppliedRevision"] = format!("v{version}@sha256:sandbox").into();
    }
    let Some(api): Option<Api<Object>> = site.cluster.raw_api_in(&id).await? else { return Ok(()) };
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(&id.name, &PatchParams::default(), &patch)
        .await
        .map(drop)
        .map_err(|error| Failure::step(format!("{id} has no status")).caused_by(&error))
}
