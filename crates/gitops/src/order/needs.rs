//! The kinds that releases need before they can be installed, by their values.

use super::kinds::Kind;
use super::plugin::Cilium;
use super::value::{at, is_true};
use crate::Release;

/// CRDs that releases need because of their values: the chart (empty for any), the value that enables it (empty
/// for always), what it must be, and the kind.
const NEEDS: [(&str, &str, &str, (&str, &str)); 14] = [
    ("cilium", "hubble.tls.auto.method", "certmanager", CERTIFICATE),
    ("cilium", "clustermesh.apiserver.tls.auto.method", "certmanager", CERTIFICATE),
    ("cilium", "prometheus.serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("cilium", "operator.prometheus.serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("cilium", "hubble.metrics.serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("cilium", "envoy.prometheus.serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("coredns", "prometheus.monitor.enabled", "true", SERVICE_MONITOR),
    ("cert-manager", "prometheus.servicemonitor.enabled", "true", SERVICE_MONITOR),
    ("external-secrets", "serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("external-secrets", "webhook.certManager.enabled", "true", CERTIFICATE),
    ("flux-operator", "serviceMonitor.create", "true", SERVICE_MONITOR),
    ("spegel", "serviceMonitor.enabled", "true", SERVICE_MONITOR),
    ("rook-ceph-cluster", "", "", ("ceph.rook.io", "CephCluster")),
    ("flux-instance", "", "", ("fluxcd.controlplane.io", "FluxInstance")),
];

const CERTIFICATE: (&str, &str) = ("cert-manager.io", "Certificate");
const SERVICE_MONITOR: (&str, &str) = ("monitoring.coreos.com", "ServiceMonitor");

/// The kinds that a release needs, each with the value that requires it.
pub fn needs(release: &Release) -> impl Iterator<Item = (&'static str, Kind)> {
    // A chart that depends on Cilium needs the same as Cilium, by the values under its key.
    let (chart, values) = match Cilium::of(release) {
        Some(cilium) => ("cilium", cilium.values),
        None => (release.chart.name(), &release.values),
    };
    let is_so = move |path: &str, wanted: &str| {
        let value = at(values, path);
        // Agents have no metrics unless they are asked for, and then no monitor either.
        if chart == "cilium" && path.starts_with("prometheus.") && !is_true(at(values, "prometheus.enabled"))
        {
            return false;
        }
        wanted.is_empty() || value == wanted || (wanted == "true" && is_true(value))
    };
    NEEDS
        .iter()
        .filter(move |(of, value, wanted, _)| *of == chart && is_so(value, wanted))
        .map(|(_, value, _, (group, kind))| (*value, Kind::new(group, kind)))
}
