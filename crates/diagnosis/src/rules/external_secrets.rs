//! external-secrets: Secrets that are not synced, and stores that are not ready.

use super::facts::{line, list, namespace};
use crate::finding::{Code, Finding};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition};

pub(super) const CODES: &[&Code] = &[&NOT_SYNCED, &STORE, &NOT_MADE];

pub(super) static NOT_SYNCED: Code = Code {
    code: "BS-SEC-001",
    title: "A secret cannot be synced with its store",
    why: "The store does not have the key or property, rejects the credentials, or the target Secret belongs to another object",
    tell: "The condition Ready of the ExternalSecret or PushSecret is False; its newest warning event has the store's message",
    fix: "compare `remoteRef.key` and `remoteRef.property` with the store; check which ExternalSecret owns the target",
};

pub(super) static STORE: Code = Code {
    code: "BS-SEC-002",
    title: "A secret store is not ready",
    why: "Its credentials are missing or wrong, or its server does not answer",
    tell: "The condition Ready of the SecretStore or ClusterSecretStore is False with InvalidProviderConfig",
    fix: "check the Secret with the store's credentials, its server's address, and whether the server trusts the cluster",
};

pub(super) static NOT_MADE: Code = Code {
    code: "BS-SEC-003",
    title: "An ExternalSecret does not create its Secret",
    why: "Its `target.creationPolicy` is Merge or None: it only writes to a Secret that exists",
    tell: "The Secret is missing, and an ExternalSecret with that target and policy exists",
    fix: "set `target.creationPolicy: Owner`, or declare what creates the Secret",
};

/// The stores that an object of external-secrets reads from or writes to.
pub(super) fn stores(id: &ObjectRef, object: &Object) -> Vec<ObjectRef> {
    let spec = &object.data["spec"];
    let spec = if spec["externalSecretSpec"].is_object() { &spec["externalSecretSpec"] } else { spec };
    let of_data =
        list(&spec["data"]).chain(list(&spec["dataFrom"])).map(|data| &data["sourceRef"]["storeRef"]);
    let references =
        std::iter::once(&spec["secretStoreRef"]).chain(of_data).chain(list(&spec["secretStoreRefs"]));
    let mut stores = Vec::new();
    for reference in references {
        let Some(name) = reference["name"].as_str() else { continue };
        let kind = reference["kind"].as_str().unwrap_or("SecretStore");
        let store = match (kind, namespace(id)) {
            ("ClusterSecretStore", _) => ObjectRef::cluster_scoped("external-secrets.io/v1", kind, name),
            ("SecretStore", namespace) if !namespace.is_empty() => {
                ObjectRef::namespaced("external-secrets.io/v1", kind, namespace, name)
            }
            _ => continue,
        };
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    stores
}

/// What external-secrets reports. The condition is a summary: the event has the reason.
pub(super) fn own(id: &ObjectRef, object: &Object, warning: Option<&str>) -> Option<Finding> {
    let failed = condition(object, "Ready").filter(Condition::is_false)?;
    let (code, what) = match id.kind.as_str() {
        "SecretStore" | "ClusterSecretStore" => (&STORE, "is not ready"),
        "PushSecret" => (&NOT_SYNCED, "cannot be written to its store"),
        _ => (&NOT_SYNCED, "cannot be synced"),
    };
    let said = warning.map_or_else(|| line(failed.message()), line);
    Some(Finding::new(code, format!("{what}: {said}")).evidence(line(&failed.describe())))
}
