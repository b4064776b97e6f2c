//! The rule of each kind.

use jiff::Timestamp;

use super::conditions::must_be_true;
use super::kstatus::{Status, status};
use super::{Verdict, builtin, cilium, flux, gateway, reporting};
use bootstrapper_core::object::{Object, ObjectRef};

/// Whether an object is ready: by the rule of its kind, and by kstatus as a minimum.
pub fn verdict(object: &Object) -> Verdict {
    if object.metadata.deletion_timestamp.is_some() {
        return Verdict::not_yet("is being deleted");
    }
    // Only pods without a node depend on the clock, and they have their own rule.
    let general = status(object, Timestamp::UNIX_EPOCH);
    match (rule_of_kind(object), general) {
        (Verdict::Ready, general) => general.into(),
        (Verdict::NotYet(_), Status::Failed(why)) if !may_be_helped(object) => Verdict::never(why),
        (own, _) => own,
    }
}

/// Crashing or unschedulable pods, and stuck Deployments, may recover. Flux's own rules report what has
/// permanently stalled.
fn may_be_helped(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    matches!(
        (id.group(), id.kind.as_str()),
        ("", "Pod") | ("apps", "Deployment") | ("fluxcd.controlplane.io", _)
    )
}

/// The additional rule of a kind, beyond kstatus.
fn rule_of_kind(object: &Object) -> Verdict {
    let id = ObjectRef::of(object);
    match (id.group(), id.kind.as_str()) {
        ("apps", "Deployment") => builtin::deployment(object),
        ("apps", "DaemonSet") => builtin::daemon_set(object),
        ("apps", "StatefulSet") => builtin::stateful_set(object),
        ("", "Pod") => builtin::pod(object),
        ("", "Node") => must_be_true(object, "Ready"),
        ("", "Service") => builtin::service(object),
        ("", "Namespace") => builtin::namespace(object),
        ("", "PersistentVolumeClaim") => builtin::claim(object),
        ("batch", "Job") => builtin::job(object),
        ("apiregistration.k8s.io", "APIService") => must_be_true(object, "Available"),
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => builtin::webhooks(object),
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => flux::kustomization(object),
        ("source.toolkit.fluxcd.io", "HelmRepository") => flux::helm_repository(object),
        ("helm.toolkit.fluxcd.io" | "source.toolkit.fluxcd.io", _) => flux::reconciled(object),
        ("fluxcd.controlplane.io", _) => flux::of_operator(object),
        ("gateway.networking.k8s.io", "GatewayClass") => gateway::class(object),
        ("gateway.networking.k8s.io", "Gateway") => gateway::gateway(object),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute") => gateway::route(object),
        ("cilium.io", "CiliumLoadBalancerIPPool") => cilium::pool(object),
        ("cilium.io", "CiliumBGPClusterConfig" | "CiliumBGPPeerConfig") => cilium::bgp_config(object),
        (group, kind) => reporting::reported(object, group, kind),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Clone, Copy)]
    enum Is {
        Ready,
        NotYet,
        Never,
    }
    use Is::{Never, NotYet, Ready};

    fn judge(api_version: &str, kind: &str, generation: i64, rest: &Value) -> (Is, String) {
        let mut value = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": generation}
        });
        value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let object: Object = serde_json::from_value(value).unwrap();
        let verdict = verdict(&object);
        let is = match &verdict {
            Verdict::Ready => Ready,
            Verdict::NotYet(_) => NotYet,
            Verdict::Never(_) => Never,
        };
        (is, verdict.texts().join("; "))
    }

    fn with(condition: &str, status: &str, more: &Value) -> Value {
        let mut value = json!({"conditions": [{
            "type": condition, "status": status, "reason": "R", "message": "m", "observedGeneration": 2
        }]});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"status": value})
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_kind_by_its_rule() {
        let none = json!({});
        let full = json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "currentReplicas": 2, "availableReplicas": 2, "readyReplicas": 2,
            "conditions": [{"type": "Available", "status": "True"}]}});
        let half = json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "readyReplicas": 1}});
        let flux = "kustomize.toolkit.fluxcd.io/v1";
        let cases: Vec<(&str, &str, Value, Is)> = vec![
            ("v1", "ConfigMap", none.clone(), Ready),
            ("example.org/v1", "Thing", none.clone(), Ready),
            ("example.org/v1", "Thing", with("Stalled", "True", &none), Never),
            ("example.org/v1", "Thing", with("Ready", "False", &none), NotYet),
            ("example.org/v1", "Thing", json!({"status": {"observedGeneration": 1}}), NotYet),
            (
                "v1",
                "ConfigMap",
                json!({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                NotYet,
            ),
            ("apps/v1", "Deployment", none.clone(), NotYet),
            ("apps/v1", "Deployment", full.clone(), Ready),
            ("apps/v1", "Deployment", half.clone(), NotYet),
            (
                "apps/v1",
                "Deployment",
                json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}}),
                NotYet,
            ),
            (
                "apps/v1",
                "Deployment",
                json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}}),
                NotYet,
            ),
            ("apps/v1", "StatefulSet", full.clone(), Ready),
            ("apps/v1", "StatefulSet", half, NotYet),
            (
                "apps/v1",
                "DaemonSet",
                json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3, "numberReady": 3}}),
                Ready,
            ),
            (
                "apps/v1",
                "DaemonSet",
                json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}}),
                NotYet,
            ),
            ("apps/v1", "DaemonSet", none.clone(), NotYet),
            (
                "v1",
                "Pod",
                json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
                Ready,
            ),
            ("v1", "Pod", json!({"status": {"phase": "Succeeded"}}), Ready),
            ("v1", "Pod", json!({"status": {"phase": "Failed", "message": "evicted"}}), Never),
            ("v1", "Pod", json!({"status": {"phase": "Pending"}}), NotYet),
            ("v1", "Node", with("Ready", "True", &none), Ready),
            ("v1", "Node", with("Ready", "False", &none), NotYet),
            ("v1", "Service", json!({"spec": {"type": "ClusterIP"}}), Ready),
            ("v1", "Service", json!({"spec": {"type": "LoadBalancer"}}), NotYet),
            (
                "v1",
                "Service",
                json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.1.0.1"}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}),
                Ready,
            ),
            ("v1", "Namespace", json!({"status": {"phase": "Active"}}), Ready),
            ("v1", "Namespace", json!({"status": {"phase": "Terminating"}}), NotYet),
            ("v1", "PersistentVolumeClaim", json!({"status": {"phase": "Bound"}}), Ready),
            ("v1", "PersistentVolumeClaim", json!({"status": {"phase": "Lost"}}), Never),
            ("batch/v1", "Job", with("Complete", "True", &none), Ready),
            ("batch/v1", "Job", with("Failed", "True", &none), Never),
            ("batch/v1", "Job", none.clone(), NotYet),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                with("Established", "True", &none),
                Ready,
            ),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", none.clone(), NotYet),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                with("NamesAccepted", "False", &none),
                Never,
            ),
            ("apiregistration.k8s.io/v1", "APIService", with("Available", "True", &none), Ready),
            ("apiregistration.k8s.io/v1", "APIService", with("Available", "False", &none), NotYet),
            (flux, "Kustomization", json!({"status": {"observedGeneration": -1}}), NotYet),
            (
                flux,
                "Kustomization",
                with("Ready", "True", &json!({"observedGeneration": 2, "lastAppliedRevision": "a"})),
                Ready,
            ),
            (
                flux,
                "Kustomization",
                with(
                    "Ready",
                    "True",
                    &json!({"observedGeneration": 2, "lastAppliedRevision": "a", "lastAttemptedRevision": "b"}),
                ),
                NotYet,
            ),
            (flux, "Kustomization", with("Ready", "False", &json!({"observedGeneration": 2})), NotYet),
            (flux, "Kustomization", json!({"spec": {"suspend": true}}), NotYet),
            ("helm.toolkit.fluxcd.io/v2", "HelmRelease", with("Stalled", "True", &none), Never),
            // The latest change may fix an older stall.
            (
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                json!({"status": {"observedGeneration": 1, "conditions": [{"type": "Stalled", "status": "True", "observedGeneration": 1}]}}),
                NotYet,
            ),
            (
                "fluxcd.controlplane.io/v1",
                "FluxInstance",
                json!({"status": {"conditions": [{"type": "Stalled", "status": "True", "observedGeneration": 1}]}}),
                NotYet,
            ),
            (
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                with("Ready", "True", &json!({"observedGeneration": 2})),
                Ready,
            ),
            ("helm.toolkit.fluxcd.io/v2", "HelmRelease", none.clone(), NotYet),
            (
                "source.toolkit.fluxcd.io/v1",
                "GitRepository",
                with("Ready", "False", &json!({"observedGeneration": -1})),
                NotYet,
            ),
            ("source.toolkit.fluxcd.io/v1", "HelmRepository", json!({"spec": {"type": "oci"}}), Ready),
            ("fluxcd.controlplane.io/v1", "FluxInstance", with("Ready", "True", &none), Ready),
            ("fluxcd.controlplane.io/v1", "FluxInstance", none.clone(), NotYet),
            ("gateway.networking.k8s.io/v1", "GatewayClass", with("Accepted", "True", &none), Ready),
            ("gateway.networking.k8s.io/v1", "GatewayClass", with("Accepted", "Unknown", &none), NotYet),
            ("gateway.networking.k8s.io/v1", "Gateway", with("Programmed", "True", &none), Ready),
            (
                "cilium.io/v2",
                "CiliumLoadBalancerIPPool",
                with("cilium.io/PoolConflict", "True", &none),
                NotYet,
            ),
            (
                "cilium.io/v2",
                "CiliumLoadBalancerIPPool",
                with("cilium.io/PoolConflict", "False", &none),
                Ready,
            ),
            (
                "cilium.io/v2",
                "CiliumBGPClusterConfig",
                with("cilium.io/NoMatchingNode", "True", &none),
                NotYet,
            ),
            (
                "cilium.io/v2",
                "CiliumBGPClusterConfig",
                with("cilium.io/NoMatchingNode", "False", &none),
                Ready,
            ),
            (
                "cilium.io/v2",
                "CiliumBGPPeerConfig",
                with("cilium.io/MissingAuthSecret", "True", &none),
                NotYet,
            ),
            // A cluster without nodes is never ready, unless the DaemonSet selects nodes.
            (
                "apps/v1",
                "DaemonSet",
                json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 0}}),
                NotYet,
            ),
            (
                "apps/v1",
                "DaemonSet",
                json!({"spec": {"template": {"spec": {"nodeSelector": {"gpu": "yes"}}}}, "status": {"observedGeneration": 2, "desiredNumberScheduled": 0}}),
                Ready,
            ),
            ("apps/v1", "StatefulSet", json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}), NotYet),
            (
                "v1",
                "Pod",
                json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}}),
                NotYet,
            ),
            (
                "batch/v1",
                "Job",
                json!({"status": {"startTime": "2026-01-01T00:00:00Z", "active": 1}}),
                NotYet,
            ),
            (
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                json!({"webhooks": [{"name": "w", "clientConfig": {"service": {"name": "s"}}}]}),
                NotYet,
            ),
            (
                "admissionregistration.k8s.io/v1",
                "MutatingWebhookConfiguration",
                json!({"webhooks": [{"name": "w", "clientConfig": {"service": {"name": "s"}, "caBundle": "Q0E="}}]}),
                Ready,
            ),
            ("cert-manager.io/v1", "Certificate", none.clone(), NotYet),
            ("cert-manager.io/v1", "Certificate", with("Ready", "True", &none), Ready),
            ("ceph.rook.io/v1", "CephCluster", json!({"status": {"phase": "Progressing"}}), NotYet),
            ("ceph.rook.io/v1", "CephCluster", json!({"status": {"phase": "Ready"}}), Ready),
            (
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                json!({"spec": {"parentRefs": [{"name": "g"}]}}),
                NotYet,
            ),
            (
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                json!({"spec": {"parentRefs": [{"name": "g"}]}, "status": {"parents": [{"parentRef": {"name": "g"}, "conditions": [
                    {"type": "Accepted", "status": "True"}, {"type": "ResolvedRefs", "status": "True"}]}]}}),
                Ready,
            ),
            (
                "gateway.networking.k8s.io/v1",
                "Gateway",
                json!({"status": {"conditions": [{"type": "Programmed", "status": "True", "observedGeneration": 1}]}}),
                NotYet,
            ),
        ];
        for (api_version, kind, rest, wanted) in cases {
            let (is, reasons) = judge(api_version, kind, 2, &rest);
            assert_eq!(is, wanted, "{kind} {rest}: {reasons}");
        }
    }

    #[test]
    fn reasons_say_what_the_controller_says() {
        let (_, reasons) =
            judge("helm.toolkit.fluxcd.io/v2", "HelmRelease", 2, &with("Ready", "False", &json!({})));
        assert_eq!(reasons, "R: m");
    }

    #[test]
    fn anything_may_stand_in_an_object() {
        let status = json!({
            "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1, "phase": "Running",
            "numberReady": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "succeeded": 1, "lastAppliedRevision": "main@sha1:1",
            "conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "m", "observedGeneration": 2}],
            "containerStatuses": [{"name": "a", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            "loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}, "addresses": [{"value": "10.0.0.1"}], "currentRevision": "a", "updateRevision": "b",
            "parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}], "listeners": [{"name": "a", "conditions": []}],
        });
        let spec = json!({"replicas": 2, "type": "LoadBalancer", "completions": 1, "parentRefs": [{"name": "g"}], "blocks": [{"cidr": "10.0.0.0/24"}]});
        let kinds = [
            ("apps/v1", "DaemonSet"),
            ("apps/v1", "StatefulSet"),
            ("apps/v1", "Deployment"),
            ("v1", "Pod"),
            ("v1", "Node"),
            ("v1", "Service"),
            ("v1", "Namespace"),
            ("v1", "PersistentVolumeClaim"),
            ("batch/v1", "Job"),
            ("apiregistration.k8s.io/v1", "APIService"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("policy/v1", "PodDisruptionBudget"),
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
            ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
            ("source.toolkit.fluxcd.io/v1", "HelmRepository"),
            ("fluxcd.controlplane.io/v1", "FluxInstance"),
            ("gateway.networking.k8s.io/v1", "Gateway"),
            ("gateway.networking.k8s.io/v1", "HTTPRoute"),
            ("gateway.networking.k8s.io/v1", "GatewayClass"),
            ("cilium.io/v2", "CiliumLoadBalancerIPPool"),
            ("cilium.io/v2", "CiliumBGPClusterConfig"),
            ("example.org/v1", "Thing"),
        ];
        let seeds = kinds.map(|(api_version, kind)| {
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n", "generation": 2}, "spec": spec, "status": status})
        });
        bootstrapper_core::fuzzing::objects(&seeds, |object| drop(verdict(object)));
    }
}
