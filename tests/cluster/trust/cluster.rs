//! A cluster that refuses, drips or lies; and the way to it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;

use super::api::{ApiServer, Authority, Call, NAME};
use super::order::{home, repository};

/// What hangs is a failure. An answer comes within seconds; many tests run at once, and each starts programs.
const LIMIT: Duration = Duration::from_mins(2);

const WAIT: &str = "stages:
- name: s
  steps: [{wait: {object: {apiVersion: v1, kind: ConfigMap, namespace: x, name: waited-for}}, timeout: 12s}]
";

/// Refuses every list and watch of ConfigMaps.
fn refusing(code: u16) -> ApiServer {
    ApiServer::refusing(move |call: &Call| {
        let is_it = call.resource == "configmaps" && matches!(call.verb, "list" | "watch");
        match code {
            _ if !is_it => None,
            403 => Some(call.forbidden()),
            401 => Some((401, "Unauthorized".to_owned())),
            404 => Some((404, "the server could not find the requested resource".to_owned())),
            410 => Some((410, "The provided continue parameter is too old".to_owned())),
            429 => Some((429, "too many requests".to_owned())),
            _ => Some((code, "the server is currently unable to handle the request".to_owned())),
        }
    })
}

/// The codes that an API server refuses with, what of each is told, and how `plan` and `status` end.
const CODES: [(u16, &str, i32, i32); 7] = [
    (401, "the API server answers 401: Unauthorized", 5, 5),
    (403, "cannot list resource \"configmaps\"", 5, 5),
    (404, "the API server answers 404", 1, 1),
    (410, "the API server answers 410", 1, 1),
    (429, "the API server answers 429", 1, 1),
    (500, "the API server answers 500", 1, 1),
    (503, "the API server answers 503", 1, 1),
];

#[test]
fn plan_and_status_answer_and_end_whatever_a_watch_is_refused_with() {
    let repository = repository(WAIT);
    std::thread::scope(|scope| {
        for (code, said, plan, status) in CODES {
            let path = repository.path();
            scope.spawn(move || {
                let server = refusing(code);
                home(&["plan", "home"], path, &server)
                    .timeout(LIMIT)
                    .assert()
                    .code(plan)
                    .stderr(contains(said));
                let answer = home(&["status", "home"], path, &server).timeout(LIMIT).assert().code(status);
                answer.stdout(contains(said));
            });
        }
    });
}

#[test]
fn a_missing_right_is_named_with_what_to_grant() {
    let repository = repository(WAIT);
    for verb in [&["plan", "home"][..], &["status", "home"], &["home", "--progress", "plain"]] {
        let answer = home(verb, repository.path(), &refusing(403)).timeout(LIMIT).assert().code(5);
        let output = answer.get_output();
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("cannot list ConfigMap objects in namespace x"), "{text}");
        assert!(text.contains("grant list,watch on configmaps in namespace x"), "{text}");
    }
}

#[test]
fn a_run_waits_for_what_passes_and_says_what_that_is() {
    let repository = repository(WAIT);
    for code in [410, 503] {
        let said = format!("the API server answers {code}");
        let run = home(&["home", "--progress", "plain"], repository.path(), &refusing(code))
            .timeout(LIMIT)
            .assert();
        let output = run.code(predicate::in_iter([1, 7])).get_output().clone();
        let text = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&text).contains(&said), "{code}: {}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_wait_is_over_once_a_right_was_granted_in_time() {
    // A role that others add to comes about a moment after what it is made of.
    let refused = Mutex::new(0);
    let server = ApiServer::refusing(move |call: &Call| {
        let mut refused = refused.lock().unwrap();
        let is_early = call.resource == "nodes" && call.verb == "list" && *refused < 3;
        is_early.then(|| {
            *refused += 1;
            call.forbidden()
        })
    });
    let tasks = "stages: [{name: s, steps: [{wait: {object: {apiVersion: v1, kind: Node, name: n1}}}]}]\n";
    home(&["home", "--progress", "plain"], repository(tasks).path(), &server)
        .timeout(LIMIT)
        .assert()
        .success();
}

#[test]
fn a_watch_with_an_expired_resource_version_is_restarted() {
    // The list is fine; the watch from it is not, once.
    let refused = Mutex::new(0);
    let server = ApiServer::refusing(move |call: &Call| {
        let mut refused = refused.lock().unwrap();
        let is_it = call.resource == "configmaps" && call.verb == "watch" && *refused < 2;
        is_it.then(|| {
            *refused += 1;
            (410, "too old resource version: 5 (900)".to_owned())
        })
    });
    let repository = repository(WAIT);
    home(&["home", "--progress", "plain"], repository.path(), &server).timeout(LIMIT).assert().code(7);
    let calls = server.calls();
    let of =
        |verb: &str| calls.iter().filter(|call| call.resource == "configmaps" && call.verb == verb).count();
    assert!(of("list") >= 3, "{calls:?}");
}

#[test]
fn doctor_does_not_call_well_what_it_may_not_see() {
    for code in [403, 503] {
        let server = ApiServer::refusing(move |call: &Call| match code {
            _ if call.verb != "list" => None,
            403 => Some(call.forbidden()),
            _ => Some((code, "no".to_owned())),
        });
        let mut doctor = bare();
        doctor.args(["doctor", "home", "--context", "c", "--kubeconfig"]).arg(server.kubeconfig());
        doctor.current_dir(std::env::temp_dir());
        let answer = doctor.timeout(LIMIT).assert().code(5);
        answer
            .stdout(contains("unknown: cannot list Pod objects").and(contains("no problems found").not()))
            .stderr(contains("of objects in home: their state is unknown"));
    }
}

#[test]
fn preflight_names_every_right_that_will_be_needed() {
    let server = ApiServer::without_rights();
    let tasks = "stages: [{name: preflight, steps: [{checks: [permissions]}]}]\n";
    let answer = home(&["plan", "home"], repository(tasks).path(), &server).timeout(LIMIT).assert().code(4);
    answer.stderr(
        contains("may not get, list, watch, create, patch, delete secrets")
            .and(contains("may not get, list, watch pods"))
            .and(contains("helmreleases.helm.toolkit.fluxcd.io"))
            .and(contains("escalate clusterroles.rbac.authorization.k8s.io")),
    );
}

#[test]
fn what_will_fail_the_same_way_is_not_tried_again() {
    let server = ApiServer::refusing(|call: &Call| {
        let said = "failed to create typed patch object (x/c; v1, Kind=ConfigMap): .dota: field not declared in schema";
        (call.verb == "patch" && call.name.as_deref() == Some("c")).then(|| (500, said.to_owned()))
    });
    let repository = repository("stages: [{name: s, steps: [{objects: c.yaml}]}]\n");
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: x}, dota: {a: b}}\n";
    std::fs::write(repository.path().join("c.yaml"), object).unwrap();
    let run = home(&["home", "--progress", "plain"], repository.path(), &server).timeout(LIMIT).assert();
    let output = run.code(1).get_output().clone();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(text.contains("failed to create typed patch object"), "{text}");
    let tries = server
        .calls()
        .iter()
        .filter(|call| call.verb == "patch" && call.name.as_deref() == Some("c"))
        .count();
    assert_eq!(tries, 1);
}

#[test]
fn a_lock_that_cannot_be_released_is_reported() {
    let server = ApiServer::refusing(|call: &Call| {
        let is_release = call.resource == "leases"
            && call.verb == "update"
            && call.body["spec"]["holderIdentity"].is_null();
        is_release.then(|| call.forbidden())
    });
    let repository = repository("stages: [{name: s, steps: [{command: ['true']}]}]\n");
    let run = home(&["home", "--progress", "plain"], repository.path(), &server).timeout(LIMIT).assert();
    run.success().stderr(
        contains("cannot release the lock of home").and(contains("the next run waits until it expires")),
    );
}

/// A verb that needs no other program.
fn bare() -> Command {
    let mut command = Command::cargo_bin("bootstrapper").unwrap();
    command.env("NO_COLOR", "1").env_remove("KUBECONFIG").env_remove("BOOTSTRAPPER_REPO");
    command
}

/// A verb that only connects and reads one object.
fn history(kubeconfig: &Path) -> Command {
    let mut command = bare();
    command.args(["history", "home", "--context", "c", "--kubeconfig"]).arg(kubeconfig);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.current_dir(std::env::temp_dir()).timeout(LIMIT);
    command
}

/// A proxy that leads everywhere to one server, and keeps what it was asked for.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a proxy speaks, and whether it refuses.
#[derive(Clone)]
enum Speaks {
    Connect,
    ConnectOverTls(Authority),
    Refuses(&'static str),
    Socks5 { user: &'static str, password: &'static str },
}

impl Proxy {
    fn leading_to(port: u16, speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (speaks, kept) = (speaks.clone(), Arc::clone(&kept));
                std::thread::spawn(move || match speaks {
                    Speaks::Socks5 { user, password } => socks(connection, port, user, password, &kept),
                    Speaks::ConnectOverTls(authority) => over_tls(connection, port, &authority, &kept),
                    Speaks::Connect => connect(connection, port, None, &kept),
                    Speaks::Refuses(answer) => connect(connection, port, Some(answer), &kept),
                });
            }
        });
        Self { port: own, asked }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

fn connect(mut client: TcpStream, port: u16, refusal: Option<&str>, asked: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    asked.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    if let Some(refusal) = refusal {
        let _ = client.write_all(format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        return;
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    join(&client, &TcpStream::connect(("127.0.0.1", port)).unwrap());
}

fn join(one: &TcpStream, other: &TcpStream) {
    let (mut from, mut to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = there.join();
}

/// TLS to the proxy, and within it whatever goes to the server.
fn over_tls(client: TcpStream, port: u16, authority: &Authority, asked: &Arc<Mutex<Vec<String>>>) {
    let inner = Proxy::leading_to(port, Speaks::Connect);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        client.set_nonblocking(true).unwrap();
        let client = tokio::net::TcpStream::from_std(client).unwrap();
        let Ok(mut client) = authority.acceptor.accept(client).await else { return };
        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", inner.port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    asked.lock().unwrap().push(inner.asked());
}

fn socks(mut client: TcpStream, port: u16, user: &str, password: &str, asked: &Mutex<Vec<String>>) {
    fn take(client: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).unwrap();
        bytes
    }
    fn take_text(client: &mut TcpStream) -> String {
        let length = usize::from(take(client, 1)[0]);
        String::from_utf8(take(client, length)).unwrap()
    }
    let methods = usize::from(take(&mut client, 2)[1]);
    assert!(take(&mut client, methods).contains(&2));
    client.write_all(&[5, 2]).unwrap();
    take(&mut client, 1);
    let shown = (take_text(&mut client), take_text(&mut client));
    let is_known = shown == (user.to_owned(), password.to_owned());
    client.write_all(&[1, u8::from(!is_known)]).unwrap();
    if !is_known {
        return;
    }
    assert_eq!(take(&mut client, 4), [5, 1, 0, 3], "a name is the proxy's to look up");
    let name = take_text(&mut client);
    let of_port = take(&mut client, 2);
    let told = format!("{name}:{}", u16::from_be_bytes([of_port[0], of_port[1]]));
    asked.lock().unwrap().push(told);
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).unwrap();
    join(&client, &TcpStream::connect(("127.0.0.1", port)).unwrap());
}

#[test]
fn proxies_of_the_environment_lead_to_the_api_server() {
    let (secure, plain) = (ApiServer::secure(), ApiServer::willing());
    let by_name =
        |server: &ApiServer, url: String| server.kubeconfig_of(&url, &json!({}), &json!({"token": "t"}));
    let https = by_name(&secure, format!("https://{NAME}:6443"));

    let proxy = Proxy::leading_to(secure.port, Speaks::Connect);
    let address = format!("http://al%40ice:hunter2@127.0.0.1:{}", proxy.port);
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        history(&https).env(variable, &address).assert().success();
    }
    history(&https).env("HTTPS_PROXY", format!("127.0.0.1:{}", proxy.port)).assert().success();
    assert!(proxy.asked().contains(&format!("CONNECT {NAME}:6443 HTTP/1.1")), "{}", proxy.asked());
    // al@ice:hunter2
    assert!(proxy.asked().contains("Proxy-Authorization: Basic YWxAaWNlOmh1bnRlcjI="), "{}", proxy.asked());

    let proxy = Proxy::leading_to(plain.port, Speaks::Connect);
    history(&by_name(&plain, format!("http://{NAME}")))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port))
        .assert()
        .success();
    assert!(proxy.asked().contains(&format!("CONNECT {NAME}:80")), "{}", proxy.asked());

    let over_tls = Speaks::ConnectOverTls(secure.authority.clone().unwrap());
    let proxy = Proxy::leading_to(secure.port, over_tls);
    history(&https).env("HTTPS_PROXY", format!("https://127.0.0.1:{}", proxy.port)).assert().success();

    let proxy = Proxy::leading_to(secure.port, Speaks::Socks5 { user: "alice", password: "hunter2" });
    for scheme in ["socks5", "socks5h"] {
        let address = format!("{scheme}://alice:hunter2@127.0.0.1:{}", proxy.port);
        history(&https).env("ALL_PROXY", address).assert().success();
    }
    assert!(proxy.asked().contains(&format!("{NAME}:6443")), "{}", proxy.asked());
}

#[test]
fn a_proxy_of_the_kubeconfig_counts_for_loopback_too_and_no_proxy_does_not_lift_it() {
    let server = ApiServer::secure();
    let proxy = Proxy::leading_to(server.port, Speaks::Connect);
    let cluster = json!({"proxy-url": format!("http://127.0.0.1:{}", proxy.port)});
    let kubeconfig = server.kubeconfig_of(&server.url(), &cluster, &json!({"token": "t"}));
    history(&kubeconfig).env("NO_PROXY", "*").assert().success();
    assert!(proxy.asked().contains(&format!("CONNECT 127.0.0.1:{}", server.port)), "{}", proxy.asked());
}

#[test]
fn loopback_and_what_no_proxy_names_are_reached_directly() {
    let server = ApiServer::secure();
    let proxy = Proxy::leading_to(server.port, Speaks::Connect);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    history(&server.kubeconfig()).env("HTTPS_PROXY", &address).env("ALL_PROXY", &address).assert().success();
    // Nobody knows that name but the proxy.
    let by_name = server.kubeconfig_of(&format!("https://{NAME}:6443"), &json!({}), &json!({}));
    for no_proxy in ["*", ".test", "cluster.test", "x, api.cluster.test:6443"] {
        history(&by_name).env("HTTPS_PROXY", &address).env("NO_PROXY", no_proxy).assert().code(5);
    }
    assert_eq!(proxy.asked(), "");
}

#[test]
fn a_proxy_that_is_dead_or_refuses_is_named_without_its_password() {
    let server = ApiServer::secure();
    let by_name = server.kubeconfig_of(&format!("https://{NAME}:6443"), &json!({}), &json!({}));
    for answer in ["407 Proxy Authentication Required", "403 Forbidden"] {
        let proxy = Proxy::leading_to(server.port, Speaks::Refuses(answer));
        let address = format!("http://alice:hunter2@127.0.0.1:{}", proxy.port);
        history(&by_name)
            .env("HTTPS_PROXY", address)
            .assert()
            .code(5)
            .stderr(contains("through the proxy of HTTPS_PROXY").and(contains("hunter2").not()));
    }
    for unusable in ["http://hunter2@", "ftp://hunter2@127.0.0.1", "http://127.0.0.1:hunter2"] {
        let said = contains("the proxy of HTTPS_PROXY cannot be used").and(contains("hunter2").not());
        history(&by_name).env("HTTPS_PROXY", unusable).assert().code(5).stderr(said);
    }
    history(&by_name)
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .assert()
        .code(5)
        .stderr(contains("HTTPS_PROXY"));
}

#[test]
fn a_connection_that_others_can_read_is_said_aloud() {
    let plain = ApiServer::willing();
    history(&plain.kubeconfig())
        .assert()
        .success()
        .stderr(contains("warning: the connection to http://127.0.0.1"));
    let secure = ApiServer::secure();
    let unsafe_one = json!({"insecure-skip-tls-verify": true});
    let kubeconfig = secure.kubeconfig_of(&secure.url(), &unsafe_one, &json!({"token": "t"}));
    history(&kubeconfig)
        .assert()
        .success()
        .stderr(contains("warning: insecure-skip-tls-verify is set for https://"));
    history(&secure.kubeconfig()).assert().success().stderr(contains("warning").not());
    // Before anything is sent, and so of a server that is not there, too.
    let nobody = plain.kubeconfig_of("http://127.0.0.1:1", &json!({}), &json!({}));
    history(&nobody).assert().code(5).stderr(contains("warning: the connection to http://127.0.0.1:1"));
}

#[test]
fn kubeconfigs_that_are_not_there_are_skipped_as_kubectl_does() {
    let server = ApiServer::willing();
    let with = |list: String| {
        let mut command = bare();
        command.args(["history", "home", "--context", "c"]).current_dir(std::env::temp_dir());
        command.env("KUBECONFIG", list).timeout(LIMIT);
        command.assert()
    };
    let real = server.kubeconfig();
    with(format!("/no/such/file::{}:", real.display())).success();
    let folder = tempfile::tempdir().unwrap();
    with("/no/such/file:/nor/this".to_owned()).code(5).stderr(contains("/no/such/file, /nor/this"));
    // One that is there and cannot be read is another thing.
    with(format!("{}:{}", folder.path().display(), real.display())).code(5).stderr(contains("cannot read"));
    // So is one that says nothing, or has no end.
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    with(pipe.display().to_string()).code(5).stderr(contains("timed out after"));
    with("/dev/zero".to_owned()).code(5).stderr(contains("larger than 16 MiB"));
}

#[test]
fn no_credential_makes_it_panic_and_none_is_shown() {
    let server = ApiServer::secure();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "from-a-file\n").unwrap();
    let with =
        |user: serde_json::Value| history(&server.kubeconfig_of(&server.url(), &json!({}), &user)).assert();
    with(json!({"tokenFile": token})).success();
    for (user, field) in [
        (json!({"token": "hunter2\n"}), "`token` of user `alice` ends with a line break"),
        (json!({"token": "hunter2\u{1}"}), "`token` of user `alice` contains a control character"),
        (json!({"as": "hunter2\n"}), "`as` of user `alice`"),
        (json!({"client-key-data": "hunter2"}), "`client-key-data` of user `alice`"),
        (
            json!({"exec": {"command": "sh", "args": ["-c", "echo hunter2; echo hunter2 >&2; exit 1"], "env": [{"name": "A", "value": "hunter2"}]}}),
            "plugin `sh` of user `alice` failed",
        ),
    ] {
        let said = contains(field).and(contains("hunter2").not()).and(contains("panic").not());
        with(user).code(5).stdout(contains("hunter2").not()).stderr(said.and(contains("context `c`")));
    }
}

#[test]
fn a_credential_plugin_that_never_ends_is_named() {
    let server = ApiServer::secure();
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["1000"]}});
    let kubeconfig = server.kubeconfig_of(&server.url(), &json!({}), &user);
    let said = contains("plugin `sleep` of user `alice` did not finish within 2 s");
    history(&kubeconfig).env("BOOTSTRAPPER_CREDENTIALS_TIMEOUT", "2").assert().code(5).stderr(said);
}
