//! The network comes first, and must not depend on anything that comes later.

use super::{Scene, at, each, is_true};
use crate::{Finding, Rule, Severity};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "proxy-replacement-without-host",
    severity: Severity::Warning,
    summary: "Cilium replaces kube-proxy without an API server address",
    why: "the agent connects to the API server through its Service, which without kube-proxy works only after the agent is running: it starts on no node",
    fix: "set k8sServiceHost and k8sServicePort in the values of Cilium (on Talos with KubePrism: localhost and 7445)",
    check: |rule, fleet| each(fleet, |scene| without_host(rule, scene)),
}];

fn without_host(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = scene.cilium() else { return Vec::new() };
    let value = |path: &str| at(cilium.values, path);
    let replacement = value("kubeProxyReplacement");
    if !(is_true(replacement) || replacement == "strict") {
        return Vec::new();
    }
    let host = value("k8sServiceHost").as_str().unwrap_or_default();
    let is_elsewhere =
        ["k8sServiceLookupConfigMapName", "k8s.apiServerURLs"].iter().any(|path| !value(path).is_null());
    let (field, message) = match host {
        "auto" => (
            "spec.values.k8sServiceHost",
            format!(
                "{} reads the API server's address from kubeadm's ConfigMap cluster-info (k8sServiceHost: auto), which other distributions do not have, and which is not available when rendering without a cluster",
                cilium.id
            ),
        ),
        "" if !is_elsewhere => (
            "spec.values.kubeProxyReplacement",
            format!("{} replaces kube-proxy, but has no k8sServiceHost", cilium.id),
        ),
        _ => return Vec::new(),
    };
    vec![scene.finding(rule, cilium.id, field, message)]
}
