//! No value of a secret in any output; nothing of others' texts that a terminal or a CI system obeys; no
//! panic where nobody reads.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::common::repository;

const TOKEN: &str = "marker-of-the-token \"7f3a/9+c\\1e§";
const PASSWORD: &str = "marker-of-the-variable-51c2";
const PIN: &str = "80417";

/// What a hostile name brings: a forged line, commands to CI, escape sequences, text that turns.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\n::set-output name=a::b\n##vso[task.setvariable]x\r\u{202e}evil\u{200b}";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrapper"));
    command
        .env("NO_COLOR", "1")
        .env_remove("KUBECONFIG")
        .env_remove("BOOTSTRAPPER_REPO")
        .stdin(Stdio::null());
    command
}

/// An API server that answers every request with a refusal in `words`.
fn refusing(words: impl Fn(&str) -> String + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let words = Arc::new(words);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let words = Arc::clone(&words);
            std::thread::spawn(move || answer(stream, &*words));
        }
    });
    port
}

fn answer(stream: TcpStream, words: &dyn Fn(&str) -> String) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            if header.trim().is_empty() {
                break;
            }
            let header = header.to_ascii_lowercase();
            length = header
                .strip_prefix("content-length:")
                .map_or(length, |number| number.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (code, body) = if path == "/version" {
            let version = serde_json::json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
            (200, version.to_string())
        } else {
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "Invalid", "code": 422, "message": words(path)});
            (422, status.to_string())
        };
        let head = format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if reader.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn kubeconfig(folder: &Path, port: u16) -> PathBuf {
    let kubeconfig = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "a", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "contexts": [{"name": "c", "context": {"cluster": "a", "user": "u"}}],
        "users": [{"name": "u", "user": {"username": "somebody", "password": TOKEN}}]});
    let file = folder.join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    file
}

/// A value as servers, charts and programs repeat it.
fn forms(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap();
    let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let patch = serde_json::json!({"data": {"token": STANDARD.encode(value)}}).to_string();
    vec![
        value.to_owned(),
        serde_json::to_string(&json).unwrap(),
        format!("{:?}", value.as_bytes()),
        STANDARD.encode(value),
        URL_SAFE_NO_PAD.encode(value),
        STANDARD.encode(format!("x{value}")),
        STANDARD.encode(format!("xy{value}yz")),
        STANDARD.encode(&patch),
        patch,
        percent,
        hex,
        json,
    ]
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn assert_kept(said: &str, values: &[&str], what: &str) {
    assert!(!said.contains("panicked"), "{what}: {said}");
    for value in values {
        let pieces: Vec<&str> =
            if value.len() > 8 { vec![&value[..10], &value[value.len() - 8..]] } else { vec![value] };
        for form in forms(value).iter().map(String::as_str).chain(pieces) {
            let core = form.trim_matches(['"', '=']);
            assert!(!said.contains(core), "{what}: {core} is in\n{said}");
        }
    }
}

fn assert_harmless(said: &str, what: &str) {
    let is_obeyed =
        |one: char| (one.is_control() && one != '\n' && one != '\t') || "\u{202e}\u{200b}".contains(one);
    assert!(!said.contains(is_obeyed), "{what}: {said:?}");
    assert!(!said.contains("##vso["), "{what}: {said}");
    assert!(!said.lines().any(|line| line.trim_start().starts_with("::set-output")), "{what}: {said}");
}

#[test]
fn no_value_of_a_secret_is_in_any_output_whatever_the_api_server_says() {
    let copy = repository();
    let port = refusing(|path| {
        let all: Vec<String> = [TOKEN, PASSWORD].iter().flat_map(|value| forms(value)).collect();
        format!(
            "{path}: failed to create typed patch object: {} the pin is {PIN} or {} {HOSTILE} cut off: {}",
            all.join(" "),
            STANDARD.encode(PIN),
            &TOKEN[..24]
        )
    });
    let kubeconfig = kubeconfig(copy.path(), port);
    let target = [
        "--context",
        "c",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--repo",
        copy.path().to_str().unwrap(),
    ];
    let verbs: [&[&str]; 4] = [
        &["history", "infra"],
        &["history", "infra", "-o", "json"],
        &["doctor", "infra"],
        &["doctor", "infra", "-o", "json"],
    ];
    for verb in verbs {
        for log in ["off", "trace"] {
            let output = program()
                .args(verb)
                .args(target)
                .env("INFRA_BGP_PASSWORD", PASSWORD)
                .env("A_PIN_TOKEN", format!("{PIN}\nof-the-environment"))
                .env("BOOTSTRAPPER_LOG", log)
                .output()
                .unwrap();
            let what = format!("{verb:?}, log {log}");
            let said = said(&output);
            assert_kept(&said, &[TOKEN, PASSWORD], &what);
            if log == "off" {
                // A log has numbers of its own.
                assert_kept(&said, &[PIN], &what);
            }
            assert_harmless(&said, &what);
            if log == "off" {
                assert!(said.contains("***"), "{what}: {said}");
            }
            if verb.contains(&"json") && !output.stdout.is_empty() {
                serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
            }
        }
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_not_repeated() {
    let copy = repository();
    let file = copy.path().join("kubeconfig");
    let texts = [
        format!("users:\n- name: u\n  user:\n    token: {PASSWORD}\n   broken: [\n"),
        format!("users:\n- name: u\n  user: {PASSWORD}\n"),
        format!("users: {PASSWORD}\n"),
        format!("clusters: []\nusers:\n- {{name: u, user: {{token: [{PASSWORD}]}}}}\n"),
    ];
    for text in texts {
        std::fs::write(&file, &text).unwrap();
        let output = program()
            .args(["history", "infra", "--context", "c", "--kubeconfig", file.to_str().unwrap()])
            .args(["--repo", copy.path().to_str().unwrap()])
            .output()
            .unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert_kept(&said, &[PASSWORD], &text);
    }
}

#[test]
fn what_a_credential_plugin_writes_is_not_repeated() {
    let copy = repository();
    let file = copy.path().join("kubeconfig");
    for script in [
        format!("echo '{{\"status\": {{\"token\": \"{PASSWORD}\"'; echo {PASSWORD} >&2; exit 1"),
        format!("echo '{PASSWORD}: ['"),
        format!("echo '{{\"status\": \"{PASSWORD}\"}}'"),
    ] {
        let kubeconfig = serde_json::json!({"apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "a", "user": "u"}}],
            "users": [{"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
                "args": ["-c", script], "interactiveMode": "Never", "env": [{"name": "X", "value": TOKEN}]}}}]});
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        let output = program()
            .args(["history", "infra", "--context", "c", "--kubeconfig", file.to_str().unwrap()])
            .args(["--repo", copy.path().to_str().unwrap()])
            .env("BOOTSTRAPPER_LOG", "trace")
            .output()
            .unwrap();
        let said = said(&output);
        assert!(!output.status.success(), "{said}");
        assert_kept(&said, &[PASSWORD, TOKEN], &script);
    }
}

#[test]
fn what_a_terminal_obeys_is_shown_also_if_it_comes_from_the_command_line_or_a_file() {
    let copy = repository();
    let repo = copy.path().to_str().unwrap();
    for arguments in [
        vec!["list", "--repo", "/nowhere/\u{1b}[2J\n::set-output name=a::b"],
        vec!["--\u{1b}[2J\n::set-output name=a::b\u{202e}"],
        vec!["explain", HOSTILE],
        vec!["history", HOSTILE, "--repo", repo],
        vec!["convert", "bgp", "/nowhere/\u{1b}[2J\n::set-output name=a::b"],
    ] {
        let output = program().args(&arguments).output().unwrap();
        assert!(!output.status.success());
        assert_harmless(&said(&output), &format!("{arguments:?}"));
    }
}

#[test]
fn convert_changes_nothing_in_a_file_but_what_is_dangerous() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.yaml");
    let text = "# 👩\u{200d}💻 co\u{ad}op ::x::\r\na: 'b'\r\n";
    for (given, expected) in
        [(text.to_owned(), text.to_owned()), ("# \u{202e}x\n".to_owned(), "# \\u{202e}x\n".to_owned())]
    {
        std::fs::write(&file, given).unwrap();
        let output = program().args(["convert", "bgp"]).arg(&file).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

/// Verbs that need no cluster and no other program, and what they end with.
fn verbs() -> Vec<Vec<String>> {
    let folder = env!("CARGO_MANIFEST_DIR");
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    vec![
        words(&["--help"]),
        words(&["--version"]),
        words(&["plan", "--help"]),
        words(&["completions", "bash"]),
        words(&["completions", "zsh"]),
        words(&["list", "--repo", folder]),
        words(&["list", "--repo", folder, "-o", "json"]),
        words(&["list", "--repo", "/nowhere"]),
        words(&["schema", "tasks"]),
        words(&["schema", "config"]),
        words(&["explain"]),
        words(&["explain", "-o", "json"]),
        words(&["explain", "BS-POD-001"]),
        words(&["explain", "nothing"]),
        words(&["validate", "--rules"]),
        words(&["validate", "--explain", "nothing"]),
        words(&["convert", "bgp", "/dev/null"]),
        words(&["convert", "bgp", "/nowhere"]),
        words(&["sandbox", "list"]),
        words(&["sandbox", "kubeconfig", "nothing"]),
        words(&["history", "infra", "--repo", folder, "--kubeconfig", "/nowhere"]),
        words(&["doctor", "infra", "--repo", folder, "--kubeconfig", "/nowhere"]),
        words(&["--no-such-flag"]),
        words(&["no-such-cluster", "--repo", folder]),
        vec![],
    ]
}

fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_closed_pipe_ends_quietly_and_a_full_disk_is_a_failure() {
    let state = tempfile::tempdir().unwrap();
    let mut wrong = BTreeMap::new();
    for verb in verbs() {
        let run = |stdout: Stdio, stderr: Stdio| {
            let mut command = program();
            command.args(&verb).env("BOOTSTRAPPER_STATE_DIR", state.path()).stdout(stdout).stderr(stderr);
            // The log writes to stderr, too.
            command.env("BOOTSTRAPPER_LOG", "trace").env("KUBECONFIG", "/nowhere");
            command.spawn().unwrap().wait_with_output().unwrap()
        };
        let usual = run(Stdio::piped(), Stdio::piped());
        let mut expect = |what: &str, output: &Output, is_right: bool| {
            if !is_right || said(output).contains("panicked") {
                wrong.insert(format!("{verb:?}, {what}"), format!("{:?}: {}", output.status, said(output)));
            }
        };
        let closed = run(closed_pipe(), Stdio::piped());
        expect("stdout closed", &closed, closed.status.code() == usual.status.code());
        let closed = run(closed_pipe(), closed_pipe());
        expect("both closed", &closed, closed.status.code() == usual.status.code());
        for (stdout, stderr, is_written, what) in [
            (full_disk(), Stdio::piped(), !usual.stdout.is_empty(), "stdout full"),
            (Stdio::piped(), full_disk(), !usual.stderr.is_empty(), "stderr full"),
            (full_disk(), full_disk(), !(usual.stdout.is_empty() && usual.stderr.is_empty()), "both full"),
        ] {
            let full = run(stdout, stderr);
            let code = full.status.code();
            let is_right =
                if is_written { code.is_some_and(|code| code != 0) } else { code == usual.status.code() };
            expect(what, &full, is_right);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
