//! Classifies error responses of the API server: by code, reason, causes, and, where these are not enough, by
//! message.

use std::time::Duration;

use http::StatusCode;
use kube::core::Status;

use super::api_error_kind::ApiErrorKind;
use super::immutable::immutable_fields;
use bootstrapper_tools::transient::{is_permanent, is_transient};

/// Parses an error response. API priority and fairness, and proxies, respond with plain text.
pub(super) fn read_status(body: &[u8], code: StatusCode) -> Status {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(body).trim().to_owned();
        Status::failure(&said, "").with_code(code.as_u16())
    })
}

/// `Retry-After`, from the body, where `retry_after` may have copied it.
pub(super) fn asked_to_wait(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// The kind of an error response.
pub(super) fn of_status(status: &Status) -> ApiErrorKind {
    let says = |words: &str| status.message.contains(words);
    // Messages that decide regardless of the code: the server wraps errors of other programs.
    if says("denied the request") || says("denied request:") {
        return ApiErrorKind::Denied;
    }
    if says("failed calling webhook") || says("conversion webhook for") {
        return ApiErrorKind::WebhookUnreachable;
    }
    if says("request is too large") || status.code == 413 {
        return ApiErrorKind::TooLarge;
    }
    if says("database space exceeded") {
        return ApiErrorKind::StorageFull;
    }
    if says("etcdserver:") {
        return ApiErrorKind::NoLeader;
    }
    if says("object is being deleted") {
        return ApiErrorKind::BeingDeleted;
    }
    if has_cause(status, "NamespaceTerminating") || says("is being terminated") || says("is terminating") {
        return ApiErrorKind::NamespaceTerminating;
    }
    match status.code {
        401 => ApiErrorKind::UnknownUser,
        403 => forbidden(status),
        404 => not_found(status),
        500..=599 if is_permanent(&status.message) => ApiErrorKind::Invalid,
        408 | 500..=599 => ApiErrorKind::ServerFault,
        409 => conflict(status),
        410 => ApiErrorKind::Expired,
        422 => invalid(status),
        429 => ApiErrorKind::Overload,
        _ if status.reason == "Expired" => ApiErrorKind::Expired,
        // An error without a code has a reason.
        0 if is_transient(&status.message) => ApiErrorKind::ServerFault,
        _ => ApiErrorKind::Invalid,
    }
}

fn forbidden(status: &Status) -> ApiErrorKind {
    let says = |words: &str| status.message.contains(words);
    if says("status unknown for quota") {
        ApiErrorKind::QuotaUnknown
    } else if says("exceeded quota") {
        ApiErrorKind::QuotaExceeded
    } else if says("RBAC: ") && says("not found") {
        ApiErrorKind::RolesMissing
    } else if says("violates PodSecurity") {
        ApiErrorKind::Denied
    } else {
        ApiErrorKind::Forbidden
    }
}

/// The response for a path that is not served has no details.
fn not_found(status: &Status) -> ApiErrorKind {
    let is_unserved = status.message.contains("could not find the requested resource")
        || status.message.contains("page not found");
    if is_unserved {
        ApiErrorKind::KindNotServed
    } else if status.message.starts_with("namespaces ") {
        ApiErrorKind::NoNamespace
    } else {
        ApiErrorKind::NotFound
    }
}

fn conflict(status: &Status) -> ApiErrorKind {
    if has_cause(status, "FieldManagerConflict") {
        ApiErrorKind::Owned
    } else if status.reason == "AlreadyExists" {
        ApiErrorKind::AlreadyExists
    } else if status.message.starts_with("Apply failed with") {
        ApiErrorKind::Owned
    } else {
        ApiErrorKind::Modified
    }
}

fn invalid(status: &Status) -> ApiErrorKind {
    match immutable_fields(status) {
        fields if fields.is_empty() => ApiErrorKind::Invalid,
        fields => ApiErrorKind::Immutable {
            kind: status.details.as_ref().map(|details| details.kind.clone()).unwrap_or_default(),
            fields,
        },
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}
