//! The main task of a kubelet: pods whose image exists as a program become processes, and stop with the pod.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::loopback_pod::{self, program_of};
use super::shell;
use crate::kubelet::{delete_pod, resend_pod_status};
use crate::networked;
use crate::site::Site;
use bootstrapper_cluster::seen;
use bootstrapper_core::object::{Object, Selection};

/// How often the kubelet compares the API server's status with its own.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches all pods until cancelled; by then all processes have exited.
pub(super) async fn run(site: Arc<Site>, cancel: CancellationToken) {
    let mut pods = seen(site.cluster.follow_all(Selection::of("v1", "Pod")));
    let mut lives: HashMap<String, (CancellationToken, JoinHandle<()>)> = HashMap::new();
    let mut seen = Vec::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut telling: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            now = pods.next() => match now {
                Some(now) => seen = now,
                None => break,
            },
            _ = looks.tick() => {
                if telling.as_ref().is_none_or(JoinHandle::is_finished) {
                    telling = Some(tokio::spawn(resend_pod_status(Arc::clone(&site), seen.clone())));
                }
            }
            () = cancel.cancelled() => break,
        }
        let wanted: HashMap<&str, &Arc<Object>> = seen
            .iter()
            .filter(|pod| is_bound(pod))
            .filter_map(|pod| Some((pod.metadata.uid.as_deref()?, pod)))
            .collect();
        lives.retain(|uid, (end, task)| {
            let goes_on =
                wanted.get(uid.as_str()).is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
            if !goes_on {
                end.cancel();
            }
            goes_on || !task.is_finished()
        });
        for (uid, pod) in wanted {
            if lives.contains_key(uid) {
                continue;
            }
            let end = cancel.child_token();
            let (site, pod) = (Arc::clone(&site), Arc::clone(pod));
            let is_process =
                program_of(&pod).is_some() || shell::is_shell(&pod) || networked::is_real(&site, &pod);
            let task = if pod.metadata.deletion_timestamp.is_some() && is_process {
                // The API server missed that it may be deleted.
                tokio::spawn(async move { delete_pod(&site, &pod).await })
            } else if let Some(program) = program_of(&pod) {
                tokio::spawn(loopback_pod::live(site, pod, program, end.clone()))
            } else if shell::is_shell(&pod) {
                tokio::spawn(shell::live(site, pod, end.clone()))
            } else if networked::is_real(&site, &pod) {
                tokio::spawn(networked::live(site, pod, end.clone()))
            } else {
                continue;
            };
            lives.insert(uid.to_owned(), (end, task));
        }
    }
    for (_, (end, task)) in lives {
        end.cancel();
        let _ = task.await;
    }
}

fn is_bound(pod: &Object) -> bool {
    pod.data["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty())
}
