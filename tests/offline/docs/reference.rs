//! The reference is made from the code: `UPDATE=1 cargo test --test offline docs::reference` writes all of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bootstrapper::cli::Args;
use bootstrapper::{diagnosis, failure::FailureKind, pipeline, steps};
use clap::{Arg, Command, CommandFactory as _};
use regex::Regex;
use serde_json::Value;
use walkdir::WalkDir;

use super::markdown::{cell, code, paragraph, table};
use super::page::Page;
use super::schema_page;
use crate::common::root;

const UPDATE: &str = "UPDATE";

/// What a page says about itself.
const MADE: &str = "`UPDATE=1 cargo test --test offline docs::reference` writes this page from the code; the test compares it.\n\n";

/// Every generated page, by its path.
fn made() -> Vec<(PathBuf, String)> {
    let pages = [
        ("command-line", "The command line", command_line()),
        ("tasks", "Task files", tasks()),
        ("bootstrapper-yaml", "`bootstrapper.yaml`", config()),
        ("environment", "Environment variables", environment()),
        ("events", "Events", events()),
        ("versions", "Supported versions", versions()),
        ("permissions", "Permissions", permissions()),
    ];
    let reference = root().join("docs/reference");
    let mut made: Vec<(PathBuf, String)> = pages
        .into_iter()
        .map(|(name, title, text)| {
            let text = format!("# {title}\n\n{MADE}{}\n", text.trim_end());
            (reference.join(format!("{name}.md")), text)
        })
        .collect();
    made.push((root().join("docs/SUMMARY.md"), summary()));
    made
}

#[test]
fn is_that_of_the_code() {
    for (path, text) in made() {
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, text, "{}: {UPDATE}=1 cargo test --test offline docs::reference", path.display());
    }
}

/// The book's contents, with the failure codes that there are.
fn summary() -> String {
    let written = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut lines: Vec<String> = written.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("  - [BS-"));
    let after = lines.iter().position(|line| line.contains("(failures/README.md)")).unwrap();
    let codes = diagnosis::catalogue()
        .map(|(_, code)| format!("  - [{}: {}](failures/{}.md)", code.code, cell(code.title), code.code));
    lines.splice(after + 1..=after, codes);
    lines.join("\n") + "\n"
}

fn command_line() -> String {
    let mut command = Args::command();
    command.build();
    let mut page = String::new();
    describe(&command, "bootstrapper", &mut page);
    page
}

/// A command, and those under it.
fn describe(command: &Command, path: &str, page: &mut String) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    *page += &format!("## `{path}`\n\n");
    *page += &about.split("\n\n").map(paragraph).collect::<String>();
    let usage = usage.lines().map(|line| line.trim_start_matches("Usage:").trim());
    *page += &format!("```text\n{}\n```\n\n", usage.collect::<Vec<_>>().join("\n"));
    let shown = command.get_arguments().filter(|arg| !(arg.is_hide_set() || is_common(arg)));
    *page += &table(&["argument", "description"], &shown.map(row).collect::<Vec<_>>());
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        describe(verb, &format!("{path} {}", verb.get_name()), page);
    }
}

fn is_common(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

fn row(arg: &Arg) -> Vec<String> {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut said = vec![cell(&help)];
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| arg.get_action().takes_values() && !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("{} ({})", code(value.get_name()), cell(&help.to_string())),
            None => code(value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        said.push(format!("Values: {}", values.join(", ")));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| code(&value.to_string_lossy())).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        said.push(format!("Default: {}", defaults.join(", ")));
    }
    if let Some(name) = arg.get_env() {
        said.push(format!("Variable: {}", code(&name.to_string_lossy())));
    }
    vec![code(&spelled(arg)), said.join(". ")]
}

/// `-o, --output <OUTPUT>`.
fn spelled(arg: &Arg) -> String {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    if long.is_none() && short.is_none() {
        return arg.to_string();
    }
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| arg.get_action().takes_values());
    match value {
        Some(value) if arg.is_require_equals_set() => format!("{names}[=<{value}>]"),
        Some(value) => format!("{names} <{value}>"),
        None => names,
    }
}

fn tasks() -> String {
    let schema = serde_json::to_value(pipeline::schema()).unwrap();
    let intro = "`tasks/*.yaml` of a repository. Without them the pipeline is [derived](../design/derived-pipeline.md); \
        `bootstrapper tasks infra` prints it in this form. `bootstrapper schema tasks` prints the JSON Schema, for editors.\n\n";
    format!("{intro}{}", schema_page::sections(&schema, "A task file"))
}

fn config() -> String {
    let schema = serde_json::to_value(pipeline::config_schema()).unwrap();
    let intro = "`bootstrapper.yaml` is at the root of a repository, and optional. `bootstrapper init` writes it; `bootstrapper schema config` prints \
        the JSON Schema, for editors. [Examples of secrets](../howto/secrets.md).\n\n";
    format!("{intro}{}", schema_page::sections(&schema, "The file"))
}

/// Variables that are no options, with what they do.
const VARIABLES: [(&str, &str); 15] = [
    (
        "BOOTSTRAPPER_CHILD_MEMORY",
        "Memory limit of each program that it runs (helm, kustomize, …): `2GiB`. Default: `900MiB`",
    ),
    ("BOOTSTRAPPER_CHILD_OUTPUT", "Limit of the output of each: `128MiB`. Default: `64MiB`"),
    ("BOOTSTRAPPER_CHILD_TIME", "Limit of the time of each: `5m`"),
    (
        "BOOTSTRAPPER_CREDENTIALS_TIMEOUT",
        "How long a credential plugin of the kubeconfig may take, in seconds",
    ),
    ("BOOTSTRAPPER_LOG", "Log filter for debugging: `debug`, `kube=trace`. Never given to programs"),
    (
        "BOOTSTRAPPER_STATE_DIR",
        "Folder of approvals, sandboxes and the reports of runs. Default: `~/.local/state/bootstrapper`",
    ),
    (
        "GOPROXY",
        "Go module proxies for the charts and CRDs of sandboxes. Default: `https://proxy.golang.org`",
    ),
    (
        "HTTPS_PROXY",
        "Proxy for the API server and for downloads; `HTTP_PROXY`, `NO_PROXY` and the names in lower case count, too",
    ),
    ("KUBEBUILDER_ASSETS", "Folder with etcd and kube-apiserver for sandboxes"),
    ("KUBECONFIG", "The kubeconfig files. Default: `~/.kube/config`"),
    ("NO_COLOR", "No colours"),
    (
        "SOPS_AGE_KEY",
        "Age keys; `SOPS_AGE_KEY_FILE` and the other variables of sops count, too, once approved",
    ),
    ("SSL_CERT_FILE", "Trusted certificate authorities; `SSL_CERT_DIR` counts, too"),
    ("XDG_CACHE_HOME", "Folder of the caches. Default: `~/.cache`"),
    (
        "BOOTSTRAPPER_CLUSTER",
        "Set for a `command:` step: the cluster's name; `BOOTSTRAPPER_CONTEXT` is its context, and `KUBECONFIG` a kubeconfig for it alone",
    ),
];

/// What the program sets for its own processes, or only tests set.
const INTERNAL: [&str; 3] = ["BOOTSTRAPPER_SANDBOX", "BOOTSTRAPPER_TRIAL", "BOOTSTRAPPER_CONTEXT"];

fn environment() -> String {
    let mut command = Args::command();
    command.build();
    let mut options: Vec<(String, String)> = Vec::new();
    variables_of(&command, &mut options);
    options.sort();
    options.dedup_by(|one, other| one.0 == other.0);
    let of_options =
        options.iter().map(|(name, option)| vec![code(name), option.clone()]).collect::<Vec<_>>();
    let others = VARIABLES.map(|(name, meaning)| vec![code(name), cell(meaning)]);
    format!(
        "An option on the command line has precedence over its variable.\n\n{}{}",
        table(&["variable", "the same as"], &of_options),
        table(&["variable", "meaning"], &others)
    )
}

fn variables_of(command: &Command, all: &mut Vec<(String, String)>) {
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        all.extend(arg.get_env().map(|name| (name.to_string_lossy().into_owned(), code(&spelled(arg)))));
    }
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).for_each(|verb| variables_of(verb, all));
}

/// The source of the program, without its tests.
fn sources() -> Vec<(PathBuf, String)> {
    let folders = ["src", "crates"].map(|folder| WalkDir::new(root().join(folder)).sort_by_file_name());
    let files = folders.into_iter().flatten().map(|entry| entry.unwrap().into_path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    })
    .collect()
}

#[test]
fn every_variable_that_the_code_reads_is_described() {
    let page = environment();
    let name = Regex::new(r#""(BOOTSTRAPPER_[A-Z_]+)""#).unwrap();
    let mut missing = BTreeSet::new();
    for (path, text) in sources() {
        let used = name.captures_iter(&text).map(|found| found[1].to_owned());
        let unknown =
            used.filter(|name| !page.contains(&format!("`{name}`")) && !INTERNAL.contains(&name.as_str()));
        missing.extend(unknown.map(|name| format!("{name} ({})", path.display())));
    }
    assert!(missing.is_empty(), "describe them in tests/offline/docs/reference.rs: {missing:?}");
}

/// Examples of all events, as the engine's own test compares them.
fn events() -> String {
    let snapshot = "crates/engine/src/snapshots/bootstrapper_engine__event__tests__each_kind_as_json.snap";
    let text = std::fs::read_to_string(root().join(snapshot)).unwrap();
    let (_, text) = text.trim_start_matches("---").split_once("---\n").unwrap();
    let mut page = "`bootstrapper infra --progress json` writes one of these per line to stdout, and nothing else. `at` is the wall-clock time; `step` is null for \
        the run as a whole, `attempt` counts from 1. Fields may be added: ignore those that you do not know.\n\n"
        .to_owned();
    for event in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let event = event.unwrap();
        let name = event["event"].as_str().unwrap();
        page +=
            &format!("## `{name}`\n\n```json\n{}\n```\n\n", serde_json::to_string_pretty(&event).unwrap());
    }
    page
}

/// The first match in a file of the source, which must be there.
fn stated(file: &str, pattern: &str) -> String {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let found = Regex::new(pattern).unwrap().captures(&text).map(|found| found[1].to_owned());
    found.unwrap_or_else(|| panic!("{file}: {pattern} is not found"))
}

fn versions() -> String {
    let modules = "crates/sandbox/src/programs/modules/go.mod";
    let module = |path: &str| stated(modules, &format!(r"(?m)^\s*{} v(\S+)", regex::escape(path)));
    let oldest =
        stated("crates/steps/src/kinds/checks/server.rs", r"OLDEST: Version = Version::new\((\d+, \d+), ")
            .replace(", ", ".");
    let helm = stated("crates/tools/src/helm.rs", r"OLDEST: Version = Version::new\((\d+, \d+), ")
        .replace(", ", ".");
    let newest = module("k8s.io/kubernetes");
    let schemas = stated("tests/offline/schemas.rs", r"KUBERNETES: \[&str; \d+\] = \[([^\]]*)\]");
    let rust = stated("Cargo.toml", r#"(?m)^rust-version = "([^"]+)""#);
    let go = stated(modules, r"(?m)^go (\S+)");
    let rows = [
        ("Kubernetes", format!("{oldest} or newer"), format!("a sandbox runs {newest}")),
        ("Kubernetes schemas of `validate`", schemas.replace(['"', 'v'], ""), "these releases".to_owned()),
        ("Helm", format!("{helm} or newer, and 4"), format!("{} in a sandbox", module("helm.sh/helm/v4"))),
        (
            "Cilium",
            "rules know 1.15 to 1.20".to_owned(),
            format!("{} in a sandbox", module("github.com/cilium/cilium")),
        ),
        ("Flux source-controller", "2.x of Flux".to_owned(), module("github.com/fluxcd/source-controller")),
        (
            "Flux kustomize-controller",
            "2.x of Flux".to_owned(),
            module("github.com/fluxcd/kustomize-controller"),
        ),
        ("Flux helm-controller", "2.x of Flux".to_owned(), module("github.com/fluxcd/helm-controller")),
        ("Rust, to build it", format!("{rust} or newer"), "the version that CI uses".to_owned()),
        (
            "Go, if the sandbox's programs are not downloaded",
            format!("{go} or newer"),
            "an older one downloads it".to_owned(),
        ),
    ];
    let rows = rows.map(|(what, supported, tested)| vec![what.to_owned(), supported, tested]);
    table(&["what", "supported", "tested with"], &rows)
}

fn permissions() -> String {
    let rows = steps::needed_permissions().map(|needed| {
        let group = if needed.group.is_empty() { "core".to_owned() } else { code(needed.group) };
        let place = needed.namespace.map_or("cluster-wide".to_owned(), code);
        vec![
            group,
            code(needed.resource),
            place,
            needed.verbs.iter().map(|verb| code(verb)).collect::<Vec<_>>().join(", "),
        ]
    });
    format!(
        "A bootstrap installs CRDs, cluster-wide roles and controllers with roles of their own, so its credentials are those of a cluster \
        administrator: `cluster-admin`, or the `admin` kubeconfig of a new cluster. Preflight checks these permissions, and names each that is missing; \
        the charts that a cluster declares need more, which the API server names when it denies one.\n\n{}\
        `plan` and `handover` write nothing, but compare by server-side dry runs, for which the API server requires the permissions of the write. \
        `status`, `doctor` and `history` only read: `get`, `list` and `watch`. `doctor` never reads the values of Secrets.\n",
        table(&["group", "resource", "where", "verbs"], &rows.collect::<Vec<_>>())
    )
}

/// `docs/exit-codes.md` has a row for each code, and no others.
#[test]
fn every_exit_code_is_described() {
    let page = Page::read(&root().join("docs/exit-codes.md"));
    let rows =
        page.text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    let kinds = [
        FailureKind::Step,
        FailureKind::Input,
        FailureKind::Preflight,
        FailureKind::Connection,
        FailureKind::WrongCluster,
        FailureKind::Deadline,
        FailureKind::Locked,
        FailureKind::NotApproved,
        FailureKind::Internal,
        FailureKind::Cancelled,
    ];
    // 0 is success, 2 an invalid command line, by clap, and 10 is no failure: `plan --exit-code`.
    let codes: BTreeSet<u8> = kinds.iter().map(|kind| kind.exit_code()).chain([0, 2, 10]).collect();
    assert_eq!(rows.collect::<BTreeSet<u8>>(), codes, "docs/exit-codes.md");
}

#[test]
fn no_page_is_empty() {
    for (path, text) in made() {
        assert!(text.lines().count() > 5, "{}", path.display());
    }
}
