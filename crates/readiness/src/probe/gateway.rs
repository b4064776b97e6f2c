//! Whether the operator serves the Gateway API.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::Verdict;
use super::super::conditions::condition;
use super::super::rules::verdict;
use bootstrapper_core::object::{Object, ObjectRef};

/// After this time without an accepted GatewayClass, a remark is added.
const PATIENCE_SECONDS: i64 = 60;

pub(super) fn verdict_at(classes: &[Arc<Object>], now: Timestamp) -> Verdict {
    let own: Vec<_> = classes
        .iter()
        .filter(|class| class.data["spec"]["controllerName"] == "io.cilium/gateway-controller")
        .collect();
    if own.is_empty() {
        return Verdict::not_yet("Cilium's GatewayClass not found");
    }
    own.iter().map(|class| accepted(class, now).of(&ObjectRef::of(class))).collect()
}

/// The operator looks for the Gateway API CRDs only at startup (`operator/pkg/gateway-api`): if it does not
/// answer a class for long, the CRDs were installed too late.
fn accepted(class: &Object, now: Timestamp) -> Verdict {
    let is_answered =
        condition(class, "Accepted").is_some_and(|accepted| accepted.is_true() || accepted.is_false());
    let age = class
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |created| now.as_second() - created.0.as_second());
    if is_answered || age < PATIENCE_SECONDS {
        return verdict(class);
    }
    Verdict::not_yet(format!(
        "not accepted by cilium-operator after {age}s, which may have started before the Gateway API CRDs; `kubectl -n kube-system rollout restart deployment/cilium-operator`"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_that_stays_unanswered_is_remarked_on() {
        let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "cilium", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"controllerName": "io.cilium/gateway-controller"}});
        let class: Arc<Object> = Arc::new(serde_json::from_value(class).unwrap());
        let at =
            |time: &str| verdict_at(std::slice::from_ref(&class), time.parse().unwrap()).texts().join("; ");
        assert!(at("2026-01-01T00:00:30Z").contains("Accepted is not reported yet"));
        assert!(at("2026-01-01T00:02:00Z").contains("rollout restart"));
    }
}
