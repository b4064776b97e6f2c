//! What the API server's refusals mean: the one place that says whether trying again can help.

use std::time::Duration;

use kube::core::Status;

use crate::failure::{Failure, FailureKind, Retry};

/// Turns an error of a call into a failure that says `what` was wanted.
pub(super) fn failure(what: impl Into<String>, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => refusal(what, status),
        kube::Error::Auth(_) => Failure::new(FailureKind::Connection, what)
            .because(first_line(error))
            .hint("the credentials of this kubeconfig context cannot be obtained: sign in again"),
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => {
            Failure::internal(what).because(first_line(error))
        }
        // What was not let through says why itself.
        kube::Error::Service(error) if let Some(refused) = error.downcast_ref::<Failure>() => refused.clone(),
        _ => unreachable_server(what, error),
    }
}

/// No answer at all.
pub(super) fn unreachable_server(
    what: impl Into<String>,
    error: &(dyn std::error::Error + 'static),
) -> Failure {
    let deepest = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    let failure =
        Failure::new(FailureKind::Connection, what).because(first_line(deepest)).retry(Retry::MayHelp);
    let text = deepest.to_string();
    if text.contains("certificate") || text.contains("UnknownIssuer") {
        return failure
            .retry(Retry::Useless)
            .hint("the kubeconfig is of another cluster, or of an older life of this one: fetch it anew");
    }
    failure.hint("check that the API server runs, and that its address is reachable from here")
}

fn refusal(what: impl Into<String>, status: &Status) -> Failure {
    let failure = Failure::step(what).because(message(status));
    if status.code == 401 {
        return Failure { kind: FailureKind::Connection, ..failure }
            .hint("the API server does not know these credentials: fetch the kubeconfig anew, or sign in");
    }
    if status.code == 403 && !is_terminating(status) {
        return failure.hint("bootstrap with the cluster's admin kubeconfig");
    }
    failure.retry(retry(status))
}

/// Retryable: overload, failures of the server, and what only needs a moment: a namespace that goes
/// away or comes, a leader that changes, a webhook that is not up.
fn retry(status: &Status) -> Retry {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    let passes = matches!(status.code, 408 | 429 | 500..=599)
        || is_terminating(status)
        || (status.code == 404 && status.message.contains("namespaces"))
        || (status.code == 409 && status.reason == "AlreadyExists")
        || (status.code == 409 && status.message.contains("the object has been modified"))
        || status.message.contains("failed calling webhook")
        || status.message.contains("leader changed");
    match (passes, seconds) {
        (false, _) => Retry::Useless,
        (true, 0) => Retry::MayHelp,
        (true, seconds) => Retry::After(Duration::from_secs(seconds.into())),
    }
}

fn is_terminating(status: &Status) -> bool {
    status.message.contains("is being terminated") || status.message.contains("is terminating")
}

fn message(status: &Status) -> String {
    if status.message.is_empty() {
        format!("the API server answers {} {}", status.code, status.reason)
    } else {
        status.message.clone()
    }
}

fn first_line(error: &(dyn std::error::Error + 'static)) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        serde_json::from_value(serde_json::json!({
            "status": "Failure", "code": code, "reason": reason, "message": message
        }))
        .unwrap()
    }

    #[test]
    fn what_passes_is_tried_again_and_refusals_are_not() {
        let cases = [
            (429, "TooManyRequests", "slow down", true),
            (503, "ServiceUnavailable", "", true),
            (500, "InternalError", "failed calling webhook \"x\"", true),
            (500, "InternalError", "etcdserver: leader changed", true),
            (403, "Forbidden", "namespace x is being terminated", true),
            (404, "NotFound", "namespaces \"x\" not found", true),
            (403, "Forbidden", "user cannot patch", false),
            (401, "Unauthorized", "Unauthorized", false),
            (422, "Invalid", "spec.x: Required value", false),
            (409, "Conflict", "Apply failed with 1 conflict", false),
        ];
        for (code, reason, message, passes) in cases {
            let failure = refusal("x", &status(code, reason, message));
            assert_eq!(failure.retry != Retry::Useless, passes, "{code} {message}");
        }
    }
}
