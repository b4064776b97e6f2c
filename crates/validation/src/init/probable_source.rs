//! Guesses where the values of a Secret are, from the files in the repository's folder.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::secrets::NeededSecret;

/// A file in the repository's folder.
#[derive(Debug, Clone)]
pub struct KnownFile {
    /// Its path within the repository.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Its YAML documents; none for a template that is not valid YAML.
    pub documents: Vec<Value>,
}

/// The probable source of a Secret's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbableSource {
    /// A Secret encrypted by SOPS.
    Sops(PathBuf),
    /// A template with references to 1Password.
    Template(PathBuf),
    /// A file with the age key.
    AgeKey(PathBuf),
    /// The age keys that sops finds on this machine.
    Machine,
    /// No known source.
    Unknown,
}

/// The probable source of the values of a cluster's Secret.
pub fn probable_source(cluster: &str, needed: &NeededSecret, files: &[KnownFile]) -> ProbableSource {
    let holds_it = |file: &&KnownFile| file.documents.iter().any(|document| is_secret(document, needed));
    let is_sops = |file: &&KnownFile| file.documents.iter().any(|document| document["sops"].is_object());
    if let Some(file) =
        one_of(cluster, &files.iter().filter(|file| holds_it(file) && is_sops(file)).collect::<Vec<_>>())
    {
        return ProbableSource::Sops(file.path.clone());
    }
    let is_template = |file: &&KnownFile| file.text.contains("op://") && names_it(file, needed);
    if let Some(file) = one_of(cluster, &files.iter().filter(is_template).collect::<Vec<_>>()) {
        return ProbableSource::Template(file.path.clone());
    }
    if needed.keys.iter().any(|key| is_age_name(Path::new(key))) {
        let key = files.iter().find(|file| is_age_name(&file.path) && file.text.contains("AGE-SECRET-KEY-"));
        return key.map_or(ProbableSource::Machine, |file| ProbableSource::AgeKey(file.path.clone()));
    }
    ProbableSource::Unknown
}

/// The only file; of several, the one whose path contains the cluster's name, so that no cluster gets another's
/// credentials.
fn one_of<'a>(cluster: &str, files: &[&'a KnownFile]) -> Option<&'a KnownFile> {
    let names_cluster = |file: &&&KnownFile| {
        let path = file.path.to_string_lossy();
        path.split(['/', '.', '-', '_']).any(|word| word == cluster)
    };
    let own: Vec<&&KnownFile> = files.iter().filter(names_cluster).collect();
    match (own.as_slice(), files) {
        ([only], _) => Some(**only),
        ([], [only]) => Some(*only),
        _ => None,
    }
}

/// Whether a file is named like an age key: `age.agekey`, `age.key`.
fn is_age_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.rsplit_once('.') {
        Some((_, "agekey")) => true,
        Some((stem, "key" | "txt")) => stem.contains("age"),
        _ => false,
    }
}

fn is_secret(document: &Value, needed: &NeededSecret) -> bool {
    let metadata = &document["metadata"];
    let namespace = metadata["namespace"].as_str();
    document["kind"] == "Secret"
        && metadata["name"] == needed.name.as_str()
        && namespace == Some(needed.namespace.as_str())
}

/// Whether a template creates the Secret: it may not be valid YAML until it is rendered.
fn names_it(file: &KnownFile, needed: &NeededSecret) -> bool {
    let quoted = format!("name: {}", needed.name);
    let is_named = |line: &str| line.trim().replace(['"', '\''], "") == quoted;
    file.documents.iter().any(|document| is_secret(document, needed))
        || (file.text.contains("kind: Secret") && file.text.lines().any(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str, document: Value) -> KnownFile {
        let documents = if document.is_null() { Vec::new() } else { vec![document] };
        KnownFile { path: path.into(), text: text.into(), documents }
    }

    fn needed(name: &str, key: &str) -> NeededSecret {
        NeededSecret {
            namespace: "flux-system".into(),
            name: name.into(),
            needed_by: std::collections::BTreeSet::new(),
            keys: [key.to_owned()].into(),
        }
    }

    #[test]
    fn values_are_looked_for_where_people_keep_them() {
        let secret = |name: &str| serde_json::json!({"kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"}, "sops": {"mac": "x"}});
        let files = [
            file("bootstrap/deploy-key.sops.yaml", "", secret("deploy-key")),
            file(
                "bootstrap/connect.yaml.tpl",
                "kind: Secret\nname: \"connect\"\ntoken: op://v/i/f",
                Value::Null,
            ),
            file("age.key", "# created\nAGE-SECRET-KEY-1", Value::Null),
        ];
        assert_eq!(
            probable_source("home", &needed("deploy-key", "identity"), &files),
            ProbableSource::Sops(files[0].path.clone())
        );
        assert_eq!(
            probable_source("home", &needed("connect", "token"), &files),
            ProbableSource::Template(files[1].path.clone())
        );
        assert_eq!(
            probable_source("home", &needed("sops-age", "age.agekey"), &files),
            ProbableSource::AgeKey("age.key".into())
        );
        assert_eq!(
            probable_source("home", &needed("sops-age", "age.agekey"), &files[..2]),
            ProbableSource::Machine
        );
        assert_eq!(probable_source("home", &needed("other", "token"), &files), ProbableSource::Unknown);

        let of_two = [
            file("east/s.sops.yaml", "", secret("deploy-key")),
            file("west/s.sops.yaml", "", secret("deploy-key")),
        ];
        let key = needed("deploy-key", "identity");
        assert_eq!(probable_source("west", &key, &of_two), ProbableSource::Sops("west/s.sops.yaml".into()));
        assert_eq!(probable_source("north", &key, &of_two), ProbableSource::Unknown);
    }
}
