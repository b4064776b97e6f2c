//! The commands of a repository's existing bootstrap: Taskfiles, justfiles, mise, scripts, helmfiles.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::mise;
use super::probable_source::KnownFile;

/// A command of an existing bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The file that contains it.
    pub file: PathBuf,
    /// Its task, recipe or release; empty in a script.
    pub task: String,
    /// The command, on one line; the name of the chart in a helmfile.
    pub text: String,
    /// Whether it is a release of a helmfile.
    pub is_release: bool,
}

/// Every command of the existing bootstrap, in file order.
pub fn commands(files: &[KnownFile]) -> Vec<Command> {
    files.iter().flat_map(of_file).collect()
}

fn of_file(file: &KnownFile) -> Vec<Command> {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let in_bootstrap = is_bootstrap(&file.path.to_string_lossy());
    if name.starts_with("taskfile.") {
        return of_taskfile(file, in_bootstrap);
    }
    let extension = name.rsplit('.').next().unwrap_or_default();
    if name == "justfile" || name == ".justfile" || extension == "just" {
        return of_justfile(file, in_bootstrap);
    }
    if name.contains("helmfile") || (in_bootstrap && is_helmfile(file)) {
        return of_helmfile(file);
    }
    if mise::is_mise(&file.path) {
        return of_mise(file, in_bootstrap);
    }
    if in_bootstrap && matches!(extension, "sh" | "bash") {
        return of_script(&file.path, "", &file.text);
    }
    Vec::new()
}

fn is_bootstrap(name: &str) -> bool {
    let name = name.to_lowercase();
    ["bootstrap", "install", "flux"].iter().any(|word| name.contains(word))
}

fn of_taskfile(file: &KnownFile, in_bootstrap: bool) -> Vec<Command> {
    let mut found = Vec::new();
    for (task, body) in file.documents.iter().filter_map(|one| one["tasks"].as_object()).flatten() {
        if !in_bootstrap && !is_bootstrap(task) {
            continue;
        }
        let commands = [&body["cmds"], &body["cmd"], body];
        let commands = commands.into_iter().find(|one| one.is_array() || one.is_string());
        let texts: Vec<&str> = match commands {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => {
                all.iter().filter_map(|one| one.as_str().or(one["cmd"].as_str())).collect()
            }
            _ => Vec::new(),
        };
        found.extend(texts.into_iter().flat_map(|text| of_script(&file.path, task, text)));
    }
    found
}

fn of_justfile(file: &KnownFile, in_bootstrap: bool) -> Vec<Command> {
    let mut found = Vec::new();
    let mut recipe = String::new();
    let mut body = String::new();
    let mut end = |recipe: &str, body: &mut String| {
        if !recipe.is_empty() && (in_bootstrap || is_bootstrap(recipe)) {
            found.extend(of_script(&file.path, recipe, body));
        }
        body.clear();
    };
    for line in file.text.lines() {
        if line.starts_with([' ', '\t']) {
            body.push_str(line.trim().trim_start_matches('@'));
            body.push('\n');
            continue;
        }
        end(&recipe, &mut body);
        let head = line.split(':').next().unwrap_or_default();
        let is_recipe = line.contains(':') && !line.contains(":=") && !line.starts_with(['#', '[']);
        recipe = if is_recipe {
            head.split_whitespace().next().unwrap_or_default().to_owned()
        } else {
            String::new()
        };
    }
    end(&recipe, &mut body);
    found
}

/// The scripts of mise tasks.
fn of_mise(file: &KnownFile, in_bootstrap: bool) -> Vec<Command> {
    let scripts = mise::scripts(&file.text).into_iter();
    let scripts = scripts.filter(|(task, _)| in_bootstrap || is_bootstrap(task));
    scripts.flat_map(|(task, script)| of_script(&file.path, &task, &script)).collect()
}

fn is_helmfile(file: &KnownFile) -> bool {
    file.documents.iter().any(|document| document["releases"].is_array()) || file.text.contains("\nreleases:")
}

/// Reads line by line: a helmfile may be a template.
fn of_helmfile(file: &KnownFile) -> Vec<Command> {
    let mut name = String::new();
    let mut found = Vec::new();
    for line in file.text.lines().map(|line| line.trim().trim_start_matches("- ")) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim() {
            "name" => value.clone_into(&mut name),
            "chart" if !name.is_empty() => {
                let chart = value.rsplit('/').next().unwrap_or(value).to_owned();
                let task = std::mem::take(&mut name);
                found.push(Command { file: file.path.clone(), task, text: chart, is_release: true });
            }
            _ => {}
        }
    }
    found
}

/// The commands of a shell script, with continued lines joined. Shell control flow is omitted.
fn of_script(file: &Path, task: &str, script: &str) -> Vec<Command> {
    const STEERS: [&str; 21] = [
        "if", "then", "else", "elif", "fi", "for", "do", "done", "while", "until", "case", "esac", "set",
        "export", "echo", "printf", "log", "local", "return", "exit", "function",
    ];
    let joined = without_documents(&script.replace("\\\n", " "));
    let lines = joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let is_command = |line: &String| {
        let first = line.split(' ').next().unwrap_or_default();
        let has_program = PROGRAMS.iter().any(|program| line.contains(program));
        !line.is_empty()
            && !line.starts_with(['#', '}', '{', ')'])
            && (has_program || !STEERS.contains(&first))
            && !is_assignment(line)
            && !line.ends_with("() {")
    };
    let command =
        |text: String| Command { file: file.to_owned(), task: task.to_owned(), text, is_release: false };
    lines.filter(is_command).map(command).collect()
}

/// A script without the bodies of its here-documents.
fn without_documents(script: &str) -> String {
    let mut kept = String::new();
    let mut end: Option<String> = None;
    for line in script.lines() {
        if let Some(word) = &end {
            if line.trim() == word {
                end = None;
            }
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
        let word = line.split_once("<<").map(|(_, rest)| rest.trim_start_matches(['-', '<', ' ']));
        let word = word.and_then(|rest| rest.split([' ', '|', ';', '>']).next());
        end = word.map(|word| word.trim_matches(['"', '\'']).to_owned()).filter(|word| !word.is_empty());
    }
    kept
}

/// Programs that change a cluster, also inside a loop or a condition.
const PROGRAMS: [&str; 8] =
    ["kubectl ", "helm ", "helmfile ", "flux ", "sops ", "op inject", "talosctl ", "op run"];

fn is_assignment(line: &str) -> bool {
    let Some((name, _)) = line.split_once('=') else { return false };
    !name.is_empty()
        && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
        && !line.contains("$(")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str, document: Value) -> Vec<(String, String)> {
        let documents = if document.is_null() { Vec::new() } else { vec![document] };
        let file = KnownFile { path: path.into(), text: text.into(), documents };
        commands(&[file]).into_iter().map(|one| (one.task, one.text)).collect()
    }

    fn pair(task: &str, text: &str) -> (String, String) {
        (task.to_owned(), text.to_owned())
    }

    #[test]
    fn commands_are_found_wherever_people_write_them() {
        let taskfile = serde_json::json!({"tasks": {
            "apps": {"cmds": ["helmfile apply", {"cmd": "kubectl get nodes"}, {"task": "other"}]},
            "short": "flux check",
        }});
        let of_taskfile =
            [pair("apps", "helmfile apply"), pair("apps", "kubectl get nodes"), pair("short", "flux check")];
        assert_eq!(found(".taskfiles/bootstrap/Taskfile.yaml", "", taskfile.clone()), of_taskfile);
        assert_eq!(found("Taskfile.yaml", "", taskfile), []);

        let justfile = "set shell := ['bash']\nbootstrap cluster: prepare\n  @kubectl apply \\\n    -f x.yaml\n  # a comment\nlint:\n  yamllint .\n";
        assert_eq!(found("justfile", justfile, Value::Null), [pair("bootstrap", "kubectl apply -f x.yaml")]);

        let helmfile = "releases:\n  - name: cilium\n    chart: oci://quay.io/cilium/charts/cilium\n    version: {{ .Values.x }}\n";
        assert_eq!(found("bootstrap/helmfile.yaml", helmfile, Value::Null), [pair("cilium", "cilium")]);

        let mise = "[tasks.bootstrap]\nrun = \"flux install\"\n[tasks.lint]\nrun = \"x\"\n";
        assert_eq!(found(".mise.toml", mise, Value::Null), [pair("bootstrap", "flux install")]);
        let mise = "[tasks.bootstrap]\nrun = \"\"\"\nset -e\nflux install \\\\\n  --export\nkubectl apply -f x\n\"\"\"\n";
        assert_eq!(
            found(".mise.toml", mise, Value::Null),
            [pair("bootstrap", "flux install --export"), pair("bootstrap", "kubectl apply -f x")]
        );

        let script = "#!/bin/bash\nset -e\nNAME=x\nif kubectl get ns a; then\n  echo done\nfi\n";
        assert_eq!(
            found("scripts/bootstrap-apps.sh", script, Value::Null),
            [pair("", "if kubectl get ns a; then")]
        );
    }
}
