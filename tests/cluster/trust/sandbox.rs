//! The sandbox is its owner's alone: another user of the machine, and a page in a browser, get nothing of
//! any of its processes, and read none of its files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::cluster::Cluster;
use bootstrapper::object::Selection;
use serde_json::Value;

use super::rights::whoever_lacks_a_right_is_told_which;
use crate::strangers::probe::{is_root, probe_all};
use crate::strangers::sockets::{Place, Socket, listening, processes};
use crate::strangers::{its_files_are_its_owners, nobody_enters_its_networks};

/// Asks a bootstrapped sandbox as another user. Somebody whose files are everybody's, if nobody says otherwise, has
/// brought it up.
pub(crate) async fn only_its_owner_can_query_it(folder: &Path, cluster: &Cluster) {
    let sockets = listening(folder);
    listeners_are_found(folder, &sockets);
    let answers = probe_all(&sockets);
    assert!(answers.is_empty(), "somebody else was answered:\n{}", answers.join("\n"));
    nobody_enters_its_networks(folder);
    its_files_are_its_owners(folder);
    no_argument_is_a_secret(folder, cluster).await;
    // It is a real API server, which knows rights.
    whoever_lacks_a_right_is_told_which(&folder.join("kubeconfig")).await;
}

/// A test that finds nothing to ask has shown nothing.
fn listeners_are_found(folder: &Path, sockets: &[Socket]) {
    let programs: BTreeSet<&str> = sockets.iter().map(|socket| socket.program.as_str()).collect();
    for program in ["etcd", "kube-apiserver", "bootstrapper-sa", "source-controll", "cilium-operator"] {
        assert!(programs.contains(program), "{program} listens nowhere: {sockets:#?}");
    }
    let running: BTreeSet<String> = processes(folder).into_iter().map(|process| process.program).collect();
    for program in ["kwok", "kube-scheduler", "helm-controller", "kustomize-contr"] {
        assert!(running.contains(program), "{program} does not run: {running:?}");
        assert!(!programs.contains(program), "{program} listens, and need not: {sockets:#?}");
    }
}

/// Everybody reads what programs are called with.
async fn no_argument_is_a_secret(folder: &Path, cluster: &Cluster) {
    let mut secrets = BTreeSet::new();
    let known: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("sandbox.json")).unwrap()).unwrap();
    let proxy = known["environment"]["variables"]["HTTPS_PROXY"].as_str().unwrap();
    secrets.insert(url::Url::parse(proxy).unwrap().password().unwrap().to_owned());
    for object in cluster.list(&Selection::of("v1", "Secret")).await.unwrap() {
        let data = object.data["data"].as_object().cloned().unwrap_or_default();
        secrets.extend(data.values().filter_map(Value::as_str).map(str::to_owned));
        let plain = data.values().filter_map(|value| STANDARD.decode(value.as_str()?).ok());
        secrets.extend(plain.filter_map(|plain| String::from_utf8(plain).ok()));
    }
    for source in cluster.list(&Selection::of("source.toolkit.fluxcd.io/v1", "GitRepository")).await.unwrap()
    {
        let url = source.data["status"]["artifact"]["url"].as_str().unwrap().to_owned();
        secrets.insert(url::Url::parse(&url).unwrap().password().unwrap().to_owned());
    }
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        if entry.path().extension().is_some_and(|extension| extension == "key") {
            secrets.extend(text.lines().filter(|line| !line.starts_with("---")).map(str::to_owned));
        }
    }
    secrets.retain(|secret| secret.len() >= 8);
    assert!(secrets.len() > 10, "{}", secrets.len());
    for process in processes(folder) {
        let words = std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        assert!(
            !secrets.iter().any(|secret| words.contains(secret.as_str())),
            "a secret is an argument of {}",
            process.program
        );
    }
}

/// The test above sees what it is to see.
#[test]
fn an_open_listener_of_a_sandbox_is_noticed() {
    let state = tempfile::tempdir().unwrap();
    let serve = "import http.server, socket, sys, threading
unix = socket.socket(socket.AF_UNIX); unix.bind(sys.argv[1] + '/open.sock'); unix.listen()
packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); packets.bind(('127.0.0.1', 0))
def answer():
    while True:
        _, caller = packets.recvfrom(100)
        packets.sendto(b'yes', caller)
def greet():
    while True:
        unix.accept()[0].sendall(b'hello')
for work in (answer, greet):
    threading.Thread(target=work, daemon=True).start()
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
print('up', flush=True)
server.serve_forever()";
    let mut server = Command::new("python3")
        .args(["-c", serve])
        .arg(state.path())
        .env("BOOTSTRAPPER_SANDBOX", state.path())
        .current_dir(state.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    if is_root() {
        let everybody = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
        std::fs::set_permissions(state.path(), everybody.clone()).unwrap();
        std::fs::set_permissions(state.path().join("open.sock"), everybody).unwrap();
    }
    let sockets = listening(state.path());
    let answers = probe_all(&sockets);
    server.kill().unwrap();
    server.wait().unwrap();
    let kinds = sockets.iter().map(|socket| match socket.place {
        Place::Tcp(_) => "tcp",
        Place::Udp(_) => "udp",
        Place::Unix(_) => "unix",
    });
    assert_eq!(kinds.collect::<BTreeSet<_>>(), BTreeSet::from(["tcp", "udp", "unix"]), "{sockets:#?}");
    for socket in &sockets {
        assert!(answers.iter().any(|answer| answer.contains(&socket.to_string())), "{socket}: {answers:#?}");
    }
}
