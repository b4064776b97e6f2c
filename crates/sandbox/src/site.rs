//! The shared state of a running sandbox.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::certificates::Certificates;
use super::network::Network;
use super::options::SandboxOptions;
use super::programs::Programs;
use super::sources::Sources;
use super::state::Folder;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_tools::Environment;

/// A running sandbox.
pub(super) struct Site {
    /// The API server, as its admin.
    pub(super) cluster: Cluster,
    /// Its address.
    pub(super) server: String,
    /// Its CA.
    pub(super) certificates: Certificates,
    /// The kubeconfig of the sandbox's own components.
    pub(super) kubeconfig: PathBuf,
    /// The sandbox's files.
    pub(super) folder: Folder,
    /// The available programs.
    pub(super) programs: Programs,
    /// The environment with the mirror of the internet.
    pub(super) environment: Environment,
    /// The sandbox's options.
    pub(super) options: SandboxOptions,
    /// The network, if it is real.
    pub(super) network: Option<Arc<Network>>,
    /// Serves the artifacts of source-controller.
    pub(super) sources: Sources,
    /// The last status of each pod that is a process.
    pub(super) statuses: ReportedStatuses,
}

/// The last reported status of each pod. Like a kubelet, the sandbox sends it again if the API server has
/// another one: updates are lost while the API server is down, and the node controller marks the pods of an
/// unresponsive node as not ready.
#[derive(Default)]
pub(super) struct ReportedStatuses(Mutex<HashMap<ObjectRef, Value>>);

impl ReportedStatuses {
    pub(super) fn set(&self, pod: ObjectRef, status: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pod, status);
    }

    pub(super) fn forget(&self, pod: &ObjectRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(pod);
    }

    pub(super) fn of(&self, pod: &ObjectRef) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(pod).cloned()
    }
}
