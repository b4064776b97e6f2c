//! Why a Flux object is not ready: its own words, followed to what it depends on.

use super::evidence::{Evidence, cause, text};
use crate::engine::Cause;
use crate::object::{Object, ObjectRef};

pub(super) fn explain(evidence: &Evidence) -> Option<Cause> {
    if !ObjectRef::of(&evidence.subject).group().ends_with("toolkit.fluxcd.io") {
        return None;
    }
    // A source or a dependency that is not ready is the deeper cause.
    let deeper = evidence.related.iter().find_map(|related| Some((related, refusal(related)?)));
    let (object, (reason, message)) = match deeper {
        Some((object, refusal)) => (object, refusal),
        None => (&evidence.subject, refusal(&evidence.subject)?),
    };
    let mut path = vec![ObjectRef::of(&evidence.subject).to_string()];
    if ObjectRef::of(object) != ObjectRef::of(&evidence.subject) {
        path.push(ObjectRef::of(object).to_string());
    }
    let (code, remedy) = rule(reason);
    Some(cause(code, format!("{}: {message}", ObjectRef::of(object)), path, &[remedy]))
}

fn refusal(object: &Object) -> Option<(&str, &str)> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|one| one["type"] == "Ready" && one["status"] == "False")?;
    Some((text(&ready["reason"]), text(&ready["message"]).lines().next().unwrap_or_default()))
}

fn rule(reason: &str) -> (&'static str, &'static str) {
    match reason {
        "AuthenticationFailed" => {
            ("BS-FLX-001", "give the source a secretRef with credentials that the server takes")
        }
        "GitOperationFailed" => {
            ("BS-FLX-002", "check the repository's URL and branch, and that the cluster reaches the server")
        }
        "OCIArtifactPullFailed" => {
            ("BS-FLX-003", "check that the registry has this tag, and that the cluster reaches it")
        }
        "BuildFailed" => {
            ("BS-FLX-004", "run `bootstrapper validate`: it builds the same, and names file and line")
        }
        "DependencyNotReady" => ("BS-FLX-005", "see to what it depends on first"),
        "HealthCheckFailed" => ("BS-FLX-006", "look at the objects that the message names"),
        "ReconciliationFailed" => {
            ("BS-FLX-007", "correct the object that the message names, commit and push")
        }
        "InstallFailed" | "UpgradeFailed" => {
            ("BS-FLX-008", "read what Helm says; `helm history` shows the revisions")
        }
        "RetriesExceeded" => {
            ("BS-FLX-009", "correct the values, commit and push; or `flux reconcile helmrelease --reset`")
        }
        _ => ("BS-FLX-000", "read the message: it is Flux's own"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, reason: &str) -> Object {
        serde_json::from_value(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": {"name": "x", "namespace": "n"},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": reason, "message": "m"}]}}))
        .unwrap()
    }

    #[test]
    fn a_source_that_fails_is_the_deeper_cause() {
        let evidence = Evidence {
            subject: object("Kustomization", "ArtifactFailed"),
            owned: Vec::new(),
            events: Vec::new(),
            nodes: Vec::new(),
            logs: std::collections::BTreeMap::new(),
            related: vec![object("GitRepository", "GitOperationFailed")],
        };
        let cause = explain(&evidence).unwrap();
        assert_eq!(cause.code.as_deref(), Some("BS-FLX-002"));
        assert_eq!(cause.evidence.len(), 2);
    }
}
