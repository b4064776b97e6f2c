//! What all parts of a running sandbox need to know of it.

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
    /// Its authority.
    pub(super) certificates: Certificates,
    /// The kubeconfig of the sandbox's own parts.
    pub(super) kubeconfig: PathBuf,
    /// The sandbox's files.
    pub(super) folder: Folder,
    /// What can be run.
    pub(super) programs: Programs,
    /// What programs need to reach what stands in for the internet.
    pub(super) environment: Environment,
    /// The sandbox's shape.
    pub(super) options: SandboxOptions,
    /// The network, if it is real.
    pub(super) network: Option<Arc<Network>>,
    /// Serves what source-controller stores.
    pub(super) sources: Sources,
    /// What was told of pods that are processes.
    pub(super) told: Told,
}

/// What was told last of each pod. As a kubelet, who told it tells it again where the API server says
/// otherwise: a word is lost while the API server is away, and the node controller calls the pods of a
/// node not ready of which it has heard nothing for a while.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<ObjectRef, Value>>);

impl Told {
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
