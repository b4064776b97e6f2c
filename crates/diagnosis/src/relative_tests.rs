//! Messages and objects of the kinds that the other tests show by one sample each.

use serde_json::{Value, json};

use super::operator_tests::{condition, object, of};

fn ready(api_version: &str, kind: &str, name: &str) -> Value {
    object(
        api_version,
        kind,
        name,
        &json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "artifact": {"revision": "1"}}}),
    )
}

/// The code, cause and advice of a HelmRelease with this message.
fn of_release(said: &str) -> String {
    let spec = json!({"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "app"}});
    let failed = json!({"spec": spec, "status": condition("Ready", "False", "InstallFailed", said)});
    let release = object("helm.toolkit.fluxcd.io/v2", "HelmRelease", "web/app", &failed);
    let source = ready("source.toolkit.fluxcd.io/v1", "OCIRepository", "web/app");
    shown(&[release, source], "HelmRelease web/app")
}

fn of_kustomization(said: &str) -> String {
    let spec = json!({"path": "./x", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}});
    let failed = json!({"spec": spec, "status": condition("Ready", "False", "ReconciliationFailed", said)});
    let kustomization = object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system/app", &failed);
    let source = ready("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system/flux-system");
    shown(&[kustomization, source], "Kustomization flux-system/app")
}

fn shown(objects: &[Value], symptom: &str) -> String {
    let causes = of(objects, symptom).causes;
    let lines = causes.iter().map(|one| {
        format!(
            "{} {} | {}",
            one.code.as_deref().unwrap_or_default(),
            one.cause,
            one.remedy.first().map_or("", String::as_str)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_helm_says() {
    let prefix = "Helm install failed for release web/app with chart app@1.0.0: ";
    for (said, code, words) in [
        (
            "Unable to continue with install: ServiceAccount \"app\" in namespace \"web\" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"app\": current value is \"old\"",
            "BS-FLX-024",
            "ServiceAccount web/app exists already, and is not of this release (it says old)",
        ),
        (
            "failed pre-install: 1 error occurred:\n\t* job app-migrate failed: BackoffLimitExceeded\n\n",
            "BS-FLX-013",
            "Job web/app-migrate",
        ),
        (
            "template: app/templates/x.yaml:3:20: executing \"app/templates/x.yaml\" at <.Values.a.b>: nil pointer evaluating interface {}.b",
            "BS-FLX-015",
            "nil pointer",
        ),
        (
            "cannot patch \"data\" with kind PersistentVolumeClaim: PersistentVolumeClaim \"data\" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests",
            "BS-API-009",
            "immutable",
        ),
        // Near misses.
        ("context deadline exceeded", "BS-FLX-013", "Helm fails: context deadline exceeded"),
        ("failed post-install: timed out waiting for the condition", "BS-FLX-013", "Helm fails"),
    ] {
        let shown = of_release(&format!("{prefix}{said}"));
        assert!(shown.starts_with(code) && shown.contains(words), "{said}\n{shown}");
    }
}

#[test]
fn what_flux_says() {
    let kyverno = "Deployment/web/front dry-run failed (Forbidden): admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource Deployment/web/front was blocked due to the following policies \n\nrequire-labels:\n  check: 'validation error: label required'\n";
    let shown = of_kustomization(kyverno);
    assert!(shown.starts_with("BS-API-002") && shown.contains("require-labels"), "{shown}");
    let shown = of_kustomization("decryption failed for 'x': MAC mismatch. File has 'AA', computed 'BB'");
    assert!(shown.contains("the key is right"), "{shown}");
    let shown =
        of_kustomization("decryption failed for 'x': cannot get sops data key: 0 successful groups required");
    assert!(shown.starts_with("BS-FLX-010") && shown.contains("age key"), "{shown}");
}

#[test]
fn what_flux_makes_of_others() {
    let receiver = object(
        "notification.toolkit.fluxcd.io/v1",
        "Receiver",
        "flux-system/hook",
        &json!({"spec": {"secretRef": {"name": "token"}},
            "status": condition("Ready", "False", "TokenNotFound", "unable to read token from secret 'flux-system/token' error: Secret \"token\" not found")}),
    );
    assert!(shown(&[receiver], "Receiver flux-system/hook").starts_with("BS-FLX-025"));
    let policy = object(
        "image.toolkit.fluxcd.io/v1",
        "ImagePolicy",
        "flux-system/app",
        &json!({"spec": {"imageRepositoryRef": {"name": "app"}},
            "status": condition("Ready", "False", "DependencyNotReady", "referenced ImageRepository has not been scanned yet")}),
    );
    let repository = object(
        "image.toolkit.fluxcd.io/v1",
        "ImageRepository",
        "flux-system/app",
        &json!({"spec": {"image": "registry.example.org/app"},
            "status": condition("Ready", "False", "ReadOperationFailed", "scan failed: GET https://registry.example.org/token: DENIED: requested access to the resource is denied")}),
    );
    let found = shown(&[policy, repository], "ImagePolicy flux-system/app");
    assert!(found.contains("ImageRepository flux-system/app"), "{found}");
    let kustomization = object(
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        "flux-system/app",
        &json!({"spec": {"sourceRef": {"kind": "ExternalArtifact", "name": "web"}},
            "status": condition("Ready", "False", "ArtifactFailed", "ExternalArtifact 'flux-system/web' not found")}),
    );
    let generator = object(
        "source.extensions.fluxcd.io/v1beta1",
        "ArtifactGenerator",
        "flux-system/parts",
        &json!({"spec": {"artifacts": [{"name": "web"}]},
            "status": condition("Ready", "False", "BuildFailed", "web build failed: no file matches")}),
    );
    let found = shown(&[kustomization.clone(), generator], "Kustomization flux-system/app");
    assert!(found.contains("ArtifactGenerator flux-system/parts"), "{found}");
    // Nothing makes it.
    assert!(shown(&[kustomization], "Kustomization flux-system/app").starts_with("BS-FLX-020"));
}

#[test]
fn what_kubelets_say_of_volumes() {
    let of_pod = |message: &str| {
        let pod = object(
            "v1",
            "Pod",
            "web/front",
            &json!({"spec": {"nodeName": "a", "containers": [{"name": "app"}]}, "status": {"phase": "Pending",
                "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]}}),
        );
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "web"},
            "involvedObject": {"kind": "Pod", "namespace": "web", "name": "front"}, "type": "Warning",
            "reason": "FailedMount", "message": message, "lastTimestamp": "2026-11-24T11:59:00Z"});
        shown(&[pod, event], "Pod web/front")
    };
    let shared = of_pod(
        "Multi-Attach error for volume \"pvc-1\" Volume is already exclusively attached to one node and can't be attached to another",
    );
    assert!(shared.contains("Recreate"), "{shared}");
    let refused = of_pod(
        "MountVolume.SetUp failed for volume \"nfs\" : mount failed: exit status 32\nMounting command: mount\nOutput: mount.nfs: access denied by server while mounting 10.0.0.2:/data",
    );
    assert!(refused.contains("access denied by server") && !refused.contains("Recreate"), "{refused}");
}

#[test]
fn a_user_of_an_object_store_makes_its_keys() {
    let pod = object(
        "v1",
        "Pod",
        "web/front",
        &json!({"spec": {"nodeName": "a", "containers": [{"name": "app"}]}, "status": {"phase": "Pending",
            "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "CreateContainerConfigError",
                "message": "secret \"rook-ceph-object-user-store-loki\" not found"}}}]}}),
    );
    let user = object(
        "ceph.rook.io/v1",
        "CephObjectStoreUser",
        "web/loki",
        &json!({"spec": {"store": "store"}, "status": {"phase": "ReconcileFailed"}}),
    );
    let found = shown(&[pod, user], "Pod web/front");
    assert!(found.contains("CephObjectStoreUser web/loki"), "{found}");
}
