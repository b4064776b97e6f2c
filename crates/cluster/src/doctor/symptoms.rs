//! The symptoms of a whole cluster.

use futures::stream::{self, StreamExt as _};

use super::gather::{Budget, Examination, explain_from};
use crate::Cluster;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_diagnosis::{Question, Scene, Symptoms};
use bootstrapper_readiness::{self as readiness, cilium};

/// The maximum number of kinds listed concurrently.
const AT_ONCE: usize = 16;

/// The scope of an examination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole cluster.
    Whole,
    /// These namespaces and their objects.
    Namespaces(Vec<String>),
    /// These objects.
    Objects(Vec<ObjectRef>),
}

/// Cluster-scoped kinds with readiness.
fn of_the_cluster() -> Vec<Selection> {
    let of = Selection::of;
    vec![
        of("v1", "Node"),
        of("v1", "Namespace"),
        of("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        of("apiregistration.k8s.io/v1", "APIService"),
        of("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        of("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
        of("gateway.networking.k8s.io/v1", "GatewayClass"),
        of("cilium.io/v2", "CiliumLoadBalancerIPPool"),
        of("cilium.io/v2", "CiliumBGPClusterConfig"),
        of("cilium.io/v2", "CiliumBGPPeerConfig"),
        of("cilium.io/v2", "CiliumBGPNodeConfig"),
        of("cert-manager.io/v1", "ClusterIssuer"),
        of("external-secrets.io/v1", "ClusterSecretStore"),
        of("external-secrets.io/v1", "ClusterExternalSecret"),
    ]
}

/// Namespaced kinds with readiness, and their server-side filter.
fn of_namespaces() -> Vec<Selection> {
    let of = Selection::of;
    vec![
        of("apps/v1", "Deployment"),
        of("apps/v1", "DaemonSet"),
        of("apps/v1", "StatefulSet"),
        of("batch/v1", "Job"),
        // Workloads report running pods that are not ready.
        of("v1", "Pod").with_fields("status.phase!=Running,status.phase!=Succeeded"),
        of("v1", "Pod").labelled(cilium::MESH_SERVER),
        of("v1", "PersistentVolumeClaim"),
        of("v1", "Service"),
        of("v1", "Secret")
            .labelled("owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"),
        of("source.toolkit.fluxcd.io/v1", "GitRepository"),
        of("source.toolkit.fluxcd.io/v1", "OCIRepository"),
        of("source.toolkit.fluxcd.io/v1", "HelmRepository"),
        of("source.toolkit.fluxcd.io/v1", "HelmChart"),
        of("source.toolkit.fluxcd.io/v1", "Bucket"),
        of("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        of("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        of("fluxcd.controlplane.io/v1", "FluxInstance"),
        of("gateway.networking.k8s.io/v1", "Gateway"),
        of("gateway.networking.k8s.io/v1", "HTTPRoute"),
        of("fluxcd.controlplane.io/v1", "ResourceSet"),
        of("cert-manager.io/v1", "Certificate"),
        of("cert-manager.io/v1", "Issuer"),
        of("external-secrets.io/v1", "ExternalSecret"),
        of("external-secrets.io/v1", "SecretStore"),
        of("external-secrets.io/v1alpha1", "PushSecret"),
        of("ceph.rook.io/v1", "CephCluster"),
        of("ceph.rook.io/v1", "CephBlockPool"),
        of("ceph.rook.io/v1", "CephFilesystem"),
        of("ceph.rook.io/v1", "CephObjectStore"),
        of("objectbucket.io/v1alpha1", "ObjectBucketClaim"),
        of("postgresql.cnpg.io/v1", "Cluster"),
    ]
}

/// Finds the symptoms, and their root causes.
pub async fn examine(cluster: &Cluster, scope: &Scope, mut budget: Budget) -> Examination {
    let mut scene = Scene::at(jiff::Timestamp::now());
    let objects = match scope {
        Scope::Objects(objects) => objects.clone(),
        Scope::Whole => {
            let everywhere = [of_the_cluster(), of_namespaces()].concat();
            let mut found = find_unready(cluster, &mut scene, everywhere).await;
            found.extend(silent_nodes(cluster, &mut scene).await);
            found
        }
        Scope::Namespaces(namespaces) => {
            let themselves = namespaces.iter().map(|name| ObjectRef::cluster_scoped("v1", "Namespace", name));
            let mut found: Vec<ObjectRef> = themselves.collect();
            for namespace in namespaces {
                let within = of_namespaces().into_iter().map(|kind| kind.within(namespace)).collect();
                found.extend(find_unready(cluster, &mut scene, within).await);
            }
            found
        }
    };
    // Until now it was only listed.
    let unseen = scene.gaps().count();
    let found = explain_from(cluster, &mut scene, &Symptoms { objects, refusal: None }, &mut budget).await;
    Examination { unseen, ..found }
}

/// Nodes that are still Ready, but have stopped reporting.
async fn silent_nodes(cluster: &Cluster, scene: &mut Scene) -> Vec<ObjectRef> {
    let heartbeats = readiness::heartbeats();
    match cluster.list_matching(&heartbeats, |_| true).await {
        Ok(leases) => {
            let silent = readiness::silent(&leases);
            scene.add_list(heartbeats, leases);
            silent.keys().map(|node| ObjectRef::cluster_scoped("v1", "Node", node)).collect()
        }
        Err(failure) => {
            scene.add_failure(Question::List(heartbeats), failure.to_string());
            Vec::new()
        }
    }
}

/// Lists kinds, and keeps possible symptoms. Healthy objects are dropped immediately.
async fn find_unready(cluster: &Cluster, scene: &mut Scene, kinds: Vec<Selection>) -> Vec<ObjectRef> {
    let listed: Vec<(Selection, bootstrapper_core::failure::Result<Vec<Object>>)> = stream::iter(kinds)
        .map(|kind| async move {
            let found = cluster.list_matching(&kind, may_be_a_symptom).await;
            (kind, found)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut symptoms = Vec::new();
    for (kind, found) in listed {
        match found {
            Ok(objects) => {
                symptoms.extend(objects.iter().map(ObjectRef::of));
                for object in objects {
                    scene.add(object);
                }
            }
            Err(failure) => scene.add_failure(Question::List(kind), failure.to_string()),
        }
    }
    symptoms
}

/// Problems that the status does not show are left to the rules: a webhook's endpoints, an established
/// session without advertisements.
fn may_be_a_symptom(object: &Object) -> bool {
    let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
    let is_told_by_others = matches!(
        kind,
        "ValidatingWebhookConfiguration"
            | "MutatingWebhookConfiguration"
            | "CiliumBGPNodeConfig"
            | "CiliumBGPPeerConfig"
            | "HTTPRoute"
            | "Gateway"
    ) || kind == "Secret"
        // It is ready even if it cannot reach some clusters.
        || cilium::is_mesh_server(object);
    // A node may be ready and cordoned, or have pressure.
    let is_ill = (kind == "Node" && bootstrapper_diagnosis::is_node_ill(object))
        // Rook calls a cluster ready whose health Ceph calls an error.
        || bootstrapper_diagnosis::is_ceph_ill(object);
    is_told_by_others || is_ill || !readiness::verdict(object).is_ready()
}
