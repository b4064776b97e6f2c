//! Every file that a build reads, as far as that can be known from the files themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::build::{Recipe, find_kustomization, is_yaml, manifests};
use super::documents::normal;
use crate::failure::Location;
use crate::yaml;

/// Fields of a kustomization whose entries may be folders and addresses.
const ADDRESSES: [&str; 3] = ["resources", "components", "bases"];

/// Fields whose entries are programs of a kind, and read what they like.
const PROGRAMS: [&str; 6] =
    ["generators", "transformers", "validators", "helmCharts", "helmChartInflationGenerator", "helmGlobals"];

/// The files that `recipe` reads, with their contents, relative to `root`. None if it may read
/// anything else: a file outside of the repository, by way of a link, or from an address that does
/// not name a version.
pub(super) fn files(recipe: &Recipe, root: &Path) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let mut closure = Closure { root, files: BTreeMap::new(), seen: BTreeSet::new() };
    closure.recipe(recipe)?;
    Some(closure.files)
}

/// Where the first file that `recipe` reads stops being YAML, as far as its files are known.
pub(super) fn unreadable(recipe: &Recipe, root: &Path) -> Option<Location> {
    let mut closure = Closure { root, files: BTreeMap::new(), seen: BTreeSet::new() };
    // What stopped it may be what is looked for.
    let _ = closure.recipe(recipe);
    let mut manifests = closure.files.iter().filter(|(file, _)| is_yaml(file));
    manifests.find_map(|(file, content)| {
        let text = std::str::from_utf8(content).ok()?;
        yaml::from_multiple::<Value>(text, file).err()?.location
    })
}

struct Closure<'a> {
    root: &'a Path,
    files: BTreeMap<PathBuf, Vec<u8>>,
    seen: BTreeSet<PathBuf>,
}

impl Closure<'_> {
    fn recipe(&mut self, recipe: &Recipe) -> Option<()> {
        let folder = self.root.join(&recipe.folder);
        self.folder(&folder)?;
        let added = recipe.added();
        let mut components = added["components"].as_array().into_iter().flatten().filter_map(Value::as_str);
        components.try_for_each(|component| self.reference(component, true, &folder))
    }

    fn folder(&mut self, folder: &Path) -> Option<()> {
        self.is_plain(folder).then_some(())?;
        if !self.seen.insert(folder.to_owned()) {
            return Some(());
        }
        if let Some(file) = find_kustomization(folder) {
            return self.kustomization(&file, folder);
        }
        manifests(folder, folder)
            .iter()
            .try_for_each(|path| if path.is_dir() { self.folder(path) } else { self.file(path).map(drop) })
    }

    fn kustomization(&mut self, file: &Path, folder: &Path) -> Option<()> {
        let content = String::from_utf8(self.file(file)?.clone()).ok()?;
        let kustomization: Value = yaml::from_str(&content, file).ok()?;
        for (field, value) in kustomization.as_object().into_iter().flatten() {
            if PROGRAMS.contains(&field.as_str()) {
                return None;
            }
            let is_address = ADDRESSES.contains(&field.as_str());
            texts(value).into_iter().try_for_each(|text| self.reference(text, is_address, folder))?;
        }
        Some(())
    }

    /// A text that may name something to read: `path`, or `key=path` of a generator.
    fn reference(&mut self, text: &str, is_address: bool, folder: &Path) -> Option<()> {
        if text.contains('\n') {
            return Some(());
        }
        if text.contains("://") {
            return is_pinned(text).then_some(());
        }
        for name in [Some(text), text.split_once('=').map(|(_, path)| path)].into_iter().flatten() {
            let path = normal(&folder.join(name));
            if path.is_file() {
                self.file(&path)?;
            } else if is_address && path.is_dir() {
                self.folder(&path)?;
            } else if is_address && name == text && !is_pinned(text) {
                return None;
            }
        }
        Some(())
    }

    fn file(&mut self, path: &Path) -> Option<&Vec<u8>> {
        self.is_plain(path).then_some(())?;
        let content = std::fs::read(path).ok()?;
        let name = path.strip_prefix(self.root).ok()?.to_owned();
        Some(self.files.entry(name).or_insert(content))
    }

    /// Whether a path lies in the repository, and no part of it is a link.
    fn is_plain(&self, path: &Path) -> bool {
        path.starts_with(self.root) && path.canonicalize().is_ok_and(|canonical| canonical == path)
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Whether an address names a release (`v1.6.3`) or a commit.
fn is_pinned(address: &str) -> bool {
    let is_commit = |part: &str| part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_release = |part: &str| semver::Version::parse(part.strip_prefix('v').unwrap_or(part)).is_ok();
    address.split(['/', '=', '?', '&', '@']).any(|part| is_commit(part) || is_release(part))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn repository(kustomization: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/kustomization.yaml", kustomization);
        write("a/here.yaml", "");
        write("a/plain/deep/x.yml", "");
        write("a/plain/notes.txt", "");
        write("base/kustomization.yaml", "resources: [b.yaml]\n");
        write("base/b.yaml", "");
        write("values.yaml", "");
        root
    }

    fn read(kustomization: &str) -> Option<String> {
        let root = repository(kustomization);
        let files = files(&Recipe::plain(Path::new("a")), &root.path().canonicalize().unwrap())?;
        let names =
            files.keys().map(|file| file.display().to_string()).filter(|file| file != "a/kustomization.yaml");
        Some(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn every_file_that_a_build_reads_is_known() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let table: [(&str, Option<&str>); 18] = [
            ("{resources: [here.yaml]}", Some("a/here.yaml")),
            ("{resources: [../base, ./here.yaml]}", Some("a/here.yaml base/b.yaml base/kustomization.yaml")),
            ("{resources: [plain]}", Some("a/plain/deep/x.yml")),
            ("{configMapGenerator: [{name: v, files: [values.yaml=../values.yaml]}]}", Some("values.yaml")),
            ("{patches: [{path: here.yaml}], namespace: base}", Some("a/here.yaml")),
            ("{patches: [{patch: \"a: b\\nc: https://x.test\\n\"}]}", Some("")),
            ("{resources: [\"https://x.test/a/v1.6.3/b.yaml\"]}", Some("")),
            ("{resources: [\"github.com/a/b//c?ref=v1.2.3\"]}", Some("")),
            (&format!("{{components: [\"https://x.test/a?ref={commit}\"]}}"), Some("")),
            ("{resources: [\"https://x.test/a/main/b.yaml\"]}", None),
            ("{resources: [\"https://x.test/a/v1.6/b.yaml\"]}", None),
            ("{resources: [\"github.com/a/b//c\"]}", None),
            ("{resources: [missing.yaml]}", None),
            ("{resources: [../../elsewhere.yaml]}", None),
            ("{resources: [../..]}", None),
            ("{transformers: [here.yaml]}", None),
            ("{helmCharts: [{name: x}]}", None),
            ("{resources: [", None),
        ];
        for (kustomization, expected) in table {
            assert_eq!(read(kustomization).as_deref(), expected, "{kustomization}");
        }
    }

    #[test]
    fn a_file_that_is_no_yaml_is_found() {
        let root = repository("{resources: [../base]}");
        let path = root.path().canonicalize().unwrap();
        assert_eq!(unreadable(&Recipe::plain(Path::new("a")), &path), None);
        fs::write(path.join("base/b.yaml"), "a: 1\nb: [\n").unwrap();
        let found = unreadable(&Recipe::plain(Path::new("a")), &path).unwrap();
        assert_eq!(found.file, Path::new("base/b.yaml"));
    }

    #[test]
    fn components_of_flux_are_read_too() {
        let root = repository("{resources: [here.yaml]}");
        let object = serde_json::json!({"apiVersion": "x/v1", "kind": "K", "metadata": {"name": "k"}, "spec": {"path": "a", "components": ["../base"]}});
        let recipe = Recipe::of(&serde_json::from_value(object).unwrap(), "a".into());
        assert_eq!(files(&recipe, &root.path().canonicalize().unwrap()).unwrap().len(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_not_known() {
        let root = repository("{resources: [link.yaml]}");
        std::os::unix::fs::symlink(root.path().join("values.yaml"), root.path().join("a/link.yaml")).unwrap();
        assert_eq!(files(&Recipe::plain(Path::new("a")), &root.path().canonicalize().unwrap()), None);
    }
}
