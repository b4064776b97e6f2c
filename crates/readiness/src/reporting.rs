//! Kinds whose operators report readiness. Until one has, kstatus reports it ready.

use super::conditions::{must_be_true, text};
use super::{Reason, Verdict};
use bootstrapper_core::object::Object;

/// Where a kind reports readiness.
enum Said {
    /// A condition that must be true.
    Condition(&'static str),
    /// A status field with one of these words.
    Field(&'static str, &'static [&'static str]),
}

/// By API group. Kinds that never report anything are not included.
const KINDS: [(&str, &[&str], Said); 10] = [
    (
        "cert-manager.io",
        &["Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"],
        Said::Condition("Ready"),
    ),
    ("acme.cert-manager.io", &["Order", "Challenge"], Said::Field("state", &["valid"])),
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
        // A cluster outside of Kubernetes is Connected.
        Said::Field("phase", &["ready", "connected"]),
    ),
    ("objectbucket.io", &["ObjectBucketClaim"], Said::Field("phase", &["bound"])),
    ("dragonflydb.io", &["Dragonfly"], Said::Field("phase", &["ready"])),
    (
        "operator.victoriametrics.com",
        &["VMSingle", "VMCluster", "VMAgent", "VMAlert", "VMAlertmanager", "VLSingle", "VLogs"],
        Said::Field("updateStatus", &["operational"]),
    ),
];

fn not_yet(field: &str, text: String) -> Verdict {
    Verdict::not_yet(Reason::in_field(format!("status.{field}"), text))
}

/// The verdict for an object of such a kind; ready if its kind is not included.
pub(super) fn reported(object: &Object, group: &str, kind: &str) -> Verdict {
    let found = KINDS.iter().find(|(own, kinds, _)| *own == group && kinds.contains(&kind));
    match found {
        None => Verdict::Ready,
        Some((_, _, Said::Condition(condition))) => must_be_true(object, condition),
        Some((_, _, Said::Field(field, ready))) => match text(&object.data["status"][*field]) {
            word if ready.iter().any(|ready| word.eq_ignore_ascii_case(ready)) => Verdict::Ready,
            "" => not_yet(field, "its operator has not reported its state yet".to_owned()),
            word => not_yet(field, format!("is {word}")),
        },
    }
}
