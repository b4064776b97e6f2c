//! The life of one pod that is a process on this machine's loopback.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Site;
use super::container::prepare;
use super::events::Events;
use super::keep::{Container, Prepared, keep};
use super::status::{ContainerLife, Life, PodAddress, let_go, tell};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Object;

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

    async fn tell(&self, life: Life, restarts: u32) {
        let container = self.pod.data["spec"]["containers"][0].clone();
        tell(&self.site, &self.pod, PodAddress::OfNode, &[ContainerLife { container, life, restarts }]).await;
    }

    async fn unhealthy(&self, why: &str) {
        self.events.probe_failed(why).await;
    }
}

/// Runs a pod until it is cancelled.
pub(super) async fn live(
    site: Arc<Site>,
    pod: Arc<Object>,
    program: &'static str,
    cancel: CancellationToken,
) {
    let events = Events::of(&site.cluster, &pod);
    let container = OnLoopback { site, pod, program, events };
    keep(&container, &cancel).await;
    let_go(&container.site, &container.pod).await;
}
