//! Bad input: each is a clear error with a hint and a documented exit code, before anything is
//! written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use common::{bootstrapper, edit, repository, root};
use predicates::prelude::*;
use predicates::str::contains;

const INPUT: i32 = 3;
const PREFLIGHT: i32 = 4;
const CONNECTION: i32 = 5;

fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "home", "cluster": {"server": server}}],
        "users": [{"name": "home", "user": {"token": "x"}}],
        "contexts": [{"name": "infra", "context": {"cluster": "home", "user": "home"}}],
    });
    std::fs::write(file.path(), text.to_string()).unwrap();
    file
}

#[test]
fn an_unknown_cluster_is_answered_with_those_there_are() {
    bootstrapper().arg("infro").arg("--repo").arg(root()).assert().code(INPUT).stderr(
        contains("cluster `infro` not found")
            .and(contains("apps, infra"))
            .and(contains("did you mean `infra`?")),
    );
}

#[test]
fn outside_of_a_repository_it_says_so() {
    let elsewhere = tempfile::tempdir().unwrap();
    bootstrapper().arg("infra").current_dir(&elsewhere).assert().code(INPUT).stderr(contains("--repo"));
}

#[test]
fn a_stage_that_does_not_exist_is_refused() {
    bootstrapper()
        .args(["infra", "--from", "cillium", "--repo"])
        .arg(root())
        .assert()
        .code(INPUT)
        .stderr(contains("did you mean `cilium`?"));
}

#[test]
fn the_way_to_the_cluster_is_named_when_it_is_missing() {
    let run = |arguments: &[&str]| {
        let mut command = bootstrapper();
        command.args(["infra", "--repo"]).arg(root()).args(arguments);
        command.assert().code(CONNECTION)
    };
    run(&["--kubeconfig", "/nonexistent"]).stderr(contains("/nonexistent").and(contains("--kubeconfig")));
    let unreachable = kubeconfig("https://127.0.0.1:1");
    let file = unreachable.path().to_str().unwrap();
    run(&["--kubeconfig", file]).stderr(contains("https://127.0.0.1:1").and(contains("refused")));
    run(&["--kubeconfig", file, "--context", "hone"])
        .stderr(contains("context `hone` not found").and(contains("infra")));
}

/// An API server that is too old cannot be had here: this answers as one would.
#[test]
fn a_server_that_is_too_old_is_refused_before_anything_is_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let (code, body) = if request.starts_with("GET /version") {
                (
                    200,
                    r#"{"major":"1","minor":"30","gitVersion":"v1.30.4","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#,
                )
            } else {
                assert!(!request.starts_with("PATCH"), "{request}");
                (
                    404,
                    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"none"}"#,
                )
            };
            let _ = write!(
                connection,
                "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let file = kubeconfig(&format!("http://{address}"));
    let copy = repository();
    bootstrapper()
        .env("INFRA_BGP_PASSWORD", "x")
        .env("INFRA_ONEPASSWORD_TOKEN", "x")
        .args(["infra", "--progress", "plain", "--repo"])
        .arg(copy.path())
        .arg("--kubeconfig")
        .arg(file.path())
        .assert()
        .code(PREFLIGHT)
        .stderr(
            contains("1.30.4")
                .and(contains("upgrade the control plane"))
                .and(contains("nothing was written")),
        );
}

#[test]
fn a_broken_repository_is_refused_with_its_place() {
    let release = "kubernetes/bases/coredns/release.yaml";
    let infrastructure = "kubernetes/clusters/infra/infrastructure.yaml";
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        (
            release,
            "${CLUSTER_DNS_IP}",
            "${CLUSTER_DNS}",
            &["${CLUSTER_DNS} is not defined", "release.yaml:43:18", "settings.yaml"],
        ),
        (
            release,
            "kind: OCIRepository\n    name: coredns",
            "kind: OCIRepository\n    name: corednss",
            &["OCIRepository kube-system/corednss of its chart not found", "release.yaml:"],
        ),
        (
            infrastructure,
            "    - name: networking-crds",
            "    - name: coredns",
            &["is in a dependency cycle: coredns → cilium → coredns", "infrastructure.yaml:"],
        ),
        (
            infrastructure,
            "    - name: networking-crds",
            "    - name: network-crds",
            &["depends on Kustomization flux-system/network-crds, which is not found"],
        ),
        (
            infrastructure,
            "path: ./kubernetes/infrastructure/networking/coredns",
            "path: ./kubernetes/infrastructure/networking/dns",
            &["folder kubernetes/infrastructure/networking/dns not found", "infrastructure.yaml:"],
        ),
        (
            release,
            "spec:\n",
            "spec: [\n",
            &["cannot build kubernetes/infrastructure/networking/coredns", "coredns/release.yaml:"],
        ),
    ];
    for (file, from, to, said) in cases {
        let copy = repository();
        edit(&copy, file, from, to);
        let mut assert =
            bootstrapper().args(["validate", "infra", "--repo"]).arg(copy.path()).assert().code(INPUT);
        for text in said {
            assert = assert.stdout(contains(*text));
        }
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let copy = repository();
    edit(
        &copy,
        "kubernetes/bases/coredns/release.yaml",
        "${CLUSTER_DNS_IP}",
        "${ONE} ${TWO} ${ONE} ${three-}",
    );
    edit(
        &copy,
        "kubernetes/bases/cilium/release.yaml",
        "name: cilium\n  releaseName",
        "name: psyllium\n  releaseName",
    );
    edit(
        &copy,
        "kubernetes/clusters/infra/infrastructure.yaml",
        "    - name: networking-crds",
        "    - name: cords",
    );
    let output = bootstrapper()
        .args(["validate", "infra", "--output", "json", "--repo"])
        .arg(copy.path())
        .assert()
        .code(INPUT);
    let told: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let whats: Vec<&str> = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    let expected = [
        "${ONE} is not",
        "${TWO} is not",
        "`${three-}",
        "cords, which is not",
        "psyllium of its chart not found",
    ];
    for text in expected {
        assert_eq!(whats.iter().filter(|what| what.contains(text)).count(), 1, "{text}: {whats:#?}");
    }
    assert_eq!(whats.len(), expected.len(), "{whats:#?}");
    assert!(told["findings"].as_array().unwrap().iter().all(|finding| finding["location"]["line"].is_u64()));
}

#[test]
fn the_repository_itself_is_valid() {
    let copy = repository();
    bootstrapper()
        .args(["validate", "--repo"])
        .arg(copy.path())
        .assert()
        .success()
        .stdout(contains("apps, infra: valid"));
}

#[test]
fn task_files_and_configuration_are_refused_with_file_line_and_column() {
    let copy = repository();
    edit(&copy, "tasks/bootstrap.yaml", "      - release: coredns", "      - relaese: coredns");
    let run = |said: &str| {
        bootstrapper()
            .args(["validate", "infra", "--repo"])
            .arg(copy.path())
            .assert()
            .code(INPUT)
            .stdout(contains(said.to_owned()));
    };
    run("relaese");
    run("tasks/bootstrap.yaml:");
    std::fs::write(copy.path().join("bootstrapper.yaml"), "clusters:\n  infra: {contxt: x}\n").unwrap();
    run("bootstrapper.yaml:2:");
}

#[test]
fn a_secret_without_a_provider_is_listed() {
    let copy = repository();
    edit(&copy, "bootstrapper.yaml", "- name: bgp-auth", "- name: others");
    let settings = "      - kind: ConfigMap\n        name: cluster-settings\n";
    let file = "kubernetes/clusters/infra/infrastructure.yaml";
    edit(&copy, file, settings, &format!("{settings}      - kind: Secret\n        name: cluster-secrets\n"));
    bootstrapper().args(["validate", "infra", "--repo"]).arg(copy.path()).assert().code(INPUT).stdout(
        contains("Secret flux-system/cluster-secrets of substituteFrom not found")
            .and(contains("bootstrapper.yaml")),
    );
}

#[test]
fn schemas_are_json() {
    for of in ["tasks", "config"] {
        let output = bootstrapper().args(["schema", of]).unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    }
}

#[test]
fn a_network_that_cannot_be_real_says_what_it_lacks_before_anything_is_started() {
    let state = tempfile::tempdir().unwrap();
    let nothing = tempfile::tempdir().unwrap();
    bootstrapper()
        .env("PATH", nothing.path())
        .env("BOOTSTRAPPER_STATE_DIR", state.path())
        .args(["infra", "--sandbox", "--network", "real", "--repo"])
        .arg(root())
        .assert()
        .code(PREFLIGHT)
        .stderr(
            contains("a real sandbox network is not available")
                .and(contains("iptables, ipset"))
                .and(contains("apt-get install"))
                .and(contains("clang-19"))
                .and(contains("--network simulated")),
        );
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}
