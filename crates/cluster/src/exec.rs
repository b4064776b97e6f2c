//! Runs programs in containers, like `kubectl exec`.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Cluster;
use super::calls::within_limit;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::object::ObjectRef;

/// The result of a program.
#[derive(Debug, Clone)]
pub struct Executed {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Cluster {
    /// Runs a program in a container of a pod until it exits or times out: a program that queries a hanging
    /// process never exits.
    pub async fn exec(
        &self,
        pod: &ObjectRef,
        container: &str,
        command: &[&str],
        limit: Duration,
    ) -> Result<Executed> {
        let program = command.first().copied().unwrap_or_default();
        let late = |_| {
            Failure::new(FailureKind::Connection, format!("{program} in {pod} timed out"))
                .because(format!("it did not finish within {} s", limit.as_secs()))
                .retry(Retry::MayHelp)
        };
        tokio::time::timeout(limit, self.to_its_end(pod, container, command)).await.map_err(late)?
    }

    async fn to_its_end(&self, pod: &ObjectRef, container: &str, command: &[&str]) -> Result<Executed> {
        let what = || format!("cannot run {} in {pod}", command.first().copied().unwrap_or_default());
        let pods: Api<Pod> =
            Api::namespaced(self.client.clone(), pod.namespace.as_deref().unwrap_or_default());
        let parameters = AttachParams::default().container(container);
        let mut process =
            within_limit(&what(), pods.exec(&pod.name, command.iter().copied(), &parameters)).await?;
        let (status, stdout, stderr) = (process.take_status(), process.stdout(), process.stderr());
        let (stdout, stderr) = tokio::join!(text(stdout), text(stderr));
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        let status = status.ok_or_else(|| {
            Failure::step(what()).because("it returned no exit status").retry(Retry::MayHelp)
        })?;
        Ok(Executed { succeeded: status.status.as_deref() == Some("Success"), stdout, stderr })
    }
}

/// Unreadable output is dropped.
async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
