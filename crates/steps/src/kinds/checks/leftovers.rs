//! What a distribution, an installer or an earlier life of the cluster has left, and what is declared does not get
//! along with. Pure, except for the lists.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::{Findings, Subject, problem};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::words::count;
use bootstrapper_gitops::Release;
use bootstrapper_gitops::order::{Cilium, DNS, at, is_true};
use bootstrapper_readiness::{number, text};

/// Network plugins that set up the network of all pods, by a part of their `DaemonSet`'s name. Those that only add
/// to another one (Multus, Istio's and Linkerd's) are none.
const PLUGINS: [(&str, &str); 11] = [
    ("flannel", "Flannel"),
    ("calico-node", "Calico"),
    ("canal", "Canal"),
    ("kindnet", "kindnet"),
    ("weave-net", "Weave Net"),
    ("antrea-agent", "Antrea"),
    ("kube-router", "kube-router"),
    ("kube-ovn-cni", "Kube-OVN"),
    ("ovnkube-node", "OVN-Kubernetes"),
    ("aws-node", "the Amazon VPC plugin"),
    ("azure-cni", "the Azure plugin"),
];
/// What k3s' own Flannel writes on a node.
const FLANNEL_OF_K3S: &str = "flannel.alpha.coreos.com/backend-type";
/// The arguments that a k3s server was started with, as JSON.
const ARGUMENTS_OF_K3S: &str = "k3s.io/node-args";
/// How many seconds the controller may take to give a node its range.
const JOINING: i64 = 30;
/// The pods of a node, if its kubelet does not say how many it takes.
const PODS: u32 = 110;

/// Problems, and what is only worth a warning: the bootstrap goes on beside it.
pub(super) async fn check(subject: &Subject, nodes: &[Object]) -> Result<Findings> {
    let cilium = Cilium::declared(&subject.declared);
    let of = |api_version, kind| Selection::of(api_version, kind);
    let sets = subject.cluster.list(&of("apps/v1", "DaemonSet")).await?;
    let mut findings = Findings::default();
    if let Some(cilium) = cilium {
        findings.warn(another_proxy(cilium.values, nodes, &sets));
        findings.warn(another_plugin(cilium.values, nodes, &sets));
        findings.look(pod_ranges(cilium.values, nodes));
        findings.warn(too_small(cilium.values, nodes));
    }
    let requests = subject.cluster.list(&of("certificates.k8s.io/v1", "CertificateSigningRequest")).await?;
    findings.warn(unapproved(&requests, &subject.declared.releases));
    let dns = subject.declared.releases.iter().find(|release| release.chart.name() == DNS);
    if let Some(dns) = dns {
        let services = subject.cluster.list(&of("v1", "Service")).await?;
        let taken = dns_address(dns, &services).map(|failure| {
            match subject.declared.place(&dns.id, "spec.values.service.clusterIP") {
                Some(place) => failure.at(place),
                None => failure,
            }
        });
        findings.look(taken);
    }
    Ok(findings)
}

/// kube-proxy, beside a Cilium that replaces it.
fn another_proxy(values: &Value, nodes: &[Object], sets: &[Object]) -> Option<String> {
    let replaces =
        is_true(at(values, "kubeProxyReplacement")) || at(values, "kubeProxyReplacement") == "strict";
    if !replaces {
        return None;
    }
    let runs = sets.iter().find(|set| {
        let id = ObjectRef::of(set);
        id.name.starts_with("kube-proxy") && number(&set.data["status"]["desiredNumberScheduled"]) > 0
    });
    let advice = "Cilium replaces it (kubeProxyReplacement), and both write rules for every Service";
    if let Some(set) = runs {
        return Some(format!(
            "{} runs: {advice}; delete it, with its ConfigMap and the rules that it left (kube-proxy --cleanup)",
            ObjectRef::of(set)
        ));
    }
    let has_it = |node: &&Object| {
        let arguments = annotation(node, ARGUMENTS_OF_K3S);
        arguments.contains("\"server\"") && !arguments.contains("disable-kube-proxy")
    };
    let node = nodes.iter().find(has_it)?;
    let name = node.metadata.name.as_deref().unwrap_or_default();
    Some(format!("k3s on node {name} runs kube-proxy: {advice}; start its servers with --disable-kube-proxy"))
}

/// Another network plugin that sets up the network of all pods.
fn another_plugin(values: &Value, nodes: &[Object], sets: &[Object]) -> Option<String> {
    let is_chained = !matches!(text(at(values, "cni.chainingMode")), "" | "none");
    if is_chained {
        return None;
    }
    let found = sets.iter().find_map(|set| {
        let id = ObjectRef::of(set);
        let (_, name) = PLUGINS.iter().find(|(part, _)| id.name.contains(part))?;
        (number(&set.data["status"]["desiredNumberScheduled"]) > 0).then(|| format!("{name} runs ({id})"))
    });
    let of_k3s = || {
        let node = nodes.iter().find(|node| !annotation(node, FLANNEL_OF_K3S).is_empty())?;
        let name = node.metadata.name.as_deref().unwrap_or_default();
        Some(format!("Flannel runs on node {name} (k3s: --flannel-backend=none disables it)"))
    };
    found.or_else(of_k3s).map(|who| {
        format!("{who} beside the declared Cilium: pods that start before Cilium stay in its network; remove it and its files in /etc/cni/net.d, and restart those pods")
    })
}

/// Nodes without a range of pod addresses, where Cilium takes it from Kubernetes.
fn pod_ranges(values: &Value, nodes: &[Object]) -> Option<Failure> {
    if text(at(values, "ipam.mode")) != "kubernetes" {
        return None;
    }
    let without: Vec<&str> = nodes
        .iter()
        .filter(|node| ranges(node).is_empty() && !is_young(node))
        .filter_map(|node| node.metadata.name.as_deref())
        .collect();
    if without.is_empty() {
        return None;
    }
    let (some, all) = (without.len(), nodes.len());
    let failure =
        problem(format!("{some} of {} without a pod range: {}", count(all, "node"), without.join(", ")))
            .because("Cilium takes it from Kubernetes (ipam.mode: kubernetes), and its agents wait for it");
    Some(if some == all {
        failure.hint("start kube-controller-manager with --allocate-node-cidrs and --cluster-cidr, or set ipam.mode to cluster-pool")
    } else {
        failure.hint("the cluster's pod range is used up (event CIDRNotAvailable): it needs a larger --cluster-cidr, or smaller ranges per node (--node-cidr-mask-size)")
    })
}

/// Whether a node joined just now: its range follows within seconds.
fn is_young(node: &Object) -> bool {
    let joined = node.metadata.creation_timestamp.as_ref();
    joined.is_some_and(|joined| jiff::Timestamp::now().duration_since(joined.0).as_secs() < JOINING)
}

/// A node that takes more pods than its range has addresses.
fn too_small(values: &Value, nodes: &[Object]) -> Option<String> {
    if text(at(values, "ipam.mode")) != "kubernetes" {
        return None;
    }
    let small = nodes.iter().find_map(|node| {
        let range = ranges(node).into_iter().find(|range| range.addr().is_ipv4())?;
        // Not for pods: the range itself, its broadcast address, and the node's own.
        let addresses = range.hosts().count().saturating_sub(1);
        let pods = text(&node.data["status"]["capacity"]["pods"]).parse().unwrap_or(PODS);
        (u32::try_from(addresses).unwrap_or(u32::MAX) < pods)
            .then(|| (node.metadata.name.clone().unwrap_or_default(), range, addresses, pods))
    });
    small.map(|(node, range, addresses, pods)| {
        format!(
            "node {node} takes {pods} pods, and its pod range {range} has {addresses} addresses; \
             lower the kubelet's maxPods, or give nodes larger ranges (--node-cidr-mask-size)"
        )
    })
}

fn ranges(node: &Object) -> Vec<IpNet> {
    let all = node.data["spec"]["podCIDRs"].as_array().into_iter().flatten();
    all.filter_map(|range| range.as_str()?.parse().ok()).collect()
}

/// Certificates of kubelets that nobody has approved: without them there are no logs, and no metrics.
fn unapproved(requests: &[Object], releases: &[Release]) -> Option<String> {
    let approves = |release: &Release| release.chart.name().contains("csr-approver");
    let is_open = |request: &&Object| {
        let is_of_a_kubelet = matches!(
            text(&request.data["spec"]["signerName"]),
            "kubernetes.io/kubelet-serving" | "kubernetes.io/kube-apiserver-client-kubelet"
        );
        let has_none = |field: &str| request.data["status"][field].as_array().is_none_or(Vec::is_empty);
        is_of_a_kubelet && has_none("conditions") && request.data["status"]["certificate"].is_null()
    };
    let open: Vec<&Object> = requests.iter().filter(is_open).collect();
    let first = open.first().filter(|_| !releases.iter().any(approves))?;
    let who = text(&first.data["spec"]["username"]).trim_start_matches("system:node:").to_owned();
    let one = first.metadata.name.as_deref().unwrap_or_default();
    Some(format!(
        "{} of kubelets pending ({who}, …): without a serving certificate, logs, exec and metrics of its pods fail; \
         approve them (kubectl certificate approve {one}), or declare kubelet-csr-approver",
        count(open.len(), "certificate request")
    ))
}

/// Another Service that has the address of the declared DNS.
fn dns_address(dns: &Release, services: &[Object]) -> Option<Failure> {
    let address = at(&dns.values, "service.clusterIP").as_str()?;
    address.parse::<IpAddr>().ok()?;
    let own = [at(&dns.values, "service.name"), at(&dns.values, "fullnameOverride")];
    let own = own.into_iter().find_map(|name| name.as_str().filter(|name| !name.is_empty()));
    let default = if dns.release_name.contains(DNS) {
        dns.release_name.clone()
    } else {
        format!("{}-{DNS}", dns.release_name)
    };
    let own = own.map_or(default, str::to_owned);
    let holder = services.iter().find(|service| {
        let spec = &service.data["spec"];
        let all = spec["clusterIPs"].as_array().into_iter().flatten();
        spec["clusterIP"] == address || all.into_iter().any(|one| one == address)
    })?;
    let id = ObjectRef::of(holder);
    let is_own = id.namespace.as_deref() == Some(dns.release_namespace.as_str()) && id.name == own;
    if is_own || annotation(holder, "meta.helm.sh/release-name") == dns.release_name {
        return None;
    }
    Some(
        problem(format!("{id} has the address {address}, which {} declares for Service {}/{own}", dns.id, dns.release_namespace))
            .because("the API server refuses a second Service with it: the cluster's own DNS was left by its installer")
            .hint(format!("name the declared Service {} (values `service.name`), which takes it over, or delete {id} and its Deployment right before the bootstrap", id.name)),
    )
}

fn annotation<'a>(object: &'a Object, name: &str) -> &'a str {
    let all = object.metadata.annotations.as_ref();
    all.and_then(|all| all.get(name)).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn node(more: &Value, annotations: &Value) -> Object {
        object(
            &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "annotations": annotations}, "spec": more, "status": {"capacity": {"pods": "110"}}}),
        )
    }

    fn set(name: &str, pods: i64) -> Object {
        object(
            &json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "kube-system"}, "status": {"desiredNumberScheduled": pods}}),
        )
    }

    #[test]
    fn kube_proxy_is_left_only_where_it_is_replaced_and_runs() {
        let (replaces, beside) =
            (json!({"kubeProxyReplacement": true}), json!({"kubeProxyReplacement": false}));
        let told = another_proxy(&replaces, &[], &[set("kube-proxy", 3)]).unwrap();
        assert!(told.starts_with("DaemonSet kube-system/kube-proxy runs: Cilium replaces it"), "{told}");
        assert_eq!(another_proxy(&beside, &[], &[set("kube-proxy", 3)]), None);
        assert_eq!(another_proxy(&replaces, &[], &[set("kube-proxy", 0), set("cilium", 3)]), None);
        let k3s = |arguments: &str| node(&json!({}), &json!({ARGUMENTS_OF_K3S: arguments}));
        assert!(another_proxy(&replaces, &[k3s(r#"["server"]"#)], &[]).is_some());
        assert_eq!(another_proxy(&replaces, &[k3s(r#"["server","--disable-kube-proxy"]"#)], &[]), None);
        assert_eq!(another_proxy(&replaces, &[k3s(r#"["agent"]"#)], &[]), None);
    }

    #[test]
    fn another_plugin_is_one_for_all_pods() {
        let plain = json!({});
        let told = another_plugin(&plain, &[], &[set("kube-flannel-ds", 3)]).unwrap();
        assert!(told.starts_with("Flannel runs (DaemonSet kube-system/kube-flannel-ds) beside"), "{told}");
        for other in ["kube-multus-ds", "istio-cni-node", "cilium", "node-exporter"] {
            assert_eq!(another_plugin(&plain, &[], &[set(other, 3)]), None, "{other}");
        }
        assert_eq!(
            another_plugin(&json!({"cni": {"chainingMode": "generic-veth"}}), &[], &[set("calico-node", 3)]),
            None
        );
        let k3s = node(&json!({}), &json!({FLANNEL_OF_K3S: "vxlan"}));
        assert!(another_plugin(&plain, &[k3s], &[]).unwrap().contains("--flannel-backend=none"));
    }

    #[test]
    fn a_node_needs_a_range_that_fits_its_pods() {
        let of_kubernetes = json!({"ipam": {"mode": "kubernetes"}});
        let (with, without) =
            (node(&json!({"podCIDRs": ["10.42.0.0/24"]}), &json!({})), node(&json!({}), &json!({})));
        assert!(pod_ranges(&of_kubernetes, std::slice::from_ref(&with)).is_none());
        assert!(
            pod_ranges(&json!({"ipam": {"mode": "cluster-pool"}}), std::slice::from_ref(&without)).is_none()
        );
        let none = pod_ranges(&of_kubernetes, std::slice::from_ref(&without)).unwrap();
        assert!(none.hints[0].contains("--allocate-node-cidrs"), "{none:?}");
        let some = pod_ranges(&of_kubernetes, &[with.clone(), without]).unwrap();
        assert_eq!(some.what, "1 of 2 nodes without a pod range: a");
        assert!(some.hints[0].contains("CIDRNotAvailable"), "{some:?}");
        assert!(too_small(&of_kubernetes, &[with]).is_none());
        let small =
            too_small(&of_kubernetes, &[node(&json!({"podCIDRs": ["10.42.0.0/26"]}), &json!({}))]).unwrap();
        assert!(
            small.starts_with("node a takes 110 pods, and its pod range 10.42.0.0/26 has 61 addresses"),
            "{small}"
        );
    }

    #[test]
    fn a_request_is_open_until_somebody_decides() {
        let request = |signer: &str, status: &Value| {
            object(
                &json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "csr-1"},
            "spec": {"signerName": signer, "username": "system:node:a"}, "status": status}),
            )
        };
        let told = unapproved(&[request("kubernetes.io/kubelet-serving", &json!({}))], &[]).unwrap();
        assert!(told.starts_with("1 certificate request of kubelets pending (a"), "{told}");
        for closed in [
            request("kubernetes.io/kubelet-serving", &json!({"conditions": [{"type": "Approved"}]})),
            request("kubernetes.io/kubelet-serving", &json!({"conditions": [{"type": "Denied"}]})),
            request("example.org/own", &json!({})),
        ] {
            assert_eq!(unapproved(&[closed], &[]), None);
        }
    }
}
