//! The rules: the faults of an object of each kind, and what it waits for. One file per
//! area; each code is next to its rule.

mod api;
mod bgp;
mod bgp_log;
mod ceph;
mod certificates;
mod cilium;
mod containers;
mod conversion;
mod crashes;
mod dns;
mod external_secrets;
mod facts;
mod fitting;
mod flux;
mod gateway;
mod helm;
mod holders;
mod images;
mod issuance;
mod makers;
mod mesh;
mod namespaces;
mod nodes;
mod operators;
mod pods;
mod refusals;
mod runtime;
mod scheduling;
mod services;
mod unexplained;
mod volumes;
mod webhooks;
mod words;
mod workloads;

pub use bgp_log::{Ended, ended};
pub use ceph::is_ill as is_ceph_ill;
pub use nodes::is_ill as is_node_ill;
pub(super) use unexplained::is_vague;

use super::finding::{Code, Insight};
use super::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};

/// Every code, by family.
pub(super) const FAMILIES: &[(&str, &[&Code])] = &[
    ("Pods", pods::CODES),
    ("Images", images::CODES),
    ("Scheduling", scheduling::CODES),
    ("Nodes", nodes::CODES),
    ("Volumes", volumes::CODES),
    ("Workloads", workloads::CODES),
    ("The API server", refusals::CODES),
    ("Kinds, APIs and namespaces", api::CODES),
    ("Services and DNS", services::CODES),
    ("Certificates and clocks", certificates::CODES),
    ("Secret stores", external_secrets::CODES),
    ("Ceph", ceph::CODES),
    ("Operators", operators::CODES),
    ("Cilium", cilium::CODES),
    ("BGP", bgp::CODES),
    ("ClusterMesh", mesh::CODES),
    ("Gateway API", gateway::CODES),
    ("Flux", flux::CODES),
    ("Helm", helm::CODES),
    ("Other", unexplained::CODES),
];

/// The cause of an operation of a run that failed: the API server's rejection, or a chart or source.
pub(super) fn operation(inquiry: &Inquiry<'_>, what: &str, said: &str) -> Insight {
    refusals::refusal(inquiry, said).or(|| flux::chart_failed(what, said))
}

/// Inspects an object that does not exist: what should have made it.
pub(super) fn absent(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Insight {
    makers::absent(inquiry, id)
}

/// Inspects an object.
pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let insight = match (id.group(), id.kind.as_str()) {
        ("", "Pod") => pods::inspect(inquiry, id, object),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => {
            workloads::inspect(inquiry, id, object)
        }
        ("batch", "Job") => workloads::job(inquiry, id, object),
        ("", "Node") => nodes::inspect(inquiry, id, object),
        ("", "PersistentVolumeClaim") => volumes::inspect(inquiry, id, object),
        ("", "Namespace") => namespaces::inspect(inquiry, id, object),
        ("", "Service") => services::inspect(inquiry, id, object),
        ("", "Secret") => helm::inspect(inquiry, object).or(|| makers::behind(inquiry, id)),
        ("", "ConfigMap") => makers::behind(inquiry, id),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => api::definition(inquiry, object),
        ("apiregistration.k8s.io", "APIService") => api::service(inquiry, object),
        ("admissionregistration.k8s.io", _) => webhooks::inspect(inquiry, object),
        ("gateway.networking.k8s.io", _) => gateway::inspect(inquiry, id, object),
        ("cilium.io", kind) if kind.starts_with("CiliumBGP") => bgp::inspect(inquiry, id, object),
        ("cilium.io", "CiliumLoadBalancerIPPool") => cilium::pool(object),
        (group, _) if group.ends_with("fluxcd.io") || group == "fluxcd.controlplane.io" => {
            flux::inspect(inquiry, id, object)
        }
        _ => operators::inspect(inquiry, id, object),
    };
    insight
        .or(|| namespaces::held_by_finalizers(inquiry, id, object))
        .or(|| unexplained::inspect(inquiry, id, object))
}
