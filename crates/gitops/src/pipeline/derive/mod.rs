//! The pipeline that fits a repository without task files: what has to stand before Flux can work, by what the
//! cluster declares. `docs/design/derived-pipeline.md` says why each step is there.

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

/// The derived pipeline of a cluster, as a task file.
pub(super) fn task_file(declared: &Declared, versions: &FluxVersions) -> String {
    let scene = Scene::of(declared, versions);
    let mut stages = vec![preflight(), prerequisites(&scene)];
    stages.push(DraftStage { name: "crds", parallel: true, steps: crds::steps(&scene) });
    stages.push(DraftStage { name: "network", parallel: false, steps: network::steps(&scene) });
    stages.push(DraftStage { name: "dns", parallel: false, steps: network::dns_steps(&scene) });
    stages.push(DraftStage { name: "flux", parallel: false, steps: flux::steps(&scene) });
    stages.push(DraftStage { name: "sync", parallel: false, steps: flux::sync_steps(&scene) });
    stages.push(handover());
    stages.retain(|stage| !stage.steps.is_empty());
    Draft { cluster: declared.cluster.clone(), stages }.to_string()
}

fn preflight() -> DraftStage {
    let checks = "checks: [tools, server, identity, permissions, nodes, addresses, secrets]";
    let step = DraftStep::new(checks, "find what is wrong before anything is written").with("timeout: 1m");
    DraftStage { name: "preflight", parallel: false, steps: vec![step] }
}

fn prerequisites(scene: &Scene<'_>) -> DraftStage {
    let mut steps = vec![
        DraftStep::new("namespaces: declared", "the objects of later stages lie in them"),
        DraftStep::new("secrets: declared", "bootstrapper.yaml declares Secrets that nothing else can bring"),
    ];
    steps.extend(seeds::steps(scene));
    DraftStage { name: "prerequisites", parallel: false, steps }
}

fn handover() -> DraftStage {
    let handover = DraftStep::new("handover: declared", "Flux reconciles all that the cluster declares")
        .with("timeout: 45m")
        .with("inactivity: 20m");
    let adoption = DraftStep::new("adoption: confirmed", "show what Flux changed as it took over");
    DraftStage { name: "handover", parallel: false, steps: vec![handover, adoption] }
}
