//! Converts a failed request to a failure: the request, the API server's message, the fix, and whether a
//! retry can help. The only place that does this.

use std::sync::LazyLock;
use std::time::Duration;

use kube::core::Status;
use regex::Regex;

use super::api_error_kind::ApiErrorKind;
use super::status::{asked_to_wait, of_status};
use super::transport::{deepest, of_error, withheld};
use bootstrapper_core::failure::{Failure, Retry};

/// Converts the error of a request to a failure with the description `what`.
pub(super) fn failure(what: impl Into<String>, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => {
            described(what, &of_status(status), message(status), asked_to_wait(status))
        }
        _ if let Some(withheld) = withheld(error) => withheld.clone(),
        _ => described(what, &of_error(error), deepest(error), None),
    }
}

/// The same for an error response in a watch, with its code.
pub(super) fn of_code(what: impl Into<String>, status: &Status) -> Failure {
    let said = format!("the API server answers {}: {}", status.code, status.message);
    described(what, &of_status(status), said.trim_end_matches([':', ' ']).to_owned(), asked_to_wait(status))
}

fn described(what: impl Into<String>, kind: &ApiErrorKind, said: String, wait: Option<Duration>) -> Failure {
    let right = if *kind == ApiErrorKind::Forbidden { missing_right(&said) } else { None };
    let mut failure = Failure::new(kind.kind(), what).because(said);
    failure.hints.extend(right);
    if let ApiErrorKind::Immutable { kind, fields } = kind {
        failure = failure.because(format!("{} of a {kind} is immutable", fields.join(", ")));
    }
    failure.hints.extend(kind.hint());
    failure.retry(match (kind.is_transient(), wait) {
        (false, _) => Retry::Useless,
        (true, None) => Retry::MayHelp,
        (true, Some(wait)) => Retry::After(wait),
    })
}

/// The missing permission, from the API server's message.
fn missing_right(said: &str) -> Option<String> {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?"#,
        )
        .ok()
    });
    let words = WORDS.as_ref()?.captures(said)?;
    let word = |at: usize| words.get(at).map_or("", |word| word.as_str());
    let resource = match word(3) {
        "" => word(2).to_owned(),
        group => format!("{}.{group}", word(2)),
    };
    Some(grant(word(1), &resource, words.get(4).map(|namespace| namespace.as_str())))
}

/// How to grant a permission.
fn grant(verbs: &str, resource: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => {
            format!(
                "grant {verbs} on {resource} in namespace {namespace} to these credentials (a Role and a RoleBinding)"
            )
        }
        None => format!(
            "grant {verbs} on {resource} to these credentials (a ClusterRole and a ClusterRoleBinding)"
        ),
    }
}

fn message(status: &Status) -> String {
    if status.message.is_empty() {
        format!("the API server answers {} {}", status.code, status.reason).trim_end().to_owned()
    } else {
        status.message.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use bootstrapper_core::failure::FailureKind;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        let status = json!({"status": "Failure", "code": code, "reason": reason, "message": message});
        serde_json::from_value(status).unwrap()
    }

    fn immutable() -> ApiErrorKind {
        ApiErrorKind::Immutable { kind: String::new(), fields: vec![".spec.selector".to_owned()] }
    }

    #[test]
    fn every_answer_is_known() {
        let rows = include_str!("answers.txt").lines().filter(|line| !line.starts_with('#'));
        for row in rows {
            let cells: Vec<&str> = row.splitn(5, " | ").map(str::trim).collect();
            let [code, reason, kind, again, message] = cells[..] else { panic!("{row}") };
            let status = status(code.parse().unwrap(), reason, message);
            assert_eq!(format!("{:?}", of_status(&status)), kind, "{row}");
            let failure = failure("x", &kube::Error::Api(Box::new(status)));
            assert_eq!(failure.retry != Retry::Useless, again == "again", "{row}");
        }
    }

    /// An "invalid" error for a kind, with these causes.
    fn invalid(kind: &str, causes: &[(&str, &str)]) -> Status {
        let causes: Vec<_> = causes
            .iter()
            .map(
                |(field, message)| json!({"reason": "FieldValueInvalid", "field": field, "message": message}),
            )
            .collect();
        let status = json!({"code": 422, "reason": "Invalid", "message": "it is invalid",
            "details": {"kind": kind, "causes": causes}});
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_field_that_cannot_change_is_named_with_the_safe_way_out() {
        for (kind, field, message, remedy_for) in [
            ("Deployment", "spec.selector", "Invalid value: {}: field is immutable", "--cascade=orphan"),
            (
                "StatefulSet",
                "spec",
                "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
                "--cascade=orphan",
            ),
            (
                "Service",
                "spec.clusterIPs[0]",
                "Invalid value: [\"10.0.0.2\"]: may not change once set",
                "another address",
            ),
            (
                "PersistentVolumeClaim",
                "spec",
                "Forbidden: spec is immutable after creation except resources.requests",
                "copy the data",
            ),
            ("Secret", "data", "Forbidden: field is immutable when `immutable` is set", "another name"),
            ("Thing", "spec.a", "Invalid value: \"b\": Value is immutable", "keep the old value"),
        ] {
            let failure = failure("x", &kube::Error::Api(Box::new(invalid(kind, &[(field, message)]))));
            assert_eq!(failure.retry, Retry::Useless);
            assert!(failure.because[1].contains(&format!("{field} of a {kind} is immutable")), "{failure}");
            assert!(failure.hints[0].contains(remedy_for), "{:?}", failure.hints);
        }
        let mixed = invalid("Deployment", &[("a", "field is immutable"), ("b", "Required value")]);
        assert_eq!(of_status(&mixed), ApiErrorKind::Invalid);
        assert!(!immutable().is_transient());
    }

    #[test]
    fn the_server_says_when_to_come_again() {
        let mut status = status(429, "TooManyRequests", "slow down");
        status.details = serde_json::from_value(json!({"retryAfterSeconds": 7})).unwrap();
        let failure = failure("x", &kube::Error::Api(Box::new(status)));
        assert_eq!(failure.retry, Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn an_unreadable_response_is_truncated_or_from_another_server() {
        let of = |text: &str| {
            let error = serde_json::from_str::<Status>(text).unwrap_err();
            failure("x", &kube::Error::SerdeError(error))
        };
        assert_eq!(of("{\"code\": 4").retry, Retry::MayHelp);
        let stranger = of("<html>");
        assert_eq!((stranger.kind, stranger.retry), (FailureKind::Connection, Retry::Useless));
        assert!(stranger.hints[0].contains("not an API server"));
    }
}
