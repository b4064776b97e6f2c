//! ExternalArtifacts that an ArtifactGenerator cuts out of a source: which folder of the source a
//! path in such an artifact was.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::documents::normal;
use bootstrapper_core::object::{Object, ObjectRef};

/// Where a folder of an artifact was copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The source.
    pub(super) source: ObjectRef,
    /// The folder within it.
    pub(super) folder: PathBuf,
}

/// The generator that makes the artifact of that name.
pub(super) fn generator<'a>(generators: &'a [Object], namespace: &str, name: &str) -> Option<&'a Object> {
    generators.iter().find(|generator| {
        generator.metadata.namespace.as_deref() == Some(namespace) && artifact(generator, name).is_some()
    })
}

fn artifact<'a>(generator: &'a Object, name: &str) -> Option<&'a Value> {
    generator.data["spec"]["artifacts"].as_array()?.iter().find(|artifact| artifact["name"] == name)
}

/// Where `path` of an artifact was copied from; none if it was not copied as a whole folder
/// (`@alias/folder/**`). Of several copies, the one that says most about it counts.
pub(super) fn origin(generator: &Object, name: &str, path: &Path) -> Option<Origin> {
    let copies = artifact(generator, name)?["copy"].as_array()?.iter();
    let fitting = copies.filter_map(|copy| {
        let to = normal(Path::new(copy["to"].as_str()?.strip_prefix("@artifact/")?));
        let (alias, pattern) = copy["from"].as_str()?.strip_prefix('@')?.split_once('/')?;
        let from = if pattern == "**" { "" } else { pattern.strip_suffix("/**")? };
        let rest = path.strip_prefix(&to).ok()?;
        Some((to.components().count(), alias, Path::new(from).join(rest)))
    });
    let (_, alias, folder) = fitting.max_by_key(|(depth, ..)| *depth)?;
    Some(Origin { source: source(generator, alias)?, folder: normal(&folder) })
}

fn source(generator: &Object, alias: &str) -> Option<ObjectRef> {
    let sources = generator.data["spec"]["sources"].as_array()?;
    let source = sources.iter().find(|source| source["alias"] == alias)?;
    let namespace = source["namespace"].as_str().or(generator.metadata.namespace.as_deref())?;
    let (kind, name) = (source["kind"].as_str()?, source["name"].as_str()?);
    Some(ObjectRef::namespaced("source.toolkit.fluxcd.io/v1", kind, namespace, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn folders_are_followed_to_where_they_were_copied_from() {
        let generator: Object = serde_json::from_value(json!({
            "apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator",
            "metadata": {"name": "g", "namespace": "flux-system"},
            "spec": {
                "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
                "artifacts": [
                    {"name": "all", "copy": [{"from": "@repo/**", "to": "@artifact/"}]},
                    {"name": "infra", "copy": [{"from": "@repo/infrastructure/**", "to": "@artifact/"}]},
                    {"name": "apps", "copy": [
                        {"from": "@repo/other/**", "to": "@artifact/"},
                        {"from": "@repo/apps/base/**", "to": "@artifact/base/"},
                        {"from": "@repo/apps/staging/**", "to": "@artifact/staging"},
                    ]},
                    {"name": "files", "copy": [{"from": "@repo/apps/*.yaml", "to": "@artifact/"}]},
                    {"name": "unknown", "copy": [{"from": "@none/apps/**", "to": "@artifact/"}]},
                ],
            },
        }))
        .unwrap();
        let table = [
            ("all", "a/b", Some("a/b")),
            ("infra", "controllers", Some("infrastructure/controllers")),
            ("infra", "", Some("infrastructure")),
            ("apps", "staging", Some("apps/staging")),
            ("apps", "base/x", Some("apps/base/x")),
            ("apps", "x", Some("other/x")),
            ("files", "", None),
            ("unknown", "", None),
            ("none", "", None),
        ];
        for (name, path, folder) in table {
            let origin = origin(&generator, name, Path::new(path));
            assert_eq!(origin.map(|origin| origin.folder), folder.map(PathBuf::from), "{name} {path}");
        }
        assert!(super::generator(std::slice::from_ref(&generator), "flux-system", "apps").is_some());
        assert!(super::generator(&[generator], "default", "apps").is_none());
    }
}
