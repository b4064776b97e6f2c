//! The Kubernetes distribution of a cluster, and its requirements for charts.
//!
//! Sources: Talos' guides "Deploying Cilium", "Process capabilities", "Run Spegel" and "KubePrism"; k3s' agent folder
//! (`/var/lib/rancher/k3s/agent`) and Spegel's page on compatibility; kubeadm's `constants.AnnotationKubeadmCRISocket`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Release;
use super::order::{Cilium, at};
use bootstrapper_core::object::{Object, ObjectRef};

/// A distribution of Kubernetes for bare metal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Talos Linux.
    Talos,
    /// kubeadm, on any Linux with containerd.
    Kubeadm,
    /// k3s.
    K3s,
}

/// A value of a release that does not fit the distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The HelmRelease.
    pub release: ObjectRef,
    /// The value, as a path within `spec.values`.
    pub value: String,
    /// The consequence.
    pub why: &'static str,
    /// A valid value, as YAML.
    pub fits: &'static str,
    /// Whether it breaks the network.
    pub stops_network: bool,
}

/// A distribution's requirement for a chart's value.
struct Need {
    distribution: Distribution,
    chart: &'static str,
    value: &'static str,
    is_met: fn(&Value) -> bool,
    why: &'static str,
    fits: &'static str,
}

/// The agent's capabilities in Cilium's chart, without SYS_MODULE.
const AGENT: &str = "[CHOWN, KILL, NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN, SYS_RESOURCE, DAC_OVERRIDE, FOWNER, SETGID, SETUID, SYSLOG]";

const NEEDS: &[Need] = &[
    Need {
        distribution: Distribution::Talos,
        chart: "cilium",
        value: "securityContext.capabilities.ciliumAgent",
        is_met: |values| has_no_module(values, "ciliumAgent"),
        why: "Talos grants SYS_MODULE to no container: the agent fails to start (unable to apply caps)",
        fits: AGENT,
    },
    Need {
        distribution: Distribution::Talos,
        chart: "cilium",
        value: "securityContext.capabilities.cleanCiliumState",
        is_met: |values| has_no_module(values, "cleanCiliumState"),
        why: "Talos grants SYS_MODULE to no container: the init container fails to start (unable to apply caps)",
        fits: "[NET_ADMIN, SYS_ADMIN, SYS_RESOURCE]",
    },
    Need {
        distribution: Distribution::Talos,
        chart: "cilium",
        value: "cgroup.autoMount.enabled",
        is_met: |values| at(values, "cgroup.autoMount.enabled") == false,
        why: "Talos mounts cgroup2 itself, and has no shell for the init container that would mount it",
        fits: "false",
    },
    Need {
        distribution: Distribution::Talos,
        chart: "cilium",
        value: "cgroup.hostRoot",
        is_met: |values| at(values, "cgroup.hostRoot") == "/sys/fs/cgroup",
        why: "Talos mounts cgroup2 at /sys/fs/cgroup: from elsewhere, pods do not reach Services",
        fits: "/sys/fs/cgroup",
    },
    Need {
        distribution: Distribution::Talos,
        chart: "spegel",
        value: "spegel.containerdRegistryConfigPath",
        is_met: |values| at(values, "spegel.containerdRegistryConfigPath") == "/etc/cri/conf.d/hosts",
        why: "containerd of Talos reads mirrors from /etc/cri/conf.d/hosts: Spegel exits with any other path",
        fits: "/etc/cri/conf.d/hosts",
    },
    Need {
        distribution: Distribution::Kubeadm,
        chart: "cilium",
        value: "k8sServiceHost",
        is_met: has_no_kubeprism,
        why: "localhost:7445 is KubePrism, which only Talos has: no agent reaches the API server",
        fits: "the address of the API server",
    },
    Need {
        distribution: Distribution::Kubeadm,
        chart: "spegel",
        value: "spegel.containerdRegistryConfigPath",
        is_met: |values| !at(values, "spegel.containerdRegistryConfigPath").as_str().is_some_and(is_foreign),
        why: "containerd reads mirrors from its config_path, usually /etc/containerd/certs.d: Spegel exits with any other path",
        fits: "/etc/containerd/certs.d",
    },
    Need {
        distribution: Distribution::K3s,
        chart: "cilium",
        value: "k8sServiceHost",
        is_met: has_no_kubeprism,
        why: "localhost:7445 is KubePrism, which only Talos has: no agent reaches the API server",
        fits: "the address of the API server, or 127.0.0.1 with k8sServicePort 6444",
    },
    Need {
        distribution: Distribution::K3s,
        chart: "spegel",
        value: "spegel.containerdSock",
        is_met: |values| at(values, "spegel.containerdSock") == "/run/k3s/containerd/containerd.sock",
        why: "containerd of k3s listens elsewhere: Spegel does not start",
        fits: "/run/k3s/containerd/containerd.sock",
    },
    Need {
        distribution: Distribution::K3s,
        chart: "spegel",
        value: "spegel.containerdRegistryConfigPath",
        is_met: |values| {
            at(values, "spegel.containerdRegistryConfigPath")
                == "/var/lib/rancher/k3s/agent/etc/containerd/certs.d"
        },
        why: "containerd of k3s reads mirrors from its own folder: Spegel exits with any other path",
        fits: "/var/lib/rancher/k3s/agent/etc/containerd/certs.d",
    },
];

impl Distribution {
    /// The distribution that a node reports, if any.
    pub fn of_node(node: &Object) -> Option<Self> {
        let info = &node.data["status"]["nodeInfo"];
        let says = |field: &str| info[field].as_str().unwrap_or_default();
        let has_kubeadms_mark = node
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|all| all.contains_key("kubeadm.alpha.kubernetes.io/cri-socket"));
        if says("osImage").starts_with("Talos") {
            Some(Self::Talos)
        } else if says("kubeletVersion").contains("+k3s") {
            Some(Self::K3s)
        } else {
            has_kubeadms_mark.then_some(Self::Kubeadm)
        }
    }

    /// Its name, as its users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Talos => "Talos",
            Self::Kubeadm => "kubeadm",
            Self::K3s => "k3s",
        }
    }

    /// The values of releases that do not fit it.
    pub fn unfit(self, releases: &[Release]) -> Vec<Unfit> {
        let needs = NEEDS.iter().filter(|need| need.distribution == self);
        let unmet = needs.flat_map(|need| {
            let of_chart =
                releases.iter().filter_map(|release| Some((release, values_of(release, need.chart)?)));
            of_chart.filter(|(_, values)| !(need.is_met)(values)).map(|(release, _)| Unfit {
                release: release.id.clone(),
                // A chart that depends on Cilium has Cilium's values under its name.
                value: if release.chart.name() == need.chart {
                    need.value.to_owned()
                } else {
                    format!("{}.{}", need.chart, need.value)
                },
                why: need.why,
                fits: need.fits,
                stops_network: need.chart == "cilium",
            })
        });
        unmet.collect()
    }
}

/// The values for a chart, if a release installs it, or a chart that depends on Cilium.
fn values_of<'a>(release: &'a Release, chart: &str) -> Option<&'a Value> {
    if chart == "cilium" {
        return Cilium::of(release).map(|cilium| cilium.values);
    }
    (release.chart.name() == chart).then_some(&release.values)
}

/// Whether a container of Cilium lacks the capability to load kernel modules. Without a list, the chart's
/// default applies, which has it. A privileged container gets what the distribution grants.
fn has_no_module(values: &Value, container: &str) -> bool {
    let context = at(values, "securityContext");
    let list = context["capabilities"][container].as_array();
    let asks = |one: &Value| {
        let name = one.as_str().unwrap_or_default().to_ascii_uppercase();
        matches!(name.trim_start_matches("CAP_"), "SYS_MODULE" | "ALL")
    };
    context["privileged"] == true || list.is_some_and(|list| !list.iter().any(asks))
}

fn has_no_kubeprism(values: &Value) -> bool {
    let port = at(values, "k8sServicePort");
    let is_port = port == 7445 || port == "7445" || port == 7445.0;
    !(is_port && matches!(at(values, "k8sServiceHost").as_str(), Some("localhost" | "127.0.0.1")))
}

/// Whether a path belongs to another distribution.
fn is_foreign(path: &str) -> bool {
    path.starts_with("/etc/cri/") || path.starts_with("/var/lib/rancher/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unfit(distribution: Distribution, chart: &str, values: &Value) -> Vec<&'static str> {
        let needs = NEEDS.iter().filter(|need| need.distribution == distribution && need.chart == chart);
        needs.filter(|need| !(need.is_met)(values)).map(|need| need.value).collect()
    }

    #[test]
    fn what_a_distribution_asks_of_cilium() {
        let none = json!({});
        let all = [
            "securityContext.capabilities.ciliumAgent",
            "securityContext.capabilities.cleanCiliumState",
            "cgroup.autoMount.enabled",
            "cgroup.hostRoot",
        ];
        assert_eq!(unfit(Distribution::Talos, "cilium", &none), all);
        let fits = json!({
            "securityContext": {"capabilities": {"ciliumAgent": ["NET_ADMIN"], "cleanCiliumState": ["NET_ADMIN"]}},
            "cgroup": {"autoMount": {"enabled": false}, "hostRoot": "/sys/fs/cgroup"},
            "k8sServiceHost": "localhost", "k8sServicePort": 7445,
        });
        assert!(unfit(Distribution::Talos, "cilium", &fits).is_empty());
        let mut with_module = fits.clone();
        with_module["securityContext"]["capabilities"]["ciliumAgent"] = json!(["NET_ADMIN", "SYS_MODULE"]);
        assert_eq!(unfit(Distribution::Talos, "cilium", &with_module), all[..1]);
        let privileged = json!({"securityContext": {"privileged": true}, "cgroup": fits["cgroup"]});
        assert!(unfit(Distribution::Talos, "cilium", &privileged).is_empty());
        for other in [Distribution::Kubeadm, Distribution::K3s] {
            assert_eq!(unfit(other, "cilium", &fits), ["k8sServiceHost"]);
            assert!(unfit(other, "cilium", &none).is_empty());
        }
    }

    #[test]
    fn where_containerd_of_a_distribution_is() {
        let path = |path: &str| json!({"spegel": {"containerdRegistryConfigPath": path}});
        assert!(unfit(Distribution::Talos, "spegel", &path("/etc/cri/conf.d/hosts")).is_empty());
        assert_eq!(unfit(Distribution::Talos, "spegel", &json!({})).len(), 1);
        assert_eq!(unfit(Distribution::Kubeadm, "spegel", &path("/etc/cri/conf.d/hosts")).len(), 1);
        assert!(unfit(Distribution::Kubeadm, "spegel", &json!({})).is_empty());
        assert_eq!(unfit(Distribution::K3s, "spegel", &json!({})).len(), 2);
    }

    #[test]
    fn a_node_says_what_it_runs() {
        let node = |metadata: Value, info: Value| -> Object {
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"nodeInfo": info}})).unwrap()
        };
        let plain = json!({"name": "a"});
        let of = |info: Value| Distribution::of_node(&node(plain.clone(), info));
        assert_eq!(of(json!({"osImage": "Talos (v1.13.0)"})), Some(Distribution::Talos));
        assert_eq!(of(json!({"kubeletVersion": "v1.36.3+k3s1"})), Some(Distribution::K3s));
        assert_eq!(of(json!({"osImage": "Debian GNU/Linux 13", "kubeletVersion": "v1.36.3"})), None);
        let kubeadm = json!({"name": "a", "annotations": {"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock"}});
        assert_eq!(Distribution::of_node(&node(kubeadm, json!({}))), Some(Distribution::Kubeadm));
    }
}
