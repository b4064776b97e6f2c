//! Why a Service has no address, and a claim no volume.

use super::evidence::{Evidence, cause, text};
use crate::engine::Cause;
use crate::object::ObjectRef;

pub(super) fn explain(evidence: &Evidence) -> Option<Cause> {
    let id = ObjectRef::of(&evidence.subject);
    let path = vec![id.to_string()];
    match id.kind.as_str() {
        "Service" => {
            let conditions = evidence.subject.data["status"]["conditions"].as_array();
            let refused =
                conditions.into_iter().flatten().find(|one| one["type"] == "cilium.io/IPAMRequestSatisfied");
            let why = refused.map_or("no address pool has answered", |one| text(&one["message"]));
            Some(cause(
                "BS-KUB-001",
                format!("{id} gets no load-balancer address: {why}"),
                path,
                &["declare a CiliumLoadBalancerIPPool that selects it, with addresses that are free"],
            ))
        }
        "PersistentVolumeClaim" => Some(cause(
            "BS-KUB-002",
            format!("{id} gets no volume"),
            path,
            &["check that its StorageClass is there, and that the storage provider runs"],
        )),
        _ => None,
    }
}
