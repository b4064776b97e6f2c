//! The tasks in mise's configuration: a script, several scripts, or tables of scripts.

use std::path::Path;

use toml_edit::{Document, Item, TableLike};

/// Whether mise reads a file of this name as its configuration.
pub fn is_mise(path: &Path) -> bool {
    let path = path.to_string_lossy().to_lowercase();
    let mut parts = path.rsplit('/');
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("config.toml", folder) => matches!(folder, "mise" | ".mise"),
        (name, _) => {
            let name = name.trim_start_matches('.');
            name.starts_with("mise.") && name.rsplit('.').next() == Some("toml")
        }
    }
}

/// Every script, with the name of its task; none if the text is not valid TOML.
pub(super) fn scripts(text: &str) -> Vec<(String, String)> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let Some(tasks) = document.get("tasks").and_then(Item::as_table_like) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, task) in tasks.iter() {
        of_task(name, task, &mut found);
    }
    found
}

/// `bootstrap = "…"`, `bootstrap = ["…"]`, `[tasks.bootstrap]`, `[[tasks.bootstrap]]`.
fn of_task(name: &str, task: &Item, found: &mut Vec<(String, String)>) {
    let mut add = |script: &str| found.push((name.to_owned(), script.to_owned()));
    if let Some(table) = task.as_table_like() {
        of_table(table, &mut add);
    } else if let Some(tables) = task.as_array_of_tables() {
        tables.iter().for_each(|table| of_table(table, &mut add));
    } else {
        of_run(task, &mut add);
    }
}

fn of_table(table: &dyn TableLike, add: &mut dyn FnMut(&str)) {
    if let Some(run) = table.get("run") {
        of_run(run, add);
    }
}

/// One script, or several; a table among them refers to another task, which has its own entry.
fn of_run(run: &Item, add: &mut dyn FnMut(&str)) {
    if let Some(script) = run.as_str() {
        add(script);
    }
    for script in run.as_array().into_iter().flatten().filter_map(|one| one.as_str()) {
        add(script);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_in_every_way_of_writing_them() {
        let table = [
            ("[tasks.a]\nrun = \"x\"\n", vec!["x"]),
            ("[tasks.\"a\"]\nrun = 'x'\n", vec!["x"]),
            ("[tasks.a]\nrun = [\n  'x', # first\n  \"y\",\n]\n", vec!["x", "y"]),
            ("[tasks.a]\nrun = [\"x\", {task = \"b\"}, \"y\"]\n", vec!["x", "y"]),
            ("[tasks.a]\nrun = '''\nx\ny\n'''\n", vec!["x\ny\n"]),
            ("[tasks]\na = \"x\"\n", vec!["x"]),
            ("[tasks]\na = [\"x\", \"y\"]\n", vec!["x", "y"]),
            ("[tasks]\na = {run = \"x\", depends = [\"b\"]}\n", vec!["x"]),
            ("[[tasks.a]]\nrun = \"x\"\n[[tasks.a]]\nrun = \"y\"\n", vec!["x", "y"]),
            ("tasks.a.run = \"x\"\n[[hooks.enter]]\nrun = \"z\"\n", vec!["x"]),
            ("[tools]\nrun = \"x\"\n", vec![]),
            ("[tasks.a\nrun = \"x\"\n", vec![]),
        ];
        for (text, expected) in table {
            let expected: Vec<(String, String)> =
                expected.into_iter().map(|script| ("a".to_owned(), script.to_owned())).collect();
            assert_eq!(scripts(text), expected, "{text}");
        }
    }

    #[test]
    fn files_of_mise_are_known_by_their_names() {
        for (path, expected) in [
            ("mise.toml", true),
            ("infra/.mise.toml", true),
            ("mise.local.toml", true),
            (".config/mise/config.toml", true),
            (".mise/config.toml", true),
            ("config.toml", false),
            ("mise.toml.j2", false),
        ] {
            assert_eq!(is_mise(Path::new(path)), expected, "{path}");
        }
    }
}
