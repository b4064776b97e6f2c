//! The effect of a vault with another CA for the mesh: does what an operator would do with a new CA.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt as _};

use crate::nodes::force_sync;
use crate::state::Folder;
use crate::vault::Vault;
use bootstrapper_cluster::{Cluster, seen};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::{self as readiness, cilium};

const NAMESPACE: &str = "kube-system";
const LIMIT: Duration = Duration::from_mins(1);

/// Switches the vault to another CA, or back to the usual one if `keeper` is none: the cluster takes over the
/// CA, renews its certificates, and restarts the mesh's API servers. Does nothing if unchanged.
pub(super) async fn replace(cluster: &Cluster, folder: &Folder, keeper: Option<&str>) -> Result<()> {
    if Vault::is_kept_by_another(folder) == keeper.is_some() {
        return Ok(());
    }
    let replaced = async {
        take_over(cluster, folder, keeper).await?;
        make_certificates(cluster).await?;
        start_again(cluster).await
    };
    let late = || Failure::step("cannot replace the mesh CA").because("no component creates a new one");
    tokio::time::timeout(LIMIT, replaced).await.map_err(|_| late())?
}

async fn take_over(cluster: &Cluster, folder: &Folder, keeper: Option<&str>) -> Result<()> {
    let id = ObjectRef::namespaced("v1", "Secret", NAMESPACE, "cilium-ca");
    let none = || Failure::input(format!("this cluster has no mesh CA: {id} not found"));
    let before = cluster.get(&id).await?.ok_or_else(none)?;
    Vault::keep(folder, keeper)?;
    force_sync(cluster).await?;
    let mut seen = seen(cluster.follow(vec![id.clone()]));
    while let Some(now) = seen.next().await {
        let now = now.get(&id).and_then(Option::as_ref);
        if now.is_some_and(|now| now.data["data"] != before.data["data"]) {
            break;
        }
    }
    Ok(())
}

/// Runs the Jobs of the CronJobs in Cilium's chart that create certificates.
async fn make_certificates(cluster: &Cluster) -> Result<()> {
    let jobs: Api<Job> = Api::namespaced(cluster.client(), NAMESPACE);
    let schedules: Api<CronJob> = Api::namespaced(cluster.client(), NAMESPACE);
    let mut made = Vec::new();
    let of_cilium = ListParams::default().labels("app.kubernetes.io/part-of=cilium");
    for schedule in schedules.list(&of_cilium).await.map_err(|error| failed(&error))? {
        let job = Job {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", schedule.name_any())),
                ..ObjectMeta::default()
            },
            spec: schedule.spec.and_then(|spec| spec.job_template.spec),
            ..Job::default()
        };
        let job = jobs.create(&PostParams::default(), &job).await.map_err(|error| failed(&error))?;
        made.push(ObjectRef::namespaced("batch/v1", "Job", NAMESPACE, &job.name_any()));
    }
    let mut seen = seen(cluster.follow(made));
    while let Some(now) = seen.next().await {
        if now.values().all(|job| job.as_ref().is_some_and(|job| readiness::verdict(job).is_ready())) {
            break;
        }
    }
    Ok(())
}

/// etcd reads its trusted CAs only at startup.
async fn start_again(cluster: &Cluster) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    let of_the_mesh = ListParams::default().labels(cilium::MESH_SERVER);
    pods.delete_collection(&DeleteParams::default(), &of_the_mesh)
        .await
        .map(drop)
        .map_err(|error| failed(&error))
}

fn failed(error: &kube::Error) -> Failure {
    Failure::step("cannot replace the mesh CA").caused_by(error)
}
