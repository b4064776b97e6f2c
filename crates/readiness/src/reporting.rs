//! Kinds of operators that say how they fare. Until one has, kstatus takes it for ready.

use super::conditions::{must_be_true, text};
use super::{Reason, Verdict};
use bootstrapper_core::object::Object;

/// Where a kind says that it is ready.
enum Said {
    /// In a condition that is true.
    Condition(&'static str),
    /// In a field of its status, in one word.
    Field(&'static str, &'static str),
}

/// By API group. Kinds that never say anything are not among them.
const KINDS: [(&str, &[&str], Said); 8] = [
    ("cert-manager.io", &["Certificate", "Issuer", "ClusterIssuer"], Said::Condition("Ready")),
    (
        "external-secrets.io",
        &["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore", "PushSecret"],
        Said::Condition("Ready"),
    ),
    ("postgresql.cnpg.io", &["Cluster"], Said::Condition("Ready")),
    ("kyverno.io", &["ClusterPolicy", "Policy"], Said::Condition("Ready")),
    ("monitoring.coreos.com", &["Prometheus", "Alertmanager"], Said::Condition("Available")),
    (
        "ceph.rook.io",
        &["CephCluster", "CephBlockPool", "CephFilesystem", "CephObjectStore"],
        Said::Field("phase", "ready"),
    ),
    ("dragonflydb.io", &["Dragonfly"], Said::Field("phase", "ready")),
    (
        "operator.victoriametrics.com",
        &["VMSingle", "VMCluster", "VMAgent", "VMAlert", "VMAlertmanager", "VLSingle", "VLogs"],
        Said::Field("updateStatus", "operational"),
    ),
];

fn not_yet(field: &str, text: String) -> Verdict {
    Verdict::not_yet(Reason::in_field(format!("status.{field}"), text))
}

/// What an object of such a kind says; ready if its kind is none of them.
pub(super) fn said(object: &Object, group: &str, kind: &str) -> Verdict {
    let found = KINDS.iter().find(|(own, kinds, _)| *own == group && kinds.contains(&kind));
    match found {
        None => Verdict::Ready,
        Some((_, _, Said::Condition(condition))) => must_be_true(object, condition),
        Some((_, _, Said::Field(field, ready))) => match text(&object.data["status"][*field]) {
            word if word.eq_ignore_ascii_case(ready) => Verdict::Ready,
            "" => not_yet(field, "its operator has not reported its state yet".to_owned()),
            word => not_yet(field, format!("is {word}")),
        },
    }
}
