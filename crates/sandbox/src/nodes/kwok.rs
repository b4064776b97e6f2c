//! kwok: sends heartbeats of nodes, and simulates most pods.

use std::collections::BTreeMap;

use super::{loopback_pod, shell};
use crate::kubelet::ON;
use crate::networked::REAL_IMAGES;
use crate::process::{Process, ProcessSpec};
use crate::site::Site;
use crate::state::write_private;
use bootstrapper_core::failure::{Failure, Result};

const STAGES: &str = include_str!("stages.yaml");

pub(super) fn start(site: &Site) -> Result<Process> {
    let stages = site.folder.path("stages.yaml");
    let mut images: Vec<&str> = loopback_pod::images().chain([shell::IMAGE]).collect();
    if site.network.is_some() {
        images.extend(REAL_IMAGES);
    }
    let images = format!("/({})[:@]", images.join("|"));
    write_private(&stages, STAGES.replace("@PROCESS_IMAGES@", &images))
        .map_err(|error| Failure::step("cannot write kwok's stages").caused_by(&error))?;
    ProcessSpec {
        name: "kwok".into(),
        program: site.programs.path("kwok")?,
        arguments: vec![
            format!("--kubeconfig={}", site.kubeconfig.display()),
            format!("--config={}", stages.display()),
            format!("--manage-nodes-with-label-selector={ON}"),
            "--node-lease-duration-seconds=40".into(),
            // Nothing sends requests to it.
            "--server-address=".into(),
            "--node-port=0".into(),
        ],
        environment: BTreeMap::new(),
        directory: site.folder.0.clone(),
        log: site.folder.path("logs/kwok.log"),
        sandbox: site.folder.0.clone(),
    }
    .start()
}
