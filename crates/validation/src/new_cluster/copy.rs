//! Copies the files of a cluster with other settings. Preserves comments and order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::propose::renamed;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::yaml::written::{Node, Scalar, Style, Value, documents, read};
use bootstrapper_gitops::addresses::Settings;

/// The ConfigMap with the cluster-specific settings.
const SETTINGS: &str = "cluster-settings";

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path, relative to the repository.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// A copied file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its content.
    pub text: String,
    /// Lines that still contain the name of the cluster that it was copied from.
    pub mentions: Vec<usize>,
}

/// Copies a file of the cluster `from` for the cluster `to`: replaces paths of its folder, and sets the
/// settings to these values. Errors name `file`.
pub fn copy_file(text: &str, file: &Path, from: &str, to: &str, settings: &Settings) -> Result<Copied> {
    let moved = in_paths(text, from, to);
    let text = with_settings(&moved, file, settings)?;
    // A setting may contain it intentionally: as a peer.
    let meant: Vec<&String> = settings.values().filter(|value| renamed(value, from, to).is_some()).collect();
    let mentions = text.lines().enumerate().filter(|(_, line)| {
        let rest = meant.iter().fold((*line).to_owned(), |line, value| line.replace(value.as_str(), ""));
        renamed(&rest, from, to).is_some()
    });
    Ok(Copied { mentions: mentions.map(|(at, _)| at + 1).collect(), text })
}

/// `clusters/<from>` becomes `clusters/<to>`.
fn in_paths(text: &str, from: &str, to: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let folder = format!("clusters/{from}");
    let mut parts = text.split(&folder);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = if part.starts_with(is_name) { from } else { to };
        out.extend(["clusters/", name, part]);
    }
    out
}

fn with_settings(text: &str, file: &Path, settings: &Settings) -> Result<String> {
    if !text.contains(SETTINGS) {
        return Ok(text.to_owned());
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for document in documents(text) {
        let Some((root, _)) = read(document.text, document.line, file)? else { continue };
        let name = root.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_text);
        let (Some(SETTINGS), Some(Value::Map(entries, _))) = (name, root.get("data").map(|data| &data.value))
        else {
            continue;
        };
        for (key, node) in entries {
            if let Some(value) = settings.get(&key.text).filter(|value| node.as_text() != Some(value)) {
                set(&mut lines, key, node, value).ok_or_else(|| by_hand(file, key, node))?;
            }
        }
    }
    Ok(lines.concat())
}

/// Replaces a value. None if it is not on the same line as its key.
fn set(lines: &mut [String], key: &Scalar, node: &Node, value: &str) -> Option<()> {
    let Value::Scalar(old) = &node.value else { return None };
    let line = lines.get_mut(node.mark.line.checked_sub(1)?)?;
    let begin = line.char_indices().nth(node.mark.column.checked_sub(1)?)?.0 + key.written().len();
    let at = begin + line.get(begin..)?.find(old.written())?;
    // Preserve quotes.
    let written = match old.written().chars().next() {
        Some('"') => serde_json::Value::from(value).to_string(),
        Some('\'') => format!("'{}'", value.replace('\'', "''")),
        _ => Scalar::text(value).written().to_owned(),
    };
    line.replace_range(at..at + old.written().len(), &written);
    Some(())
}

fn by_hand(file: &Path, key: &Scalar, node: &Node) -> Failure {
    Failure::input(format!("the value of {} cannot be replaced", key.text))
        .because("it is not on the same line as its key")
        .at(Location { file: file.to_owned(), line: node.mark.line, column: node.mark.column })
        .hint("write it on one line")
}

/// `bootstrapper.yaml` with an entry for the new cluster, copied from that of `from`; none if there is no such
/// entry. Names of variables, contexts and paths in it are renamed with the cluster.
pub fn copy_of_config(text: &str, file: &Path, from: &str, to: &str) -> Result<Option<String>> {
    let Some((root, _)) = read(text, 1, file)? else { return Ok(None) };
    let Some(clusters) = root.get("clusters") else { return Ok(None) };
    let Value::Map(entries, style) = &clusters.value else { return Ok(None) };
    let Some((_, entry)) = entries.iter().find(|(key, _)| key.text == from) else { return Ok(None) };
    if *style == Style::Flow {
        let place = Location { file: file.to_owned(), line: entry.mark.line, column: entry.mark.column };
        return Err(Failure::input(format!(
            "the entry of {from} is in flow style ({{…}}) and cannot be copied"
        ))
        .at(place)
        .hint("write `clusters` in block style"));
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let begins: BTreeMap<usize, usize> =
        entries.iter().map(|(_, node)| (node.mark.line - 1, node.mark.column - 1)).collect();
    let block =
        lines[entry.mark.line - 1..end_of(&lines, entry.mark.line - 1, entry.mark.column - 1)].concat();
    let block = renamed(&block, from, to).unwrap_or(block);
    let variable = |name: &str| name.to_uppercase().replace('-', "_");
    let block = renamed(&block, &variable(from), &variable(to)).unwrap_or(block);
    let end =
        begins.into_iter().next_back().map_or(lines.len(), |(line, indent)| end_of(&lines, line, indent));
    let mut before = lines[..end].concat();
    if !before.ends_with('\n') {
        before.push('\n');
    }
    let after = lines[end..].concat();
    let separator = if after.is_empty() || block.ends_with('\n') { "" } else { "\n" };
    Ok(Some(format!("{before}{block}{separator}{after}")))
}

/// The end of a block that begins on a line with this indent: before the next line with the same or less
/// indent, without trailing empty lines.
fn end_of(lines: &[&str], begin: usize, indent: usize) -> usize {
    let is_beneath = |line: &&&str| line.trim().is_empty() || line.len() - line.trim_start().len() > indent;
    let length = lines[begin + 1..].iter().take_while(is_beneath).count();
    let empty =
        lines[begin + 1..=begin + length].iter().rev().take_while(|line| line.trim().is_empty()).count();
    begin + 1 + length - empty
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(text: &str, settings: &[(&str, &str)]) -> Copied {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        copy_file(text, Path::new("x.yaml"), "infra", "media", &settings).unwrap()
    }

    #[test]
    fn settings_change_and_all_else_stays() {
        let old = "\
# Everything that differs.
kind: ConfigMap
metadata:
  name: cluster-settings
data:
  # About the name.
  CLUSTER_NAME: infra # infra it is
  CLUSTER_ID: \"1\"
  POD_CIDR:   10.42.0.0/16
  PORT: \"6443\"
  LIST: '[\"it''s\"]'
---
kind: ConfigMap
metadata: {name: other}
data: {CLUSTER_ID: \"1\"}
";
        let new = copied(
            old,
            &[("CLUSTER_NAME", "media"), ("CLUSTER_ID", "3"), ("POD_CIDR", "1234"), ("LIST", "['x']")],
        );
        let expected = old
            .replace("CLUSTER_NAME: infra #", "CLUSTER_NAME: media #")
            .replace("CLUSTER_ID: \"1\"\n  POD", "CLUSTER_ID: \"3\"\n  POD")
            .replace("10.42.0.0/16", "\"1234\"")
            .replace("'[\"it''s\"]'", "'[''x'']'");
        assert_eq!(new, Copied { text: expected, mentions: vec![7] });
    }

    #[test]
    fn paths_lead_to_the_new_folder() {
        let new =
            copied("path: ./kubernetes/clusters/infra\nother: clusters/infra-old, clusters/infra/x\n", &[]);
        assert_eq!(
            new.text,
            "path: ./kubernetes/clusters/media\nother: clusters/infra-old, clusters/media/x\n"
        );
        assert_eq!(new.mentions, [2]);
    }

    #[test]
    fn a_value_on_lines_of_its_own_is_refused() {
        let text = "metadata: {name: cluster-settings}\ndata:\n  A: |\n    x\n";
        let settings = BTreeMap::from([("A".to_owned(), "y".to_owned())]);
        let refused = copy_file(text, Path::new("x.yaml"), "infra", "media", &settings).unwrap_err();
        assert_eq!(refused.location.map(|at| at.line), Some(3));
    }

    #[test]
    fn the_configuration_gets_an_entry_like_the_others() {
        let old = "\
# What is secret.
clusters:
  infra:
    context: infra
    secrets:
      - name: s # of infra
        data:
          PASSWORD: {env: INFRA_BGP_PASSWORD}
          TOKEN: {op: op://vault/infra/token}

  # The other one.
  apps:
    context: apps
# The end.
";
        let expected = old.replace(
            "    context: apps\n",
            "    context: apps
  media-2:
    context: media-2
    secrets:
      - name: s # of media-2
        data:
          PASSWORD: {env: MEDIA_2_BGP_PASSWORD}
          TOKEN: {op: op://vault/media-2/token}
",
        );
        let copy = |text: &str, from| copy_of_config(text, Path::new("b.yaml"), from, "media-2");
        assert_eq!(copy(old, "infra").unwrap(), Some(expected));
        assert_eq!(copy(old, "none").unwrap(), None);
        assert_eq!(copy("# empty\n", "infra").unwrap(), None);
        assert!(copy("clusters: {infra: {context: x}}\n", "infra").is_err());
        let last = "clusters:\n  infra:\n    context: infra";
        assert_eq!(
            copy(last, "infra").unwrap().unwrap(),
            format!("{last}\n  media-2:\n    context: media-2")
        );
    }
}
