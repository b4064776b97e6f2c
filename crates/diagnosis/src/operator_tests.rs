//! Walks through what operators report: objects as they are on a cluster, and a near miss of each.

use serde_json::{Value, json};

use super::*;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// A cluster of these objects: every question is answered from them, and what is not there does not exist.
pub(crate) fn of(objects: &[Value], symptom: &str) -> Diagnosis {
    let objects: Vec<Object> =
        objects.iter().map(|object| serde_json::from_value(object.clone()).unwrap()).collect();
    let symptom = objects.iter().map(ObjectRef::of).find(|id| id.to_string() == symptom).unwrap();
    let mut scene = Scene::at("2026-11-24T12:00:00Z".parse().unwrap());
    let symptoms = Symptoms { objects: vec![symptom], refusal: None };
    loop {
        let diagnosis = diagnose(&scene, &symptoms);
        if diagnosis.questions.is_empty() {
            return diagnosis;
        }
        for question in diagnosis.questions {
            match question {
                Question::Object(id) => {
                    let found = objects.iter().find(|object| ObjectRef::of(object) == id).cloned();
                    scene.add_answer(id, found);
                }
                Question::List(selection) => {
                    let of = objects.iter().filter(|object| is_of(object, &selection)).cloned().collect();
                    scene.add_list(selection, of);
                }
                Question::Log(of) => scene.add_log(of, String::new()),
            }
        }
    }
}

/// Whether a selection selects an object, as an API server would: by kind, namespace and equal labels.
fn is_of(object: &Object, selection: &Selection) -> bool {
    let id = ObjectRef::of(object);
    let labels = object.metadata.labels.clone().unwrap_or_default();
    id.api_version == selection.api_version
        && id.kind == selection.kind
        && (selection.namespace.is_none() || selection.namespace == id.namespace)
        && selection.labels.iter().flat_map(|all| all.split(',')).all(|one| match one.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
            None => true,
        })
}

pub(crate) fn object(api_version: &str, kind: &str, name: &str, more: &Value) -> Value {
    let (namespace, name) =
        name.split_once('/').map_or((None, name), |(namespace, name)| (Some(namespace), name));
    let mut value = json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{kind}-{name}"), "creationTimestamp": "2026-11-24T11:00:00Z"},
    });
    merge(&mut value, more);
    value
}

pub(crate) fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"conditions": [{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-24T11:00:00Z"}]})
}

fn owned_by(kind: &str, name: &str) -> Value {
    json!({"metadata": {"ownerReferences": [{"apiVersion": "x/v1", "kind": kind, "name": name, "uid": format!("{kind}-{name}"), "controller": true}]}})
}

fn with(mut value: Value, more: &Value) -> Value {
    merge(&mut value, more);
    value
}

fn event(about: (&str, &str, &str), reason: &str, message: &str) -> Value {
    let (kind, namespace, name) = about;
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{name}.{reason}"), "namespace": namespace},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name}, "type": "Warning", "reason": reason,
        "message": message, "lastTimestamp": "2026-11-24T11:59:00Z",
    })
}

/// A pod that cannot start without a Secret.
fn pod_without(secret: &str) -> Value {
    object(
        "v1",
        "Pod",
        "web/front",
        &json!({
            "spec": {"nodeName": "a", "containers": [{"name": "app"}]},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"waiting": {
                "reason": "CreateContainerConfigError", "message": format!("secret \"{secret}\" not found")}}}]},
        }),
    )
}

fn external_secret(name: &str, target: &Value, ready: &Value) -> Value {
    object(
        "external-secrets.io/v1",
        "ExternalSecret",
        name,
        &json!({
            "spec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}, "target": target}, "status": ready,
        }),
    )
}

fn store(ready: &Value) -> Value {
    object(
        "external-secrets.io/v1",
        "ClusterSecretStore",
        "vault",
        &json!({"spec": {"provider": {"onepassword": {
        "connectHost": "http://connect.vault.svc.cluster.local:8080",
        "auth": {"secretRef": {"connectTokenSecretRef": {"name": "token", "namespace": "vault", "key": "token"}}}}}}, "status": ready}),
    )
}

fn deployment(name: &str, available: i64) -> Value {
    object(
        "apps/v1",
        "Deployment",
        name,
        &json!({
            "metadata": {"generation": 1, "labels": {"app": name.split('/').next_back()}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available, "readyReplicas": available,
                "conditions": [{"type": "Available", "status": if available > 0 { "True" } else { "False" }},
                    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out progressing"}]},
        }),
    )
}

fn service(name: &str) -> Value {
    let whole = name.replace("-svc", "");
    object(
        "v1",
        "Service",
        name,
        &json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": whole}}}),
    )
}

fn failed_sync() -> Value {
    condition("Ready", "False", "SecretSyncedError", "could not get secret data from provider")
}

fn well() -> Value {
    condition("Ready", "True", "Ready", "")
}

/// What is found first: `code: cause`, and the chain.
pub(crate) fn first(objects: &[Value], symptom: &str) -> (String, String) {
    let mut causes = of(objects, symptom).causes;
    causes.retain(|cause| !cause.transient);
    causes.first().map_or_else(Default::default, |cause| {
        (format!("{} {}", cause.code.clone().unwrap_or_default(), cause.cause), cause.chain.join(" ← "))
    })
}

#[test]
fn a_missing_secret_leads_to_what_should_make_it() {
    let pod = pod_without("db");
    let detail = event(
        ("ExternalSecret", "web", "db"),
        "UpdateFailed",
        "error retrieving secret at .data[0], key: db, err: item not found",
    );
    let ready_store = store(&well());
    let token = object("v1", "Secret", "vault/token", &json!({}));
    let connect = [
        service("vault/connect"),
        object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "vault/connect-1",
            &json!({
        "metadata": {"labels": {"kubernetes.io/service-name": "connect"}}, "endpoints": [{"conditions": {"ready": true}}]}),
        ),
    ];
    let world = |more: &[Value]| {
        [vec![pod.clone(), ready_store.clone(), token.clone()], connect.to_vec(), more.to_vec()].concat()
    };

    // Its own message, by the name of the target.
    let secret = external_secret("web/db", &json!({}), &failed_sync());
    assert_eq!(
        first(&world(&[secret, detail.clone()]), "Pod web/front"),
        (
            "BS-SEC-001 ExternalSecret web/db: cannot be synced: error retrieving secret at .data[0], key: db, err: item not found".to_owned(),
            "Pod web/front ← Secret web/db ← ExternalSecret web/db".to_owned()
        )
    );
    let renamed = external_secret("web/database", &json!({"name": "db"}), &failed_sync());
    assert!(first(&world(&[renamed]), "Pod web/front").1.ends_with("ExternalSecret web/database"));
    // One that makes another Secret, or one of the same name elsewhere, is not it.
    let other = external_secret("web/db", &json!({"name": "other"}), &failed_sync());
    let elsewhere = external_secret("shop/db", &json!({}), &failed_sync());
    let alone = first(&world(&[other, elsewhere]), "Pod web/front");
    assert_eq!(alone.0, "BS-POD-003 Pod web/front: container app cannot start: secret \"db\" not found");
    // A policy by which nothing is made.
    let merges = external_secret("web/db", &json!({"creationPolicy": "Merge"}), &well());
    assert!(
        first(&world(&[merges]), "Pod web/front")
            .0
            .starts_with("BS-SEC-003 Secret web/db: not found: ExternalSecret web/db")
    );

    // Other makers.
    let certificate = object(
        "cert-manager.io/v1",
        "Certificate",
        "web/front",
        &json!({
        "spec": {"secretName": "db", "issuerRef": {"name": "none", "kind": "ClusterIssuer"}},
        "status": condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist")}),
    );
    assert_eq!(
        first(&world(&[certificate]), "Pod web/front"),
        (
            "BS-TLS-005 Certificate web/front: ClusterIssuer none not found".to_owned(),
            "Pod web/front ← Secret web/db ← Certificate web/front".to_owned()
        )
    );
    let spread = object(
        "external-secrets.io/v1",
        "ClusterExternalSecret",
        "db",
        &json!({
        "spec": {"externalSecretSpec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}}},
        "status": {"failedNamespaces": [{"namespace": "web", "reason": "external secret already exists in namespace"}]}}),
    );
    assert!(
        first(&world(&[spread]), "Pod web/front")
            .0
            .starts_with("BS-SEC-001 Secret web/db: not found: ClusterExternalSecret db fails")
    );
}

#[test]
fn a_store_leads_to_its_token_and_its_server() {
    let not_ready = store(&condition("Ready", "False", "InvalidProviderConfig", "unable to validate store"));
    let secret = external_secret("web/db", &json!({}), &failed_sync());
    let token = object("v1", "Secret", "vault/token", &json!({}));
    let connect = service("vault/connect");
    let silent = [secret.clone(), not_ready.clone(), token.clone(), connect.clone()];
    let (cause, chain) = first(&silent, "ExternalSecret web/db");
    assert!(cause.starts_with("BS-SVC-001 Service vault/connect: has no endpoints"), "{cause}");
    assert_eq!(chain, "ExternalSecret web/db ← ClusterSecretStore vault ← Service vault/connect");

    let (cause, chain) = first(&[secret.clone(), not_ready.clone(), token.clone()], "ExternalSecret web/db");
    assert_eq!(cause, "BS-SVC-004 Service vault/connect: not found");
    assert_eq!(chain, "ExternalSecret web/db ← ClusterSecretStore vault ← Service vault/connect");

    // A store that is not there, and one that is well.
    assert_eq!(
        first(std::slice::from_ref(&secret), "ExternalSecret web/db").0,
        "BS-TLS-005 ExternalSecret web/db: ClusterSecretStore vault not found"
    );
    let synced = external_secret("web/db", &json!({}), &well());
    assert!(of(&[synced, not_ready], "ExternalSecret web/db").causes.is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_certificate_leads_to_its_challenge_or_its_issuer() {
    let issuer = |ready: &Value| {
        object(
            "cert-manager.io/v1",
            "ClusterIssuer",
            "acme",
            &json!({"spec": {"acme": {"privateKeySecretRef": {"name": "account"}}}, "status": ready}),
        )
    };
    let certificate = object(
        "cert-manager.io/v1",
        "Certificate",
        "web/front",
        &json!({
        "spec": {"secretName": "front-tls", "issuerRef": {"name": "acme", "kind": "ClusterIssuer"}},
        "status": condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist")}),
    );
    let request = with(
        object(
            "cert-manager.io/v1",
            "CertificateRequest",
            "web/front-1",
            &json!({
        "spec": {"issuerRef": {"name": "acme", "kind": "ClusterIssuer"}},
        "status": condition("Ready", "False", "Pending", "Waiting on certificate issuance from order web/front-1-1: \"pending\"")}),
        ),
        &owned_by("Certificate", "front"),
    );
    let order = with(
        object(
            "acme.cert-manager.io/v1",
            "Order",
            "web/front-1-1",
            &json!({"spec": {"issuerRef": {"name": "acme", "kind": "ClusterIssuer"}}, "status": {"state": "pending"}}),
        ),
        &owned_by("CertificateRequest", "front-1"),
    );
    let challenge = |state: &str, reason: &str, made: &str| {
        with(
            object(
                "acme.cert-manager.io/v1",
                "Challenge",
                "web/front-1-1-0",
                &json!({
            "metadata": {"creationTimestamp": made},
            "spec": {"dnsName": "front.example.org", "issuerRef": {"name": "acme", "kind": "ClusterIssuer"}}, "status": {"state": state, "reason": reason}}),
            ),
            &owned_by("Order", "front-1-1"),
        )
    };
    let world = |challenge: Value, ready: &Value| {
        vec![issuer(ready), certificate.clone(), request.clone(), order.clone(), challenge]
    };
    let refused = "Error presenting challenge: cloudflare: 403 Forbidden";
    let (cause, chain) = first(
        &world(challenge("pending", refused, "2026-11-24T11:00:00Z"), &well()),
        "Certificate web/front",
    );
    assert_eq!(
        cause,
        format!("BS-TLS-007 Challenge web/front-1-1-0: is not finished after 3600 s: pending: {refused}")
    );
    assert_eq!(
        chain,
        "Certificate web/front ← CertificateRequest web/front-1 ← Order web/front-1-1 ← Challenge web/front-1-1-0"
    );
    let invalid = first(
        &world(challenge("invalid", "404 urn:ietf", "2026-11-24T11:59:00Z"), &well()),
        "Certificate web/front",
    );
    assert_eq!(
        invalid.0,
        "BS-TLS-007 Challenge web/front-1-1-0: fails for front.example.org: invalid: 404 urn:ietf"
    );
    // A young challenge is only slow.
    let young = of(
        &world(
            challenge("pending", "Waiting for DNS-01 challenge propagation", "2026-11-24T11:58:00Z"),
            &well(),
        ),
        "Certificate web/front",
    );
    assert!(
        young.causes.iter().all(|cause| cause.transient) && !young.causes.is_empty(),
        "{:#?}",
        young.causes
    );

    // An issuer whose account is refused.
    let unregistered = condition(
        "Ready",
        "False",
        "ErrRegisterACMEAccount",
        "Failed to register ACME account: 400 urn:ietf:params:acme:error:invalidEmail",
    );
    let (cause, chain) = first(&[issuer(&unregistered), certificate.clone()], "Certificate web/front");
    assert!(cause.starts_with("BS-TLS-008 ClusterIssuer acme: is not ready: Failed to register"), "{cause}");
    assert_eq!(chain, "Certificate web/front ← ClusterIssuer acme");
    // A CA whose Secret another certificate makes.
    let ca = object(
        "cert-manager.io/v1",
        "Issuer",
        "web/ca",
        &json!({"spec": {"ca": {"secretName": "root"}},
        "status": condition("Ready", "False", "ErrGetKeyPair", "Error getting keypair for CA issuer: secrets \"root\" not found")}),
    );
    let root = object(
        "cert-manager.io/v1",
        "Certificate",
        "web/root",
        &json!({"spec": {"secretName": "root", "issuerRef": {"name": "self"}},
        "status": condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist")}),
    );
    let (cause, chain) = first(&[ca, root], "Issuer web/ca");
    assert_eq!(cause, "BS-TLS-005 Certificate web/root: Issuer web/self not found");
    assert_eq!(chain, "Issuer web/ca ← Secret web/root ← Certificate web/root");
    // The issuers of others are left to them.
    let outside = object(
        "cert-manager.io/v1",
        "Certificate",
        "web/x",
        &json!({"spec": {"secretName": "x", "issuerRef": {"name": "o", "kind": "OriginIssuer", "group": "cert-manager.k8s.cloudflare.com"}},
        "status": condition("Ready", "True", "Ready", "")}),
    );
    assert!(of(&[outside], "Certificate web/x").causes.is_empty());
}

#[test]
fn a_claim_leads_to_the_health_of_ceph() {
    let claim = object(
        "v1",
        "PersistentVolumeClaim",
        "web/data",
        &json!({"spec": {"storageClassName": "block"}, "status": {"phase": "Pending"}}),
    );
    let class = object(
        "storage.k8s.io/v1",
        "StorageClass",
        "block",
        &json!({"provisioner": "rook-ceph.rbd.csi.ceph.com", "volumeBindingMode": "Immediate",
        "parameters": {"clusterID": "rook-ceph", "pool": "block"}}),
    );
    let driver = object("storage.k8s.io/v1", "CSIDriver", "rook-ceph.rbd.csi.ceph.com", &json!({}));
    let failed = event(
        ("PersistentVolumeClaim", "web", "data"),
        "ProvisioningFailed",
        "failed to provision volume: context deadline exceeded",
    );
    let cluster = |phase: &str, health: &str, details: Value| {
        object(
            "ceph.rook.io/v1",
            "CephCluster",
            "rook-ceph/ceph",
            &json!({"status": {"phase": phase, "ceph": {"health": health, "details": details}}}),
        )
    };
    let pool = |phase: &str| {
        object("ceph.rook.io/v1", "CephBlockPool", "rook-ceph/block", &json!({"status": {"phase": phase}}))
    };
    let world = |cluster: Value, pool: Value| {
        vec![claim.clone(), class.clone(), driver.clone(), failed.clone(), cluster, pool]
    };
    let few = json!({"TOO_FEW_OSDS": {"severity": "HEALTH_WARN", "message": "OSD count 0 < osd_pool_default_size 3"}});
    let (cause, chain) =
        first(&world(cluster("Ready", "HEALTH_WARN", few), pool("Ready")), "PersistentVolumeClaim web/data");
    assert_eq!(
        cause,
        "BS-CEP-001 CephCluster rook-ceph/ceph: is unhealthy: TOO_FEW_OSDS: OSD count 0 < osd_pool_default_size 3"
    );
    assert_eq!(chain, "PersistentVolumeClaim web/data ← CephCluster rook-ceph/ceph");
    // A warning that stops nobody is not the cause, and no finding by itself.
    let noise =
        json!({"RECENT_CRASH": {"severity": "HEALTH_WARN", "message": "1 daemons have recently crashed"}});
    let warned = world(cluster("Ready", "HEALTH_WARN", noise), pool("Ready"));
    assert!(first(&warned, "PersistentVolumeClaim web/data").0.starts_with("BS-VOL-004"));
    assert!(of(&warned, "CephCluster rook-ceph/ceph").causes.is_empty());
    // The pool itself.
    let (cause, _) = first(
        &world(cluster("Ready", "HEALTH_OK", json!({})), pool("Failure")),
        "PersistentVolumeClaim web/data",
    );
    assert_eq!(cause, "BS-CEP-002 CephBlockPool rook-ceph/block: is Failure");
    // Ready by Rook's word, and in error by Ceph's: a finding by itself.
    let full = json!({"OSD_FULL": {"severity": "HEALTH_ERR", "message": "1 full osd(s)"}});
    assert_eq!(
        first(&world(cluster("Ready", "HEALTH_ERR", full), pool("Ready")), "CephCluster rook-ceph/ceph").0,
        "BS-CEP-001 CephCluster rook-ceph/ceph: is unhealthy: OSD_FULL: 1 full osd(s)"
    );
    // What Rook cannot do, and a cluster outside of Kubernetes.
    let stuck = object(
        "ceph.rook.io/v1",
        "CephCluster",
        "rook-ceph/ceph",
        &json!({"status": {"phase": "Progressing",
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ClusterProgressing", "message": "failed to create cluster: no nodes match the placement"}]}}),
    );
    assert!(
        first(&[stuck], "CephCluster rook-ceph/ceph").0.contains("is Progressing: failed to create cluster")
    );
    assert!(
        of(&[cluster("Connected", "HEALTH_OK", json!({}))], "CephCluster rook-ceph/ceph").causes.is_empty()
    );
}

#[test]
fn a_finalizer_leads_to_its_controller_or_to_a_dead_webhook() {
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-24T11:50:00Z", "finalizers": ["example.org/cleanup"]}});
    let thing = object("example.org/v1", "Thing", "old/thing", &deleted);
    let hook = |policy: &str, resources: &str, selector: Value| {
        object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "things",
            &json!({"webhooks": [{
        "name": "things.example.org", "failurePolicy": policy, "namespaceSelector": selector,
        "rules": [{"apiGroups": ["example.org"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resources]}],
        "clientConfig": {"caBundle": "Q0E=", "service": {"namespace": "gone", "name": "hook"}}}]}),
        )
    };
    let namespace = object(
        "v1",
        "Namespace",
        "old",
        &json!({
        "metadata": {"deletionTimestamp": "2026-11-24T11:50:00Z", "labels": {"kubernetes.io/metadata.name": "old"}},
        "status": {"phase": "Terminating", "conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: things.example.org has 1 resource instances"},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "Some content in the namespace has finalizers remaining: example.org/cleanup in 1 resource instances"}]}}),
    );
    let crd = object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "things.example.org",
        &json!({"spec": {"group": "example.org", "names": {"kind": "Thing"}, "versions": [{"name": "v1", "storage": true}]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]}}),
    );
    let world = |hook: Value| vec![namespace.clone(), crd.clone(), thing.clone(), hook];
    let (cause, chain) = first(&world(hook("Fail", "things", json!({}))), "Namespace old");
    assert_eq!(
        cause,
        "BS-API-001 ValidatingWebhookConfiguration things: webhook things.example.org does not answer: Service gone/hook not found"
    );
    assert_eq!(chain, "Namespace old ← Thing old/thing ← ValidatingWebhookConfiguration things");
    // Webhooks that are not called for it.
    for other in [
        hook("Ignore", "things", json!({})),
        hook("Fail", "others", json!({})),
        hook("Fail", "things", json!({"matchLabels": {"watched": "yes"}})),
    ] {
        assert!(
            first(&world(other), "Namespace old")
                .0
                .starts_with("BS-KND-004 Thing old/thing: cannot be deleted: finalizer example.org/cleanup")
        );
    }
    // The controller of the finalizer, by its domain.
    let pool = object(
        "ceph.rook.io/v1",
        "CephBlockPool",
        "old/pool",
        &json!({"metadata": {"deletionTimestamp": "2026-11-24T11:50:00Z", "finalizers": ["cephblockpool.ceph.rook.io"]}}),
    );
    assert_eq!(
        first(std::slice::from_ref(&pool), "CephBlockPool old/pool").0,
        "BS-OPR-001 CephBlockPool old/pool: rook-ceph-operator has not removed it: it is not installed"
    );
    let down =
        first(&[pool.clone(), deployment("rook-ceph/rook-ceph-operator", 0)], "CephBlockPool old/pool");
    assert_eq!(down.1, "CephBlockPool old/pool ← Deployment rook-ceph/rook-ceph-operator");
    let blocked = with(
        pool,
        &json!({"status": {"conditions": [{"type": "DeletionIsBlocked", "status": "True", "reason": "ObjectHasDependents", "message": "has dependents: CephFilesystemSubVolumeGroup: csi"}]}}),
    );
    let running =
        of(&[blocked, deployment("rook-ceph/rook-ceph-operator", 1)], "CephBlockPool old/pool").causes;
    assert!(running[0].evidence.iter().any(|fact| fact.contains("has dependents")), "{running:#?}");
    // A claim that a pod uses.
    let claim = object(
        "v1",
        "PersistentVolumeClaim",
        "old/data",
        &json!({"metadata": {"deletionTimestamp": "2026-11-24T11:50:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}, "status": {"phase": "Bound"}}),
    );
    let user = object(
        "v1",
        "Pod",
        "old/db-0",
        &json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}}),
    );
    assert_eq!(
        first(&[claim, user], "PersistentVolumeClaim old/data").0,
        "BS-KND-004 PersistentVolumeClaim old/data: cannot be deleted while a pod uses it: Pod old/db-0"
    );
}

#[test]
fn a_conversion_leads_to_its_webhook() {
    let said = |words: &str| format!("Widget/web/w dry-run failed: {words}");
    let kustomization = |message: &str| {
        object(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "flux-system/apps",
            &json!({
        "status": condition("Ready", "False", "ReconciliationFailed", message)}),
        )
    };
    let crd = object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "widgets.example.org",
        &json!({"spec": {"group": "example.org", "names": {"kind": "Widget"},
        "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"namespace": "widgets", "name": "widgets-svc"}}}}},
        "status": {"conditions": [{"type": "Established", "status": "True"}]}}),
    );
    let failed = said(
        "conversion webhook for example.org/v1, Kind=Widget failed: Post \"https://widgets-svc.widgets.svc:443/convert?timeout=30s\": no endpoints available for service \"widgets-svc\"",
    );
    let whole = [
        kustomization(&failed),
        crd.clone(),
        service("widgets/widgets-svc"),
        with(
            deployment("widgets/widgets", 0),
            &json!({"spec": {"template": {"metadata": {"labels": {"app": "widgets/widgets"}}}}}),
        ),
    ];
    let (_, chain) = first(&whole, "Kustomization flux-system/apps");
    assert_eq!(
        chain,
        "Kustomization flux-system/apps ← CustomResourceDefinition widgets.example.org ← Service widgets/widgets-svc ← Deployment widgets/widgets"
    );
    let (cause, chain) = first(&whole[..2], "Kustomization flux-system/apps");
    assert_eq!(
        cause,
        "BS-KND-006 CustomResourceDefinition widgets.example.org: its conversion webhook does not answer: Service widgets/widgets-svc not found"
    );
    assert_eq!(chain, "Kustomization flux-system/apps ← CustomResourceDefinition widgets.example.org");
    // A CRD whose webhook answers, and a Kustomization that fails otherwise.
    let answers = object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "widgets/w",
        &json!({"metadata": {"labels": {"kubernetes.io/service-name": "widgets-svc"}}, "endpoints": [{}]}),
    );
    assert!(
        of(
            &[crd.clone(), service("widgets/widgets-svc"), answers],
            "CustomResourceDefinition widgets.example.org"
        )
        .causes
        .is_empty()
    );
    let other = kustomization(&said("Widget.example.org \"w\" is invalid: spec.size: Required value"));
    assert!(first(&[other, crd], "Kustomization flux-system/apps").0.starts_with("BS-API-010"));
    // An aggregated API without which nothing can be applied.
    let stale = kustomization(
        "unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
    );
    let api = object(
        "apiregistration.k8s.io/v1",
        "APIService",
        "v1beta1.metrics.k8s.io",
        &json!({"spec": {"service": {"namespace": "kube-system", "name": "metrics"}},
        "status": condition("Available", "False", "MissingEndpoints", "endpoints for service/metrics have no addresses")}),
    );
    assert_eq!(
        first(&[stale, api], "Kustomization flux-system/apps").1,
        "Kustomization flux-system/apps ← APIService v1beta1.metrics.k8s.io"
    );
}

#[test]
fn any_operator_leads_to_what_it_owns() {
    let cluster = |ready: &str| {
        object(
            "postgresql.cnpg.io/v1",
            "Cluster",
            "web/db",
            &json!({"status": condition("Ready", ready, "ClusterIsNotReady", "Cluster Is Not Ready")}),
        )
    };
    let pod = with(pod_without("backup"), &owned_by("Cluster", "db"));
    let (cause, chain) = first(&[cluster("False"), pod.clone()], "Cluster web/db");
    assert!(cause.starts_with("BS-POD-003 Pod web/front"), "{cause}");
    assert_eq!(chain, "Cluster web/db ← Pod web/front");
    assert!(of(&[cluster("True"), pod.clone()], "Cluster web/db").causes.is_empty());
    let stranger = pod_without("backup");
    assert!(first(&[cluster("False"), stranger], "Cluster web/db").0.starts_with("BS-OBJ-001"));
    // Nobody works on it.
    let unnoticed = object("postgresql.cnpg.io/v1", "Cluster", "web/db", &json!({}));
    assert_eq!(
        first(&[unnoticed], "Cluster web/db").0,
        "BS-OPR-001 Cluster web/db: cloudnative-pg has not noticed it: it is not installed"
    );
}
