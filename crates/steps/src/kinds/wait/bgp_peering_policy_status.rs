//! BGP sessions of CiliumBGPPeeringPolicy (Cilium 1.18 and older), which no object reports: agents are polled.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};

use bootstrapper_cluster::cilium;
use bootstrapper_cluster::{Cluster, Followed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_readiness::{self as readiness, Verdict};

/// There is no event when a session is established: agents must be polled.
const PAUSE: Duration = Duration::from_secs(10);

/// Whether CiliumBGPPeeringPolicies (Cilium 1.18 and older) exist; they take precedence over newer objects.
pub(super) async fn is_needed(cluster: &Cluster) -> Result<bool> {
    let policies = policies();
    Ok(cluster.serves(&policies.api_version, &policies.kind).await?
        && !cluster.list(&policies).await?.is_empty())
}

/// Polls until the stream is dropped.
pub(super) fn readiness(cluster: Cluster) -> Followed<Readiness> {
    stream::unfold(false, move |is_asked_again| {
        let cluster = cluster.clone();
        async move {
            if is_asked_again {
                tokio::time::sleep(PAUSE).await;
            }
            Some((ask(&cluster).await.map(Readiness::from), true))
        }
    })
    .boxed()
}

fn policies() -> Selection {
    Selection::of("cilium.io/v2alpha1", "CiliumBGPPeeringPolicy")
}

async fn ask(cluster: &Cluster) -> Result<Verdict> {
    let (policies, members) = (policies(), Selection::of("cilium.io/v2", "CiliumNode"));
    let agents = readiness::cilium::agents();
    let (policies, members, agents) =
        futures::try_join!(cluster.list(&policies), cluster.list(&members), cluster.list(&agents))?;
    let living = agents.iter().filter(|pod| readiness::verdict(pod).is_ready());
    let by_node: BTreeMap<&str, &Object> =
        living.filter_map(|pod| Some((pod.data["spec"]["nodeName"].as_str()?, pod))).collect();
    let asked = readiness::cilium::nodes_with_policy(&policies, &members)
        .filter_map(|node| Some((node.to_owned(), by_node.get(node)?)))
        .map(async |(node, pod)| {
            let told = cilium::sessions_of(cluster, &ObjectRef::of(pod)).await;
            (node, told.map_err(|failure| failure.to_string()))
        });
    let told = join_all(asked).await.into_iter().collect();
    Ok(readiness::cilium::verdict_of_policies(&policies, &members, &told))
}
