//! Pods of the image `shell`: their commands run on this machine, and this kubelet reports the same errors as a
//! real one, in its words: images that cannot be pulled, Secrets and keys that are not found, probes that fail,
//! containers that crash. `docs/design/sandbox.md` lists the image names and their effects.

mod container;
mod needs;
mod reporter;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::kubelet::{delete_pod, image_of, log_file};
use crate::site::Site;
use bootstrapper_core::object::{Object, ObjectRef};
use container::{End, Restart, run};
use reporter::StatusReporter;

/// The image's name, without registry and tag.
pub(super) const IMAGE: &str = "shell";

/// How often a kubelet retries a mount.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) fn is_shell(pod: &Object) -> bool {
    image_of(pod) == Some(IMAGE)
}

/// Runs a pod until cancelled.
pub(super) async fn live(site: Arc<Site>, pod: Arc<Object>, cancel: CancellationToken) {
    let reporter = StatusReporter::of(&site, &pod);
    tokio::select! {
        () = run_all(&site, &pod, &reporter) => cancel.cancelled().await,
        () = cancel.cancelled() => {}
    }
    for container in ["initContainers", "containers"].into_iter().flat_map(|list| reporter::list(&pod, list))
    {
        let id = ObjectRef::of(&pod);
        let name = container["name"].as_str().unwrap_or_default();
        let _ = std::fs::remove_file(log_file(
            &site.folder,
            id.namespace.as_deref().unwrap_or_default(),
            &id.name,
            name,
        ));
    }
    delete_pod(&site, &pod).await;
}

async fn run_all(site: &Site, pod: &Object, reporter: &StatusReporter<'_>) {
    reporter.update_status().await;
    while let Some(why) = needs::missing_volume(site, pod).await {
        reporter.events.warn("FailedMount", &why).await;
        tokio::time::sleep(AGAIN).await;
    }
    let restart = Restart::of(pod);
    for container in reporter::list(pod, "initContainers") {
        let of_init = if restart == Restart::Always { Restart::OnFailure } else { restart };
        if run(site, pod, container, reporter, of_init).await != End::Well {
            return;
        }
    }
    join_all(reporter::list(pod, "containers").map(|container| run(site, pod, container, reporter, restart)))
        .await;
}
