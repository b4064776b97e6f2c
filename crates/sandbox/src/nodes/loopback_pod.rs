//! Pods of controllers, as processes on this machine's loopback: with the declared arguments, environment and
//! volumes, but other addresses, paths and kubeconfig.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kubelet::{
    Container, ContainerProcess, Events, Health, PodAddress, Prepared, ProcessState, Written, data,
    delete_pod, environment_of, expanded, image_of, keep, log_file, token, update_pod_status,
};
use crate::process::ProcessSpec;
use crate::programs::FLUX_OPERATOR_MANAGER;
use crate::site::Site;
use crate::sources::UNREACHABLE;
use crate::state::write_private;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// Images whose programs the sandbox has, and its names for these programs.
const PROGRAMS: [(&str, &str); 5] = [
    ("source-controller", "source-controller"),
    ("kustomize-controller", "kustomize-controller"),
    ("helm-controller", "helm-controller"),
    ("operator-generic", "cilium-operator-generic"),
    ("flux-operator", FLUX_OPERATOR_MANAGER),
];

/// The image names.
pub(super) fn images() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(image, _)| *image)
}

/// The program of a pod, if the sandbox has it.
pub(super) fn program_of(pod: &Object) -> Option<&'static str> {
    let image = image_of(pod)?;
    PROGRAMS.iter().find(|(of, _)| *of == image).map(|(_, program)| *program)
}

/// Prepares everything that the process needs.
async fn prepare(site: &Site, pod: &Object, program: &str) -> Result<Prepared> {
    let id = ObjectRef::of(pod);
    let namespace = id.namespace.clone().unwrap_or_default();
    let home = site.folder.path("pods").join(pod.metadata.uid.as_deref().unwrap_or(&id.name));
    std::fs::create_dir_all(home.join("tmp"))
        .map_err(|error| Failure::step(format!("no folder for {id}")).caused_by(&error))?;
    let account = pod.data["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let token = token(site, &namespace, account).await?;
    let credentials = serde_json::json!({"token": token});
    let kubeconfig =
        site.certificates.write_kubeconfig(home.join("kubeconfig"), "pod", &site.server, &credentials)?;
    let container = &pod.data["spec"]["containers"][0];
    let mounts = volumes(site, pod, container, &home, &namespace).await?;
    let mut environment = site.environment.variables.clone();
    environment.extend(environment_of(site, pod, container, &namespace).await?);
    // In a container these refer to the Service of the API server, which is unreachable here.
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
        let mut arguments = if program == FLUX_OPERATOR_MANAGER {
            // Required by its image's build; otherwise it does not start.
            environment.insert("GODEBUG".into(), "fips140=on".into());
            // notification-controller is a simulated pod: for every event, the operator would retry for 15 s.
            environment.insert("NOTIFICATIONS_DISABLED".into(), "true".into());
            flux_operator_arguments(declared, &site.programs.assets.flux_operator)
        } else {
            flux_arguments(declared)
        };
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

/// Replaces addresses and paths; disables servers that any user could call. Leader election is disabled,
/// because each controller has one replica. Its log shows that it is healthy.
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

/// The same for the Flux operator. Flux's manifests are in its image.
fn flux_operator_arguments(mut declared: Vec<String>, module: &Path) -> Vec<String> {
    const OURS: [&str; 5] = [
        "--health-addr",
        "--metrics-addr",
        "--storage-path",
        "--web-server-port",
        "--enable-leader-election",
    ];
    declared.retain(|word| !OURS.iter().any(|flag| word.starts_with(flag)));
    declared.extend(
        ["--health-addr=0", "--metrics-addr=0", "--web-server-port=0", "--enable-leader-election=false"]
            .map(str::to_owned),
    );
    declared.push(format!("--storage-path={}", module.join("config/data").display()));
    declared
}

/// It must listen on an address.
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

/// Volumes of ConfigMaps and Secrets as files; others as empty folders. By mount path.
async fn volumes(
    site: &Site,
    pod: &Object,
    container: &Value,
    home: &Path,
    namespace: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut mounts = BTreeMap::new();
    let failed = |error: std::io::Error| Failure::step("cannot create a volume").caused_by(&error);
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

/// Replaces paths in volumes with local ones.
fn mounted(word: &str, mounts: &BTreeMap<String, PathBuf>) -> String {
    // The longest mount path first: mounts may be nested.
    let found =
        mounts.iter().filter(|(path, _)| word.contains(path.as_str())).max_by_key(|(path, _)| path.len());
    found.map_or_else(
        || word.to_owned(),
        |(path, folder)| word.replace(path.as_str(), &folder.display().to_string()),
    )
}

struct OnLoopback {
    site: Arc<Site>,
    pod: Arc<Object>,
    program: &'static str,
    events: Events,
}

#[async_trait]
impl Container for OnLoopback {
    async fn prepare(&self) -> Result<Prepared> {
        prepare(&self.site, &self.pod, self.program).await
    }

    async fn report_state(&self, process_state: ProcessState, restarts: u32) {
        let container = self.pod.data["spec"]["containers"][0].clone();
        update_pod_status(
            &self.site,
            &self.pod,
            PodAddress::OfNode,
            &[ContainerProcess { container, process_state, restarts }],
        )
        .await;
    }

    async fn unhealthy(&self, why: &str) {
        self.events.probe_failed(why).await;
    }
}

/// Runs a pod until cancelled.
pub(super) async fn live(
    site: Arc<Site>,
    pod: Arc<Object>,
    program: &'static str,
    cancel: CancellationToken,
) {
    let events = Events::of(&site.cluster, &pod);
    let container = OnLoopback { site, pod, program, events };
    keep(&container, &cancel).await;
    delete_pod(&container.site, &container.pod).await;
}
