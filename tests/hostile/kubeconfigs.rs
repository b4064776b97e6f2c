//! Kubeconfigs that somebody else has written.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::input::{CONNECT, Content, Input};
use crate::world::{TREASURE, World};

fn kubeconfig(cluster: &Value, user: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "a", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "a", "user": "u"}}],
    })
    .to_string()
}

pub(crate) fn inputs(world: &World) -> Vec<Input> {
    let nobody = json!({"server": "https://127.0.0.1:1"});
    let caller = format!("http://{}", world.address());
    let users = [
        json!({"token": format!("{TREASURE}\n")}),
        json!({"token": format!("{TREASURE}\r\nX: y")}),
        json!({"token": format!("{TREASURE}\u{0}")}),
        json!({"token": format!("{TREASURE}\u{e4}\u{202e}")}),
        json!({"token": format!("{TREASURE} \t")}),
        json!({"token": TREASURE.repeat(100_000)}),
        json!({"username": format!("{TREASURE}\n"), "password": format!("{TREASURE}:\n")}),
        json!({"username": "", "password": TREASURE}),
        json!({"tokenFile": "/dev/zero"}),
        json!({"tokenFile": "/nonexistent"}),
        json!({"tokenFile": world.outside().join("stolen.yaml")}),
        json!({"client-certificate-data": TREASURE, "client-key-data": TREASURE}),
        json!({"client-certificate-data": "YQ==", "client-key-data": "YQ=="}),
        json!({"client-certificate": "/dev/zero", "client-key": "/dev/zero"}),
        json!({"as": "x\ny", "token": "t"}),
        json!({"as": "x", "as-groups": ["\u{1b}[2J"], "token": "t"}),
        json!({"auth-provider": {"name": "gcp", "config": {"access-token": TREASURE}}}),
        json!({"auth-provider": {"name": "oidc", "config": {"id-token": TREASURE}}}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nonexistent"}}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", format!("echo {TREASURE} >&2; exit 1")], "env": [{"name": "X", "value": TREASURE}]}}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", format!("echo {TREASURE}")]}}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", "cat /dev/zero"]}}),
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["1000"]}}),
        json!({"exec": {"apiVersion": "x", "command": ""}}),
        json!({"exec": {}}),
        json!({"token": {"a": TREASURE}}),
        json!(TREASURE),
        Value::Null,
    ];
    let clusters = [
        json!({"server": "https://127.0.0.1:99999"}),
        json!({"server": ""}),
        json!({"server": "::::"}),
        json!({"server": format!("https://u:{TREASURE}@127.0.0.1:1")}),
        json!({"server": "unix:///x"}),
        json!({"server": "file:///etc/passwd"}),
        json!({"server": "https://\u{1b}[2J.example"}),
        json!({"server": "https://127.0.0.1:1", "proxy-url": format!("http://u:{TREASURE}@127.0.0.1:1")}),
        json!({"server": "https://127.0.0.1:1", "proxy-url": "ftp://x"}),
        json!({"server": "https://127.0.0.1:1", "proxy-url": "::"}),
        json!({"server": "https://127.0.0.1:1", "proxy-url": "socks5://127.0.0.1:1"}),
        json!({"server": "https://127.0.0.1:1", "certificate-authority": "/dev/zero"}),
        json!({"server": "https://127.0.0.1:1", "certificate-authority": "/nonexistent"}),
        json!({"server": "https://127.0.0.1:1", "certificate-authority-data": TREASURE}),
        json!({"server": "https://127.0.0.1:1", "certificate-authority-data": "YQ=="}),
        json!({"server": "https://127.0.0.1:1", "tls-server-name": "\u{0}"}),
        json!({"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true, "certificate-authority-data": "YQ=="}),
        json!({"server": caller}),
        json!({"server": caller, "insecure-skip-tls-verify": true}),
        json!({"server": ["x"]}),
        Value::Null,
    ];
    let mut inputs: Vec<Input> = Vec::new();
    let texts = users
        .iter()
        .map(|user| kubeconfig(&nobody, user))
        .chain(clusters.iter().map(|cluster| kubeconfig(cluster, &json!({"token": "t"}))))
        .chain(texts());
    for (at, text) in texts.enumerate() {
        inputs.push(Input::text(format!("kubeconfig {at}"), "kubeconfig", text).verbs(CONNECT));
    }
    let odd = [
        ("endless", Content::Link(PathBuf::from("/dev/zero"))),
        ("a pipe", Content::Fifo),
        ("a folder", Content::Folder),
        ("8 GiB", Content::Sparse(8 << 30)),
    ];
    inputs.extend(odd.into_iter().map(|(name, content)| {
        Input::new(format!("kubeconfig {name}"), "kubeconfig", content).verbs(CONNECT)
    }));
    inputs
}

/// Kubeconfigs that cannot be parsed, with a secret beside the fault.
fn texts() -> Vec<String> {
    vec![
        format!("users:\n- name: u\n  user: {{token: {TREASURE}\n"),
        format!("users:\n- name: u\n  user:\n    token: {TREASURE}\n   bad: indent\n"),
        format!("apiVersion: v1\nusers: {TREASURE}\n"),
        format!("users: [{{name: u, user: {{token: {TREASURE}, token: {TREASURE}}}}}]\n"),
        format!("users: [{{name: [{TREASURE}], user: {{token: {TREASURE}}}}}]\n"),
        format!("\t{TREASURE}\n"),
        format!("contexts: [{{name: \"\\e[2J\\r::error::x\", context: {{cluster: a, user: {TREASURE}}}}}]\n"),
        "a: &a [*a, *a]\n".to_owned(),
        "x".to_owned(),
        String::new(),
    ]
}
