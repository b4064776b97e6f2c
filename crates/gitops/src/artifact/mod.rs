//! ExternalArtifacts that an ArtifactGenerator extracts from a source: maps a path in an artifact back to a
//! folder of the source; if there is no such folder, copies the files ([`View`]).

mod captures;
mod copy;
mod view;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::copy::{Copy, Strategy};
pub(super) use self::view::View;
use super::documents::normal;
use super::ignore::Ignore;
use bootstrapper_core::object::{Object, ObjectRef};

/// The origin of a folder in an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The source.
    pub(super) source: ObjectRef,
    /// The folder within it.
    pub(super) folder: PathBuf,
}

/// The generator of the artifact with this name.
pub(super) fn generator<'a>(generators: &'a [Object], namespace: &str, name: &str) -> Option<&'a Object> {
    generators.iter().find(|generator| {
        generator.metadata.namespace.as_deref() == Some(namespace) && artifact(generator, name).is_some()
    })
}

fn artifact<'a>(generator: &'a Object, name: &str) -> Option<&'a Value> {
    let mut all = generator.data["spec"]["artifacts"].as_array()?.iter();
    if path_pattern(generator).is_none() {
        return all.find(|artifact| artifact["name"] == name);
    }
    all.find(|artifact| artifact["name"].as_str().is_some_and(|text| captures::may_make(text, name)))
}

/// The alias and the pattern in `pathPattern`.
fn path_pattern(generator: &Object) -> Option<(&str, &str)> {
    generator.data["spec"]["pathPattern"].as_str()?.strip_prefix('@')?.split_once('/')
}

/// The origin of `path` in an artifact, if the artifact is one whole folder (`@alias/folder/**`): it is built
/// there unchanged.
pub(super) fn origin(generator: &Object, name: &str, path: &Path) -> Option<Origin> {
    let copies = artifact(generator, name)?["copy"].as_array()?;
    let [copy] = copies.as_slice() else { return None };
    let is_whole = copy["exclude"].as_array().is_none_or(Vec::is_empty)
        && copy["strategy"].as_str() != Some("Extract")
        && path_pattern(generator).is_none();
    nearest(generator, copies, path).filter(|_| is_whole)
}

/// The probable origin of `path` in an artifact, from the most specific copy: for artifacts that are partly
/// unknown.
pub(super) fn likely_origin(generator: &Object, name: &str, path: &Path) -> Option<Origin> {
    nearest(generator, artifact(generator, name)?["copy"].as_array()?, path)
}

fn nearest(generator: &Object, copies: &[Value], path: &Path) -> Option<Origin> {
    let fitting = copies.iter().filter_map(|copy| {
        let to = normal(Path::new(copy["to"].as_str()?.strip_prefix("@artifact/")?));
        let (alias, pattern) = copy["from"].as_str()?.strip_prefix('@')?.split_once('/')?;
        let from = if pattern == "**" { "" } else { pattern.strip_suffix("/**")? };
        let rest = path.strip_prefix(&to).ok()?;
        Some((to.components().count(), alias, Path::new(from).join(rest)))
    });
    let (_, alias, folder) = fitting.max_by_key(|(depth, ..)| *depth)?;
    Some(Origin { source: source(generator, alias)?, folder: normal(&folder) })
}

/// Every source of an artifact; none if one of them is not declared, or if archives are unpacked.
pub(super) fn sources(generator: &Object, name: &str) -> Option<Vec<ObjectRef>> {
    let copies = artifact(generator, name)?["copy"].as_array()?.iter().map(copy_of);
    let copies: Vec<Copy> = copies.collect::<Option<_>>()?;
    if copies.iter().any(|copy| copy.strategy == Strategy::Extract) {
        return None;
    }
    copies.iter().map(|copy| source(generator, &copy.alias)).collect()
}

/// The files of an artifact that has only this repository as source. Fails with the reason.
pub(super) fn view(
    generator: &Object,
    name: &str,
    root: &Path,
    base: &Path,
    ignore: &Ignore,
) -> Result<View, String> {
    let files = view::files_of(root, base, ignore);
    let declared = artifact(generator, name).ok_or("no ArtifactGenerator produces it")?;
    let plain = || declared["copy"].as_array().into_iter().flatten().map(copy_of).collect::<Option<Vec<_>>>();
    let copies = match path_pattern(generator) {
        None => plain(),
        Some((_, pattern)) => captures::all(pattern, &files).iter().find_map(|captured| {
            let own = captures::filled(declared["name"].as_str()?, captured, true)?;
            let filled = |mut copy: Copy| {
                copy.from = captures::filled(&copy.from, captured, false)?;
                copy.to = captures::filled(&copy.to, captured, false)?;
                Some(copy)
            };
            (own == name).then(|| plain()?.into_iter().map(filled).collect::<Option<Vec<_>>>())?
        }),
    };
    View::make(root, base, &copies.ok_or("no folder matches its pathPattern")?, &files)
}

fn copy_of(copy: &Value) -> Option<Copy> {
    let (alias, from) = copy["from"].as_str()?.strip_prefix('@')?.split_once('/')?;
    let exclude = copy["exclude"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Some(Copy {
        alias: alias.to_owned(),
        from: from.to_owned(),
        to: copy["to"].as_str()?.strip_prefix("@artifact/")?.to_owned(),
        exclude: exclude.map(str::to_owned).collect(),
        strategy: match copy["strategy"].as_str() {
            Some("Merge") => Strategy::Merge,
            Some("Extract") => Strategy::Extract,
            _ => Strategy::Overwrite,
        },
    })
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
            let origin = likely_origin(&generator, name, Path::new(path));
            assert_eq!(origin.map(|origin| origin.folder), folder.map(PathBuf::from), "{name} {path}");
        }
        assert!(super::generator(std::slice::from_ref(&generator), "flux-system", "apps").is_some());
        assert!(super::generator(&[generator], "default", "apps").is_none());
    }
}
