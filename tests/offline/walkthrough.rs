//! The files of `docs/your-cluster.md` fit the repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bootstrapper::gitops::addresses;
use bootstrapper::yaml;
use serde_json::{Value, json};

use super::kubernetes::settings;
use crate::common::root;

/// The files that the page shows, by the name after the language of the block.
fn shown() -> BTreeMap<String, String> {
    let page = page();
    let blocks = page.split("\n```").skip(1).step_by(2);
    let files = blocks.filter_map(|block| {
        let (head, text) = block.split_once('\n')?;
        let (_, name) = head.split_once(' ')?;
        Some((name.to_owned(), text.to_owned()))
    });
    files.collect()
}

fn documents(name: &str) -> Vec<Value> {
    yaml::from_multiple(&shown()[name], Path::new(name)).unwrap()
}

fn setting_of(cluster: &str, name: &str) -> String {
    settings(cluster).into_iter().find_map(|(own, value)| (own == name).then_some(value)).unwrap()
}

fn setting(name: &str) -> String {
    setting_of("infra", name)
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/your-cluster.md")).unwrap()
}

#[test]
fn every_shown_file_is_checked_here() {
    let checked = ["frr.conf", "k3s.yaml", "kubeadm.yaml", "private", "talos-volume.yaml", "talos.yaml"];
    assert_eq!(shown().keys().collect::<Vec<_>>(), checked);
}

/// The words of a cell that are code.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn addresses_are_those_of_the_settings() {
    let page = page();
    let (_, table) = page.split_once("| what | example | setting |\n| --- | --- | --- |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for row in table.lines() {
        let cells: Vec<&str> = row.split('|').collect();
        let (examples, names) = (code(cells[2]), code(cells[3]));
        assert_eq!(names.iter().map(|name| setting(name)).collect::<Vec<_>>(), examples, "{row}");
    }
    let record = format!("`*.{}` leads to `{}`", setting("DOMAIN"), setting("GATEWAY_ADDRESS"));
    assert!(page.contains(&record), "{record}");
}

/// What the page tells who has one cluster, of each distribution.
#[test]
fn a_fork_with_a_single_cluster_is_valid() {
    for distribution in ["talos", "kubeadm", "k3s"] {
        let copy = crate::common::repository();
        crate::common::set_distribution(&copy, "infra", "talos", distribution);
        std::fs::remove_dir_all(copy.path().join("kubernetes/clusters/apps")).unwrap();
        let config = std::fs::read_to_string(copy.path().join("bootstrapper.yaml")).unwrap();
        let (infra, _) = config.split_once("  apps:\n").unwrap();
        std::fs::write(copy.path().join("bootstrapper.yaml"), infra).unwrap();
        let settings = "kubernetes/clusters/infra/settings.yaml";
        for (name, value) in [("MESH_PEERS", "'[]'"), ("MESH_POD_RANGE", &setting("POD_CIDR"))] {
            let text = std::fs::read_to_string(copy.path().join(settings)).unwrap();
            let line = text.lines().find(|line| line.starts_with(&format!("  {name}: "))).unwrap();
            crate::common::edit(&copy, settings, line, &format!("  {name}: {value}"));
        }
        for (file, name) in [("infrastructure", "cilium-mesh"), ("workloads", "database-peers")] {
            let file = copy.path().join(format!("kubernetes/clusters/infra/{file}.yaml"));
            let text = std::fs::read_to_string(&file).unwrap();
            let is_other = |document: &&str| !document.contains(&format!("\n  name: {name}\n"));
            let kept: Vec<&str> = text.split("---\n").filter(is_other).collect();
            std::fs::write(&file, kept.join("---\n")).unwrap();
        }
        let mut validate = crate::common::bootstrapper();
        validate.args(["validate", "--strict", "--repo"]).arg(copy.path()).assert().success();
    }
}

#[test]
fn machines_have_the_ranges_of_the_settings() {
    let (pods, services) = (setting("POD_CIDR"), setting("SERVICE_CIDR"));
    let talos = &documents("talos.yaml")[0];
    assert_eq!(talos["machine"]["kubelet"]["nodeIP"]["validSubnets"][0], setting("NODE_CIDR"));
    assert_eq!(talos["cluster"]["network"]["podSubnets"][0], pods);
    assert_eq!(talos["cluster"]["network"]["serviceSubnets"][0], services);
    assert_eq!(talos["cluster"]["network"]["cni"]["name"], "none");
    assert!(["proxy", "coreDNS"].iter().all(|part| talos["cluster"][*part]["disabled"] == true));
    let file = &talos["machine"]["files"][0];
    // The only one outside of /var that Talos creates (docs/design/values.md).
    assert_eq!(
        (&file["path"], &file["op"]),
        (&"/etc/cri/conf.d/20-customization.part".into(), &"create".into())
    );
    let kubeadm = documents("kubeadm.yaml");
    assert_eq!(kubeadm[0]["skipPhases"], json!(["addon/kube-proxy", "addon/coredns"]));
    assert_eq!(kubeadm[1]["networking"]["podSubnet"], pods);
    assert_eq!(kubeadm[1]["networking"]["serviceSubnet"], services);
    let server = format!("{}:{}", setting("API_SERVER_HOST"), setting("API_SERVER_PORT"));
    assert_eq!(kubeadm[1]["controlPlaneEndpoint"], server);
    let k3s = &documents("k3s.yaml")[0];
    assert_eq!((&k3s["cluster-cidr"], &k3s["service-cidr"]), (&pods.into(), &services.into()));
    assert_eq!(k3s["cluster-dns"], setting("CLUSTER_DNS_IP"));
    // As kubernetes/README.md has it.
    let arguments = std::fs::read_to_string(root().join("kubernetes/README.md")).unwrap();
    let (_, disabled) = arguments.split_once("--disable-kube-proxy --disable=").unwrap();
    let (disabled, _) = disabled.split_once('`').unwrap();
    let mut disabled: Vec<&str> = disabled.split(',').collect();
    disabled.sort_unstable();
    assert_eq!(k3s["disable"], json!(disabled));
    assert_eq!(k3s["flannel-backend"], "none");
    assert!(["disable-network-policy", "disable-kube-proxy"].iter().all(|name| k3s[*name] == true));
}

/// The volume is where the component for Talos has it.
#[test]
fn the_volume_of_talos_is_the_one_of_the_component() {
    let name = documents("talos-volume.yaml")[0]["name"].as_str().unwrap().to_owned();
    let component = root().join("kubernetes/distributions/talos/kustomization.yaml");
    let component = std::fs::read_to_string(component).unwrap();
    assert!(component.contains(&format!("basePath: /var/mnt/{name}\n")), "{component}");
}

#[test]
fn the_router_speaks_with_both_clusters() {
    let text = &shown()["frr.conf"];
    for line in [
        format!("router bgp {}", setting("BGP_PEER_ASN")),
        format!("bgp router-id {}", setting("BGP_ROUTER_ADDRESS")),
        format!("neighbor infra remote-as {}", setting("BGP_LOCAL_ASN")),
        format!("neighbor apps remote-as {}", setting_of("apps", "BGP_LOCAL_ASN")),
    ] {
        assert!(text.lines().any(|one| one.trim() == line), "{line}");
    }
    for cluster in ["infra", "apps"] {
        let nodes = addresses::read(&setting_of(cluster, "NODE_CIDR")).unwrap();
        let group = format!(" peer-group {cluster}");
        let neighbors =
            text.lines().filter_map(|line| line.trim().strip_suffix(&group)?.strip_prefix("neighbor "));
        let neighbors: Vec<std::net::IpAddr> = neighbors.map(|address| address.parse().unwrap()).collect();
        assert_eq!(neighbors.len(), 3, "{cluster}");
        assert!(neighbors.iter().all(|address| nodes[0].contains(address)), "{neighbors:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frr.conf");
    std::fs::write(&file, text).unwrap();
    let Ok(output) = Command::new("vtysh").arg("-C").arg("-f").arg(&file).output() else {
        eprintln!("FRR is not installed here: its configuration was only read");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Unknown command"), "{said}");
}

/// CloudNativePG reads a CA's key in one form only (`ParseECPrivateKey` in its `pkg/certs`).
#[test]
fn the_cas_can_be_created_as_documented() {
    let page = page();
    let scripts = page.split("```sh\nopenssl").skip(1).map(|rest| rest.split_once("\n```").unwrap().0);
    let folder = tempfile::tempdir().unwrap();
    for script in scripts.map(|rest| format!("set -e; openssl{rest}")) {
        let output = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for (file, head) in [
        ("ca.crt", "CERTIFICATE"),
        ("ca.key", "PRIVATE KEY"),
        ("postgres.crt", "CERTIFICATE"),
        ("postgres.key", "EC PRIVATE KEY"),
    ] {
        let made = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(made.starts_with(&format!("-----BEGIN {head}-----\n")), "{file}: {made}");
    }
}

/// What the page seeds is what the component needs.
#[test]
fn a_private_repository_is_as_shown() {
    let text = &shown()["private"];
    let copy = crate::common::repository();
    for cluster in ["infra", "apps"] {
        let file = format!("kubernetes/clusters/{cluster}/kustomization.yaml");
        let line = "- ../../optional/private-repository\n";
        crate::common::edit(&copy, &file, &format!("# {line}"), line);
    }
    let file = copy.path().join("bootstrapper.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    let secret: String = text.lines().map(|line| format!("      {line}\n")).collect();
    std::fs::write(&file, config.replace("    secrets:\n", &format!("    secrets:\n{secret}"))).unwrap();
    let mut validate = crate::common::bootstrapper();
    validate.args(["validate", "--strict", "--repo"]).arg(copy.path()).assert().success();
}
