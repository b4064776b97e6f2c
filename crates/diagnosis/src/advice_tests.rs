//! Advice that fits the words: messages of real components, and messages that only look alike.

use serde_json::{Value, json};

use super::operator_tests::{condition, first, merge, object};

fn with(mut value: Value, more: &Value) -> Value {
    merge(&mut value, more);
    value
}

fn causes(objects: &[Value], symptom: &str) -> bootstrapper_core::cause::Cause {
    super::operator_tests::of(objects, symptom).causes.remove(0)
}

#[test]
fn a_refused_capability_is_named_with_the_platform() {
    let said = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: unable to apply caps: can't apply capabilities: operation not permitted";
    let pod = |add: &[&str], message: &str| {
        object(
            "v1",
            "Pod",
            "kube-system/cilium-x",
            &json!({
                "spec": {"nodeName": "a", "containers": [{"name": "agent", "securityContext": {"capabilities": {"add": add}}}]},
                "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": message}}}]},
            }),
        )
    };
    let node = |image: &str| object("v1", "Node", "a", &json!({"status": {"nodeInfo": {"osImage": image}}}));
    let told = |add: &[&str], message: &str, image: &str| {
        first(&[pod(add, message), node(image)], "Pod kube-system/cilium-x").0
    };
    assert_eq!(
        told(&["NET_ADMIN", "SYS_MODULE"], said, "Talos (v1.13.0)"),
        "BS-POD-011 Pod kube-system/cilium-x: container agent cannot start: node a (Talos (v1.13.0)) does not permit capability SYS_MODULE"
    );
    // Elsewhere it is not known which.
    assert!(
        told(&["NET_ADMIN", "SYS_MODULE"], said, "Debian")
            .ends_with("one of the capabilities NET_ADMIN, SYS_MODULE")
    );
    assert!(
        told(&[], "unknown capability \"CAP_FLY\"", "Debian").ends_with("does not know capability CAP_FLY")
    );
    assert!(
        told(&[], "error adding seccomp filter rule for syscall: seccomp profile x", "Debian")
            .starts_with("BS-POD-012")
    );
    assert!(
        told(&[], "container init was OOM-killed (memory limit too low?)", "Debian")
            .starts_with("BS-POD-002")
    );
    // Other words about permission.
    for other in ["exec: \"/app\": permission denied", "exec /app: operation not permitted"] {
        assert!(told(&["SYS_MODULE"], other, "Talos (v1.13.0)").starts_with("BS-POD-004"), "{other}");
    }
}

#[test]
fn a_signature_is_not_a_fetch() {
    let source = |reason: &str, said: &str, verified: Option<&str>| {
        let mut status = condition("Ready", "False", reason, said);
        if let (Some(verified), Some(all)) = (verified, status["conditions"].as_array_mut()) {
            all.push(json!({"type": "SourceVerified", "status": "False", "reason": "VerificationError", "message": verified}));
        }
        object(
            "source.toolkit.fluxcd.io/v1",
            "OCIRepository",
            "flux-system/app",
            &json!({
            "spec": {"url": "oci://ghcr.io/example/app", "ref": {"tag": "1.0.0"}, "verify": {"provider": "cosign"}}, "status": status}),
        )
    };
    let told = |reason: &str, said: &str, verified| {
        causes(&[source(reason, said, verified)], "OCIRepository flux-system/app")
    };
    let unsigned = "failed to verify the signature using provider 'cosign': no matching signatures were found for 'ghcr.io/example/app:1.0.0'";
    let cause = told("VerificationError", unsigned, Some(unsigned));
    assert_eq!(cause.code.as_deref(), Some("BS-FLX-022"));
    assert!(cause.remedy[0].contains("matchOIDCIdentity"), "{cause:?}");
    let unheard = "failed to verify the signature using provider 'cosign': getting Rekor public keys: dial tcp: lookup tuf-repo-cdn.sigstore.dev: no such host";
    let cause = told("VerificationError", unheard, Some(unheard));
    assert_eq!(cause.code.as_deref(), Some("BS-FLX-022"));
    assert!(cause.remedy[0].contains("source itself was fetched"), "{cause:?}");
    // Fetching, with the same words about other things.
    for (said, code) in [
        (
            "failed to pull artifact: GET https://ghcr.io/token: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "BS-TLS-003",
        ),
        (
            "failed to determine artifact digest: GET https://ghcr.io/v2/: unauthorized: authentication required",
            "BS-FLX-001",
        ),
        ("failed to pull artifact: dial tcp: lookup ghcr.io: no such host", "BS-FLX-002"),
    ] {
        assert_eq!(told("OCIArtifactPullFailed", said, None).code.as_deref(), Some(code), "{said}");
    }
}

#[test]
fn a_release_whose_source_is_ready_by_now_has_not_failed() {
    let release = |reason: &str| {
        let said =
            "OCIRepository 'web/chart' is not ready: latest generation of object has not been reconciled";
        let release = object(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "web/app",
            &json!({"spec": {"chartRef": {"kind": "OCIRepository", "name": "chart"}}, "status": condition("Ready", "False", reason, said)}),
        );
        let source = object(
            "source.toolkit.fluxcd.io/v1",
            "OCIRepository",
            "web/chart",
            &json!({"status": condition("Ready", "True", "Succeeded", "stored artifact")}),
        );
        let causes = super::operator_tests::of(&[release, source], "HelmRelease web/app").causes;
        causes.into_iter().any(|cause| cause.code.as_deref() == Some("BS-FLX-013"))
    };
    assert!(!release("SourceNotReady") && release("InstallFailed"));
}

#[test]
fn a_chart_that_cannot_be_settled_is_told_so() {
    let release = |reason: &str, said: &str| {
        causes(
            &[object(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                "web/app",
                &json!({"metadata": {"generation": 1}, "status": with(condition("Ready", "False", reason, said), &json!({"observedGeneration": 1}))}),
            )],
            "HelmRelease web/app",
        )
    };
    let other =
        release("ChartMutateError", "artifact revision 1.2.0 does not match chart version 1.2.0-rc.1");
    assert_eq!(
        other.cause,
        "HelmRelease web/app: the chart of artifact 1.2.0 calls itself version 1.2.0-rc.1: Flux accepts only equal ones"
    );
    assert!(other.remedy.iter().all(|advice| !advice.contains("helm history")), "{other:?}");
    for said in [
        "invalid chart version v1.x",
        "Helm install failed for release web/app with chart app@1: chart requires kubeVersion: >=1.99.0-0 which is incompatible with Kubernetes v1.36.3",
    ] {
        assert_eq!(release("InstallFailed", said).code.as_deref(), Some("BS-FLX-023"), "{said}");
    }
    let plain =
        release("InstallFailed", "Helm install failed for release web/app with chart app@1: timed out");
    assert_eq!(plain.code.as_deref(), Some("BS-FLX-013"));
}

#[test]
fn a_failure_of_a_chart_in_a_run_has_a_code() {
    let told = |what: &str, said: &str| {
        let scene = crate::Scene::at("2026-11-24T12:00:00Z".parse().unwrap());
        let symptoms =
            crate::Symptoms { objects: Vec::new(), refusal: Some((what.to_owned(), said.to_owned())) };
        let causes = crate::diagnose(&scene, &symptoms).causes;
        causes.first().and_then(|cause| cause.code.clone()).unwrap_or_default()
    };
    for (what, said, code) in [
        (
            "cannot fetch chart x 1.0.0",
            "chart \"x\" version \"1.0.0\" not found in https://r.test repository",
            "BS-FLX-005",
        ),
        (
            "cannot fetch chart oci://r.test/x:1",
            "response status code 401: unauthorized: authentication required",
            "BS-FLX-001",
        ),
        ("cannot fetch chart oci://r.test/x:1", "dial tcp: lookup r.test: no such host", "BS-FLX-002"),
        ("cannot fetch https://r.test/crds.yaml", "503 Service Unavailable", "BS-FLX-003"),
        (
            "cannot fetch chart x",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "BS-TLS-003",
        ),
        (
            "chart oci://r.test/x is not installed: it is signed by nobody",
            "it must be signed with a key of Secret a/b",
            "BS-FLX-022",
        ),
        (
            "helm template failed",
            "execution error at (cilium/templates/validate.yaml:1:3): x is required",
            "BS-FLX-015",
        ),
        ("helm upgrade failed", "timed out waiting for the condition", "BS-FLX-013"),
        ("cannot connect to cluster", "dial tcp: i/o timeout", ""),
        ("cannot read secret", "not found", ""),
    ] {
        assert_eq!(told(what, said), code, "{what}: {said}");
    }
}

#[test]
fn a_field_of_another_manager_is_named_with_its_remedy() {
    let said = "Deployment/web/front dry-run failed (Invalid): Deployment.apps \"front\" is invalid: spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'";
    let kustomization = |said: &str| {
        object(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "flux-system/apps",
            &json!({"status": condition("Ready", "False", "ReconciliationFailed", said)}),
        )
    };
    let deployment = |manager: &str| {
        object(
            "apps/v1",
            "Deployment",
            "web/front",
            &json!({"metadata": {"managedFields": [
                {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:strategy": {"f:rollingUpdate": {"f:maxSurge": {}}, "f:type": {}}}}},
                {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:strategy": {"f:type": {}}}}},
            ]}}),
        )
    };
    let cause = causes(&[kustomization(said), deployment("kubectl-edit")], "Kustomization flux-system/apps");
    assert_eq!(cause.code.as_deref(), Some("BS-API-013"));
    assert!(
        cause.cause.contains("kubectl-edit left field .spec.strategy.rollingUpdate in Deployment web/front"),
        "{cause:?}"
    );
    assert!(cause.remedy[0].starts_with("kubectl patch deployment front -n web --type=merge"), "{cause:?}");
    // A default that nobody owns.
    let nobody = object("apps/v1", "Deployment", "web/front", &json!({"metadata": {"managedFields": []}}));
    let default = causes(&[kustomization(said), nobody], "Kustomization flux-system/apps");
    assert!(
        default.cause.contains("the API server (as a default) left field .spec.strategy.rollingUpdate"),
        "{default:?}"
    );
    // Of two fields that exclude each other, the one that is not declared.
    let said_of_env = "Deployment/web/front dry-run failed (Invalid): Deployment.apps \"front\" is invalid: spec.template.spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty";
    let key = |name: &str| format!("k:{{\"name\":\"{name}\"}}");
    let owner = |manager: &str, field: &str| json!({"manager": manager, "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {key("app"): {"f:env": {key("A"): {field: {}}}}}}}}}});
    let both = object(
        "apps/v1",
        "Deployment",
        "web/front",
        &json!({"metadata": {"managedFields": [
        owner("helm", "f:value"), owner("kustomize-controller", "f:valueFrom")]}}),
    );
    let cause = causes(&[kustomization(said_of_env), both], "Kustomization flux-system/apps");
    assert!(
        cause.cause.contains(
            "helm left field .spec.template.spec.containers[{\"name\":\"app\"}].env[{\"name\":\"A\"}].value"
        ),
        "{cause:?}"
    );
    // A field of another manager that only cannot be changed.
    let said_of_selector = "Deployment/web/front dry-run failed (Invalid): Deployment.apps \"front\" is invalid: spec.selector: Invalid value: {}: field is immutable";
    let selector = object(
        "apps/v1",
        "Deployment",
        "web/front",
        &json!({"metadata": {"managedFields": [
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:selector": {}}}}]}}),
    );
    let immutable = causes(&[kustomization(said_of_selector), selector], "Kustomization flux-system/apps");
    assert_eq!(immutable.code.as_deref(), Some("BS-API-009"));
    // The declaration's own fault.
    let own =
        causes(&[kustomization(said), deployment("kustomize-controller")], "Kustomization flux-system/apps");
    assert_eq!(own.code.as_deref(), Some("BS-API-010"));
}

#[test]
fn a_taken_address_is_named_with_who_has_it() {
    let kustomization = |said: &str| {
        object(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "flux-system/apps",
            &json!({"status": condition("Ready", "False", "ReconciliationFailed", said)}),
        )
    };
    let dns = object(
        "v1",
        "Service",
        "kube-system/kube-dns",
        &json!({"spec": {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [{"nodePort": 30080}]}}),
    );
    let other = object(
        "v1",
        "Service",
        "kube-system/other",
        &json!({"spec": {"clusterIP": "10.96.0.11", "ports": [{"port": 30080}]}}),
    );
    let told = |said: &str| {
        causes(&[kustomization(said), dns.clone(), other.clone()], "Kustomization flux-system/apps")
    };
    let taken = told(
        "Service/kube-system/coredns dry-run failed (Invalid): Service \"coredns\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: provided IP is already allocated",
    );
    assert_eq!(
        taken.cause,
        "Kustomization flux-system/apps: the Service address 10.96.0.10 is taken by Service kube-system/kube-dns"
    );
    let port = told(
        "Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
    );
    assert!(port.cause.ends_with("the node port 30080 is taken by Service kube-system/kube-dns"), "{port:?}");
    let outside = told(
        "Service \"x\" is invalid: spec.clusterIPs: Invalid value: [\"10.43.0.10\"]: failed to allocate IP 10.43.0.10: the provided IP (10.43.0.10) is not in the valid range. The range of valid IPs is 10.96.0.0/12",
    );
    assert!(outside.cause.contains("outside of the range of this cluster, 10.96.0.0/12"), "{outside:?}");
    let other = told(
        "Service \"x\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.0.12\"]: may not change once set",
    );
    assert_eq!(other.code.as_deref(), Some("BS-API-010"));
    // A load balancer's address.
    let lb = |name: &str, more: Value| {
        object("v1", "Service", name, &with(json!({"spec": {"type": "LoadBalancer"}}), &more))
    };
    let wants = lb(
        "web/b",
        json!({"status": condition("cilium.io/IPAMRequestSatisfied", "False", "already_allocated", "The IP '10.0.0.1' is already allocated to another service")}),
    );
    let has = lb("web/a", json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}));
    let (cause, _) = first(&[wants, has], "Service web/b");
    assert!(cause.starts_with("BS-CIL-007") && cause.ends_with("; Service web/a has it"), "{cause}");
}
