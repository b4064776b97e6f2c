//! From a container to a process of this machine: its arguments, environment and volumes, with
//! what has to be otherwise here: addresses, paths, and how it reaches the API server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Site;
use super::health::{Health, Written};
use super::keep::Prepared;
use super::kubelet::log_file;
use crate::process::ProcessSpec;
use crate::sources::UNREACHABLE;
use crate::state::write_private;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// Images that exist here as programs; also in kwok's stages, which leave their pods alone.
pub(super) const PROCESS_IMAGES: [&str; 5] =
    ["source-controller", "kustomize-controller", "helm-controller", "operator-generic", super::shell::IMAGE];

/// The program of a pod, if its image exists here.
pub(super) fn program_of(pod: &Object) -> Option<&'static str> {
    match image_of(pod)? {
        "source-controller" => Some("source-controller"),
        "kustomize-controller" => Some("kustomize-controller"),
        "helm-controller" => Some("helm-controller"),
        "operator-generic" => Some("cilium-operator-generic"),
        _ => None,
    }
}

/// The name of a pod's first image, without registry and tag.
pub(crate) fn image_of(pod: &Object) -> Option<&str> {
    let image = pod.data["spec"]["containers"][0]["image"].as_str()?;
    image.rsplit('/').next()?.split([':', '@']).next()
}

/// Makes everything that the process needs.
pub(super) async fn prepare(site: &Site, pod: &Object, program: &str) -> Result<Prepared> {
    let id = ObjectRef::of(pod);
    let namespace = id.namespace.clone().unwrap_or_default();
    let home = site.folder.path("pods").join(pod.metadata.uid.as_deref().unwrap_or(&id.name));
    std::fs::create_dir_all(home.join("tmp"))
        .map_err(|error| Failure::step(format!("{id} has no folder")).caused_by(&error))?;
    let account = pod.data["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let token = token(site, &namespace, account).await?;
    let credentials = serde_json::json!({"token": token});
    let kubeconfig =
        site.certificates.write_kubeconfig(home.join("kubeconfig"), "pod", &site.server, &credentials)?;
    let container = &pod.data["spec"]["containers"][0];
    let mounts = volumes(site, pod, container, &home, &namespace).await?;
    let mut environment = site.environment.variables.clone();
    environment.extend(environment_of(site, pod, container, &namespace).await?);
    // In a container these name the Service of the API server, which nobody answers here.
    environment.retain(|name, _| !name.starts_with("KUBERNETES_SERVICE_"));
    environment.insert("TMPDIR".into(), home.join("tmp").display().to_string());
    environment.insert("HOME".into(), home.display().to_string());
    let words =
        ["command", "args"].into_iter().flat_map(|key| container[key].as_array().into_iter().flatten());
    let declared: Vec<String> = words
        .filter_map(|word| word.as_str())
        .filter(|word| word.starts_with('-'))
        .map(|word| mounted(&expanded(word, &environment), &mounts))
        .collect();
    let (arguments, well) = if program == "cilium-operator-generic" {
        (operator_arguments(declared, &kubeconfig, &namespace), "Waiting for leader election")
    } else {
        environment.insert("KUBECONFIG".into(), kubeconfig.display().to_string());
        environment.insert("RUNTIME_NAMESPACE".into(), namespace.clone());
        let mut arguments = flux_arguments(declared);
        if program == "source-controller" {
            let storage = home.join("storage");
            std::fs::create_dir_all(&storage)
                .map_err(|error| Failure::step("no storage for sources").caused_by(&error))?;
            arguments.push(format!("--storage-path={}", storage.display()));
            arguments.push(format!("--storage-addr={UNREACHABLE}"));
            environment.insert("STORAGE_ADV_ADDR".into(), site.sources.address());
            site.sources.serve(&storage);
        }
        (arguments, "Starting workers")
    };
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let log = log_file(&site.folder, &namespace, &id.name, &name);
    Ok(Prepared {
        spec: ProcessSpec {
            name: id.to_string(),
            program: site.programs.path(program)?,
            arguments,
            environment,
            log: log.clone(),
            directory: home,
            sandbox: site.folder.0.clone(),
        },
        health: Some(Health::Written(Written::of(log, well))),
    })
}

/// Addresses and paths are ours: servers that would answer anybody are off. A leader is elected within
/// a cluster only, and here each controller is alone. It says in its log that it is well.
fn flux_arguments(mut declared: Vec<String>) -> Vec<String> {
    const OURS: [&str; 7] = [
        "--events-addr",
        "--health-addr",
        "--metrics-addr",
        "--storage-path",
        "--storage-addr",
        "--storage-adv-addr",
        "--enable-leader-election",
    ];
    const SILENT: [&str; 1] = ["--log-level=error"];
    declared
        .retain(|word| !OURS.iter().any(|flag| word.starts_with(flag)) && !SILENT.contains(&word.as_str()));
    declared.extend(["--events-addr=", "--health-addr=0", "--metrics-addr=0"].map(str::to_owned));
    declared
}

/// It has to listen somewhere.
fn operator_arguments(mut declared: Vec<String>, kubeconfig: &Path, namespace: &str) -> Vec<String> {
    declared.extend([
        format!("--k8s-kubeconfig-path={}", kubeconfig.display()),
        format!("--k8s-namespace={namespace}"),
        format!("--operator-api-serve-addr={UNREACHABLE}"),
        "--enable-metrics=false".into(),
        "--shell-sock-path=".into(),
        "--enable-gops=false".into(),
        "--unmanaged-pod-watcher-interval=0".into(),
    ]);
    declared
}

/// A token of the pod's own account: RBAC is real.
pub(crate) async fn token(site: &Site, namespace: &str, account: &str) -> Result<String> {
    use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
    use k8s_openapi::api::core::v1::ServiceAccount;
    let accounts: kube::Api<ServiceAccount> = kube::Api::namespaced(site.cluster.client(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7 * 24 * 3600), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("account {namespace}/{account} gets no token")).caused_by(error)
    };
    let answer = accounts.create_token_request(account, &kube::api::PostParams::default(), &request).await;
    let answer = answer.map_err(|error| failed(&error))?;
    answer
        .status
        .map(|status| status.token)
        .ok_or_else(|| Failure::step(format!("account {namespace}/{account} gets no token")))
}

/// Volumes of ConfigMaps and Secrets as files; others as empty folders. By mount path.
async fn volumes(
    site: &Site,
    pod: &Object,
    container: &Value,
    home: &Path,
    namespace: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut mounts = BTreeMap::new();
    let failed = |error: std::io::Error| Failure::step("a volume cannot be made").caused_by(&error);
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let (Some(name), Some(path)) = (mount["name"].as_str(), mount["mountPath"].as_str()) else {
            continue;
        };
        let folder = home.join("volumes").join(name);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let volumes = pod.data["spec"]["volumes"].as_array();
        let volume =
            volumes.into_iter().flatten().find(|volume| volume["name"] == name).cloned().unwrap_or_default();
        let source = match (volume["configMap"]["name"].as_str(), volume["secret"]["secretName"].as_str()) {
            (Some(map), _) => Some(("ConfigMap", map)),
            (_, Some(secret)) => Some(("Secret", secret)),
            _ => None,
        };
        if let Some((kind, of)) = source {
            for (key, value) in data(site, kind, namespace, of).await?.unwrap_or_default() {
                write_private(&folder.join(key), value).map_err(failed)?;
            }
        }
        mounts.insert(path.to_owned(), folder);
    }
    Ok(mounts)
}

/// The data of a ConfigMap or Secret; none if it is not there.
pub(crate) async fn data(
    site: &Site,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<BTreeMap<String, Vec<u8>>>> {
    use base64::Engine as _;
    let Some(object) = site.cluster.get(&ObjectRef::namespaced("v1", kind, namespace, name)).await? else {
        return Ok(None);
    };
    let entries = object.data["data"].as_object().cloned().unwrap_or_default();
    let decode = |text: &str| match kind {
        "Secret" => base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default(),
        _ => text.as_bytes().to_vec(),
    };
    let decoded =
        entries.iter().map(|(key, value)| (key.clone(), decode(value.as_str().unwrap_or_default())));
    Ok(Some(decoded.collect()))
}

pub(crate) async fn environment_of(
    site: &Site,
    pod: &Object,
    container: &Value,
    namespace: &str,
) -> Result<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    for entry in container["env"].as_array().into_iter().flatten() {
        let Some(name) = entry["name"].as_str() else { continue };
        let from = &entry["valueFrom"];
        let value = if let Some(value) = entry["value"].as_str() {
            expanded(value, &environment)
        } else if let Some(field) = from["fieldRef"]["fieldPath"].as_str() {
            field_of(pod, field)
        } else {
            let (kind, reference) = match (&from["configMapKeyRef"], &from["secretKeyRef"]) {
                (map, _) if map.is_object() => ("ConfigMap", map),
                (_, secret) => ("Secret", secret),
            };
            let Some(of) = reference["name"].as_str() else { continue };
            let key = reference["key"].as_str().unwrap_or_default();
            let Some(mut data) = data(site, kind, namespace, of).await? else { continue };
            let Some(value) = data.remove(key) else { continue };
            String::from_utf8_lossy(&value).into_owned()
        };
        environment.insert(name.to_owned(), value);
    }
    Ok(environment)
}

fn field_of(pod: &Object, path: &str) -> String {
    let value = match path {
        "metadata.name" => pod.metadata.name.as_deref(),
        "metadata.namespace" => pod.metadata.namespace.as_deref(),
        "spec.nodeName" => pod.data["spec"]["nodeName"].as_str(),
        "spec.serviceAccountName" => pod.data["spec"]["serviceAccountName"].as_str(),
        "status.podIP" => pod.data["status"]["podIP"].as_str(),
        _ => None,
    };
    value.unwrap_or_default().to_owned()
}

/// `$(NAME)`, as Kubernetes expands it.
pub(crate) fn expanded(word: &str, environment: &BTreeMap<String, String>) -> String {
    environment.iter().fold(word.to_owned(), |word, (name, value)| word.replace(&format!("$({name})"), value))
}

/// Paths within volumes, as they are here.
fn mounted(word: &str, mounts: &BTreeMap<String, PathBuf>) -> String {
    // The longest mount path first: one may lie within another.
    let found =
        mounts.iter().filter(|(path, _)| word.contains(path.as_str())).max_by_key(|(path, _)| path.len());
    found.map_or_else(
        || word.to_owned(),
        |(path, folder)| word.replace(path.as_str(), &folder.display().to_string()),
    )
}
