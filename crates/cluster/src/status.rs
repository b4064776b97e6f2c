//! What an answer of the API server comes to: by its code, its reason, its causes, and, where these
//! say too little, by its words.

use std::time::Duration;

use http::StatusCode;
use kube::core::Status;

use super::immutable::immutable_fields;
use super::trouble::Trouble;
use bootstrapper_tools::passing::{lasts, passes};

/// What a refusal says. Fairness, and proxies before the server, say it in plain text.
pub(super) fn read_status(body: &[u8], code: StatusCode) -> Status {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(body).trim().to_owned();
        Status::failure(&said, "").with_code(code.as_u16())
    })
}

/// `Retry-After`, as it stands in the body or was written into it (`retry_after`).
pub(super) fn asked_to_wait(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// What went wrong, by the answer.
pub(super) fn of_status(status: &Status) -> Trouble {
    let says = |words: &str| status.message.contains(words);
    // Words that count whatever the code: the server wraps what it was told by others.
    if says("denied the request") || says("denied request:") {
        return Trouble::Denied;
    }
    if says("failed calling webhook") || says("conversion webhook for") {
        return Trouble::WebhookUnreachable;
    }
    if says("request is too large") || status.code == 413 {
        return Trouble::TooLarge;
    }
    if says("database space exceeded") {
        return Trouble::StorageFull;
    }
    if says("etcdserver:") {
        return Trouble::NoLeader;
    }
    if says("object is being deleted") {
        return Trouble::BeingDeleted;
    }
    if has_cause(status, "NamespaceTerminating") || says("is being terminated") || says("is terminating") {
        return Trouble::NamespaceTerminating;
    }
    match status.code {
        401 => Trouble::UnknownUser,
        403 => forbidden(status),
        404 => not_found(status),
        500..=599 if lasts(&status.message) => Trouble::Invalid,
        408 | 500..=599 => Trouble::ServerFault,
        409 => conflict(status),
        410 => Trouble::Expired,
        422 => invalid(status),
        429 => Trouble::Overload,
        _ if status.reason == "Expired" => Trouble::Expired,
        // What carries no code says at least what it is about.
        0 if passes(&status.message) => Trouble::ServerFault,
        _ => Trouble::Invalid,
    }
}

fn forbidden(status: &Status) -> Trouble {
    let says = |words: &str| status.message.contains(words);
    if says("status unknown for quota") {
        Trouble::QuotaUnknown
    } else if says("exceeded quota") {
        Trouble::QuotaExceeded
    } else if says("RBAC: ") && says("not found") {
        Trouble::RolesMissing
    } else if says("violates PodSecurity") {
        Trouble::Denied
    } else {
        Trouble::Forbidden
    }
}

/// A path that is not served is answered without saying what was not found.
fn not_found(status: &Status) -> Trouble {
    let is_unserved = status.message.contains("could not find the requested resource")
        || status.message.contains("page not found");
    if is_unserved {
        Trouble::KindNotServed
    } else if status.message.starts_with("namespaces ") {
        Trouble::NoNamespace
    } else {
        Trouble::NotFound
    }
}

fn conflict(status: &Status) -> Trouble {
    if has_cause(status, "FieldManagerConflict") {
        Trouble::Owned
    } else if status.reason == "AlreadyExists" {
        Trouble::AlreadyExists
    } else if status.message.starts_with("Apply failed with") {
        Trouble::Owned
    } else {
        Trouble::Modified
    }
}

fn invalid(status: &Status) -> Trouble {
    match immutable_fields(status) {
        fields if fields.is_empty() => Trouble::Invalid,
        fields => Trouble::Immutable {
            kind: status.details.as_ref().map(|details| details.kind.clone()).unwrap_or_default(),
            fields,
        },
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}
