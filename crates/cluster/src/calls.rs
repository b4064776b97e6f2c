//! Every request has a timeout: a reachable API server may not respond.

use std::future::Future;
use std::time::Duration;

use super::failures::failure;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};

const LIMIT: Duration = Duration::from_secs(20);

/// Awaits a request. `what` describes a failure.
pub(super) async fn within_limit<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure(what, &error)),
        Err(_) => Err(Failure::new(FailureKind::Connection, what)
            .because(format!("timed out after {} s", LIMIT.as_secs()))
            .retry(Retry::MayHelp)),
    }
}

/// Awaits a request for which "not found" is a result.
pub(super) async fn if_there<T>(
    what: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<Option<T>> {
    let call = async {
        match call.await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            other => other.map(Some),
        }
    };
    within_limit(what, call).await
}
