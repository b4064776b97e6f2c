//! Pods on a real network: the programs of their containers run in the pod's own namespaces, with the declared
//! arguments, environment, volumes and account.

mod envoy;
mod probe;
mod refresh;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use volumes::Volumes;

use super::kubelet::{
    Container, ContainerProcess, Events, PodAddress, Prepared, ProcessState, delete_pod, environment_of,
    expanded, image_of, keep, log_file, update_pod_status,
};
use super::network::Place;
use super::process::ProcessSpec;
use super::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// Images whose programs run on a real network; kwok ignores their pods.
pub(super) const REAL_IMAGES: [&str; 3] = [AGENT, "clustermesh-apiserver", "agnhost"];

const AGENT: &str = "cilium";

/// The pause before a failed pod is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a pod really runs.
pub(super) fn is_real(site: &Site, pod: &Object) -> bool {
    site.network.is_some() && image_of(pod).is_some_and(|image| REAL_IMAGES.contains(&image))
}

/// Runs a pod until cancelled.
pub(super) async fn live(site: Arc<Site>, pod: Arc<Object>, cancel: CancellationToken) {
    let place = tokio::select! {
        place = settle(&site, &pod) => Some(place),
        () = cancel.cancelled() => None,
    };
    if let Some(place) = place {
        let containers = declared(&pod, "containers");
        let waiting = |container: &Value| ContainerProcess {
            container: container.clone(),
            process_state: ProcessState::Waiting,
            restarts: 0,
        };
        let running = Arc::new(Running {
            site: Arc::clone(&site),
            pod: Arc::clone(&pod),
            place: Arc::clone(&place),
            processes: Mutex::new(containers.iter().map(waiting).collect()),
            events: Events::of(&site.cluster, &pod),
        });
        let mut kept = JoinSet::new();
        for index in 0..containers.len() {
            let (one, cancel) = (One { running: Arc::clone(&running), index }, cancel.clone());
            kept.spawn(async move { keep(&one, &cancel).await });
        }
        tokio::select! {
            _ = kept.join_all() => {}
            never = refresh::follow(&site, &pod, &place) => match never {},
        }
        if let Some(network) = &site.network {
            network.forget(&pod);
        }
        place.disconnect(&pod).await;
    }
    delete_pod(&site, &pod).await;
}

/// Creates the pod's place, fills its volumes and runs its init containers, with retries.
async fn settle(site: &Site, pod: &Object) -> Arc<Place> {
    loop {
        let failure = match make_place(site, pod).await {
            Ok(place) => match initialize(site, pod, &place).await {
                Ok(()) => {
                    let place = Arc::new(place);
                    if let Some(network) = &site.network {
                        network.remember(pod, &place);
                    }
                    return place;
                }
                Err(failure) => {
                    place.disconnect(pod).await;
                    failure
                }
            },
            Err(failure) => failure,
        };
        tracing::info!(pod = %ObjectRef::of(pod), %failure, "cannot start yet");
        let unprepared = |container: &Value| {
            let process_state = ProcessState::Unprepared { why: failure.to_string() };
            ContainerProcess { container: container.clone(), process_state, restarts: 0 }
        };
        let processes: Vec<_> = declared(pod, "containers").iter().map(unprepared).collect();
        let address = if Place::is_on_host(pod) { PodAddress::OfNode } else { PodAddress::Own(None) };
        update_pod_status(site, pod, address, &processes).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn make_place(site: &Site, pod: &Object) -> Result<Place> {
    let name = pod.data["spec"]["nodeName"].as_str().unwrap_or_default();
    let network = site.network.as_ref();
    let node = network
        .and_then(|network| network.node(name))
        .ok_or_else(|| Failure::step(format!("{} is bound to unknown node {name}", ObjectRef::of(pod))))?;
    Place::make(node, pod, &site.folder, &site.programs).await
}

async fn initialize(site: &Site, pod: &Object, place: &Place) -> Result<()> {
    if image_of(pod) == Some(AGENT) {
        envoy::do_without(site).await?;
    }
    let volumes = Volumes::of(pod);
    place.make_folders(&volumes.folders).await?;
    place.write(volumes::identity(site, pod).await?).await?;
    place.write(volumes.read(site).await?).await?;
    for container in declared(pod, "initContainers") {
        let spec = process(site, pod, place, &container).await?;
        // Shell scripts prepare the node, which is prepared here already.
        let Some(spec) = spec else { continue };
        let status = spec.start()?.wait().await?;
        if !status.success() {
            return Err(Failure::step(format!("init container {} failed", spec.name))
                .because(status.to_string())
                .hint(format!("see its log in {}", spec.log.display())));
        }
    }
    Ok(())
}

/// The process of a container; none if the sandbox does not have its program.
async fn process(site: &Site, pod: &Object, place: &Place, container: &Value) -> Result<Option<ProcessSpec>> {
    let id = ObjectRef::of(pod);
    let namespace = id.namespace.clone().unwrap_or_default();
    let mut environment = BTreeMap::from([
        ("KUBERNETES_SERVICE_HOST".to_owned(), site.options.api_service_address()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
    ]);
    environment.extend(environment_of(site, pod, container, &namespace).await?);
    let words = ["command", "args"].into_iter().filter_map(|key| container[key].as_array()).flatten();
    let words: Vec<String> = words.filter_map(|word| Some(expanded(word.as_str()?, &environment))).collect();
    let program = words.first().map(PathBuf::from);
    let name = program.as_deref().and_then(|program| program.file_name()?.to_str()).unwrap_or_default();
    if site.programs.path(name).is_err() {
        return Ok(None);
    }
    let container = container["name"].as_str().unwrap_or_default();
    place.remember(container, &environment);
    let log = log_file(&site.folder, &namespace, &id.name, container);
    Ok(Some(place.process(format!("{id} {container}"), &words, environment, log)))
}

fn declared(pod: &Object, key: &str) -> Vec<Value> {
    pod.data["spec"][key].as_array().cloned().unwrap_or_default()
}

/// A pod with running containers.
struct Running {
    site: Arc<Site>,
    pod: Arc<Object>,
    place: Arc<Place>,
    processes: Mutex<Vec<ContainerProcess>>,
    events: Events,
}

/// One of its containers.
struct One {
    running: Arc<Running>,
    index: usize,
}

#[async_trait]
impl Container for One {
    async fn prepare(&self) -> Result<Prepared> {
        let Running { site, pod, place, processes, .. } = self.running.as_ref();
        let container = processes.lock().await[self.index].container.clone();
        let spec = process(site, pod, place, &container).await?.ok_or_else(|| {
            Failure::step(format!("no program for container {} in the sandbox", container["name"]))
        })?;
        Ok(Prepared { spec, health: probe::health(place, &container) })
    }

    async fn report_state(&self, process_state: ProcessState, restarts: u32) {
        let mut processes = self.running.processes.lock().await;
        processes[self.index].process_state = process_state;
        processes[self.index].restarts = restarts;
        let Running { site, pod, place, .. } = self.running.as_ref();
        let address = place.address().map_or(PodAddress::OfNode, |own| PodAddress::Own(Some(own)));
        update_pod_status(site, pod, address, &processes).await;
    }

    async fn unhealthy(&self, why: &str) {
        self.running.events.probe_failed(why).await;
    }
}
