//! The files of `docs/your-cluster.md` fit the repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bootstrapper::yaml;
use serde_json::Value;

use super::kubernetes::settings;
use crate::common::root;

/// The files that the page shows, by the name after the language of the block.
fn shown() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(root().join("docs/your-cluster.md")).unwrap();
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

fn setting(name: &str) -> String {
    settings("infra").into_iter().find_map(|(own, value)| (own == name).then_some(value)).unwrap()
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
    let kubeadm = documents("kubeadm.yaml");
    assert_eq!(kubeadm[1]["networking"]["podSubnet"], pods);
    assert_eq!(kubeadm[1]["networking"]["serviceSubnet"], services);
    let server = format!("{}:{}", setting("API_SERVER_HOST"), setting("API_SERVER_PORT"));
    assert_eq!(kubeadm[1]["controlPlaneEndpoint"], server);
    let k3s = &documents("k3s.yaml")[0];
    assert_eq!((&k3s["cluster-cidr"], &k3s["service-cidr"]), (&pods.into(), &services.into()));
    assert_eq!(k3s["cluster-dns"], setting("CLUSTER_DNS_IP"));
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
    ] {
        assert!(text.lines().any(|one| one.trim() == line), "{line}");
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

#[test]
fn the_ca_can_be_created_as_documented() {
    let page = std::fs::read_to_string(root().join("docs/your-cluster.md")).unwrap();
    let (_, rest) = page.split_once("```sh\nopenssl").unwrap();
    let (command, _) = rest.split_once("\n```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("openssl{command}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read_to_string(folder.path().join("ca.crt")).unwrap();
    assert!(made.starts_with("-----BEGIN CERTIFICATE-----"));
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
