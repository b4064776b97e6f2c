//! The kubelet's tasks for pods whose containers are local processes: keeps them running, probes them, and
//! reports their status and events; and registers nodes.

mod container;
mod events;
mod health;
mod keep;
mod node;
mod status;

use std::path::PathBuf;

pub(super) use container::{data, environment_of, expanded, image_of, token};
pub(super) use events::Events;
pub(super) use health::{Asked, Health, Written};
pub(super) use keep::{Container, Prepared, keep};
pub(super) use node::{ON, create, set_power, set_ready};
pub(super) use status::{
    ContainerProcess, PodAddress, ProcessState, delete_pod, resend_pod_status, update_pod_status, written,
};

use super::state::Folder;

/// The log file of a container's process.
pub(super) fn log_file(folder: &Folder, namespace: &str, pod: &str, container: &str) -> PathBuf {
    folder.path("logs/pods").join(format!("{namespace}_{pod}_{container}.log"))
}
