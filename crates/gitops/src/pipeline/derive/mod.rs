//! The derived pipeline for a repository without task files: what must be installed before Flux can work, from
//! the cluster's declaration. `docs/design/derived-pipeline.md` explains each step.

mod chain;
mod crds;
mod draft;
mod flux;
mod network;
mod seeds;

use chain::Scene;
use draft::{Draft, DraftStage, DraftStep};

use super::config::FluxVersions;
use crate::Declared;

/// All stages of derived pipelines, in order. A cluster has those with steps.
pub(super) const STAGES: [&str; 8] =
    ["preflight", "prerequisites", "crds", "network", "dns", "flux", "sync", "handover"];

/// The derived pipeline of a cluster, as a task file.
pub(super) fn task_file(declared: &Declared, versions: &FluxVersions) -> String {
    let scene = Scene::of(declared, versions);
    let steps = [
        preflight(),
        prerequisites(&scene),
        crds::steps(&scene),
        network::steps(&scene),
        network::dns_steps(&scene),
        flux::steps(&scene),
        flux::sync_steps(&scene),
        handover(),
    ];
    let stages = STAGES.into_iter().zip(steps);
    let stages = stages.map(|(name, steps)| DraftStage { name, parallel: name == "crds", steps });
    let mut stages: Vec<DraftStage> = stages.collect();
    stages.retain(|stage| !stage.steps.is_empty());
    Draft { cluster: declared.cluster.clone(), stages }.to_string()
}

fn preflight() -> Vec<DraftStep> {
    let checks = "checks: [tools, server, identity, permissions, nodes, addresses, secrets]";
    vec![DraftStep::new(checks, "find what is wrong before anything is written").with("timeout: 1m")]
}

fn prerequisites(scene: &Scene<'_>) -> Vec<DraftStep> {
    let mut steps = vec![
        DraftStep::new("namespaces: declared", "the objects of later stages lie in them"),
        DraftStep::new("secrets: declared", "bootstrapper.yaml declares Secrets that nothing else can bring"),
    ];
    steps.extend(seeds::steps(scene));
    steps
}

fn handover() -> Vec<DraftStep> {
    let handover = DraftStep::new("handover: declared", "Flux reconciles all that the cluster declares")
        .with("timeout: 45m")
        .with("inactivity: 20m");
    let adoption = DraftStep::new("adoption: verify", "show what Flux changed as it took over");
    vec![handover, adoption]
}
