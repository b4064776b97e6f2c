//! The entry point of Flux for a cluster: the source, and the Kustomization that applies
//! all others. As `flux bootstrap` writes them, or from the FluxInstance of the Flux operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::{DirEntry, WalkDir};

use super::documents::normal;
use super::layout::is_yaml;
use super::recipe::path_of;
use super::root::{Root, roots};
use bootstrapper_core::files;
use bootstrapper_core::yaml;

/// Folders that have a folder for each cluster, by convention.
const CLUSTERS: [&str; 2] = ["kubernetes/clusters", "clusters"];

/// The folder name of `flux bootstrap`.
const FLUX_SYSTEM: &str = "flux-system";

/// Names of folders that name no cluster.
const GENERIC: [&str; 16] = [
    "apps",
    "bootstrap",
    "cluster",
    "clusters",
    "config",
    "deploy",
    "flux",
    "flux-system",
    "gitops",
    "infrastructure",
    "k8s",
    "kubernetes",
    "manifests",
    "repository",
    "root",
    "sync",
];

/// How deep a repository is looked through, and how many of its files and folders are looked at.
const DEEPEST: usize = 10;
const ENTRIES: usize = 100_000;

/// Where Flux enters the repository for one cluster. Paths are relative to the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path of the root Kustomization: the cluster's own folder.
    pub(super) folder: PathBuf,
    /// The file or folder that declares the root Kustomization and its source.
    pub(super) place: PathBuf,
}

/// Every cluster of a repository, by name. Entries of `bootstrapper.yaml` (a file or folder for
/// each) have precedence over the folders of `kubernetes/clusters`, and those over a search of all files.
pub(super) fn discover(root: &Path, configured: &BTreeMap<String, PathBuf>) -> BTreeMap<String, Entry> {
    if configured.is_empty() {
        let conventional: BTreeMap<_, _> =
            CLUSTERS.iter().flat_map(|of| conventional(root, Path::new(of))).collect();
        return if conventional.is_empty() {
            named(outermost(&scan(root, Path::new(""))))
        } else {
            conventional
        };
    }
    let mut entries: BTreeMap<_, _> =
        CLUSTERS.iter().flat_map(|of| conventional(root, Path::new(of))).collect();
    for (name, path) in configured {
        let entry = configured_entry(root, &normal(path));
        entries.retain(|_, other| other.place != entry.place && other.folder != entry.folder);
        entries.insert(name.clone(), entry);
    }
    entries
}

/// The folders of `of` that say where Flux enters; all of them if none does, so that it can be told.
fn conventional(root: &Path, of: &Path) -> BTreeMap<String, Entry> {
    let Ok(found) = files::find(root, of) else { return BTreeMap::new() };
    let folders = std::fs::read_dir(root.join(found.path)).into_iter().flatten().filter_map(Result::ok);
    let names = folders
        .take(ENTRIES)
        .filter(|entry| files::is_folder(root, &of.join(entry.file_name())))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'));
    let all: Vec<(String, PathBuf)> = names.map(|name| (name.clone(), of.join(name))).collect();
    let found: BTreeMap<_, _> = all
        .iter()
        .filter_map(|(name, folder)| {
            Some((name.clone(), Entry { folder: folder.clone(), place: place_in(root, folder)? }))
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    all.into_iter().map(|(name, folder)| (name, Entry { place: folder.join(FLUX_SYSTEM), folder })).collect()
}

/// The declaration of the root Kustomization within a cluster's folder.
fn place_in(root: &Path, folder: &Path) -> Option<PathBuf> {
    let usual = folder.join(FLUX_SYSTEM);
    if files::is_folder(root, &usual) {
        return Some(usual);
    }
    scan(root, folder).into_iter().next().map(|entry| entry.place)
}

/// The entry of `bootstrapper.yaml`: the path of the root Kustomization, or its declaration.
fn configured_entry(root: &Path, path: &Path) -> Entry {
    let all = scan(root, Path::new(""));
    let builds = all.iter().find(|entry| entry.folder == path);
    let declares = || all.iter().find(|entry| entry.place == path || entry.place.parent() == Some(path));
    let unknown = || Entry { folder: path.to_owned(), place: path.to_owned() };
    builds.or_else(declares).cloned().unwrap_or_else(unknown)
}

/// Searches all files for a declaration of a root Kustomization.
fn scan(root: &Path, within: &Path) -> Vec<Entry> {
    let is_looked_into = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || name == "node_modules" || name == "target")
    };
    let mut found: Vec<Entry> = Vec::new();
    if !files::is_folder(root, within) {
        return Vec::new();
    }
    let entries = WalkDir::new(root.join(within)).max_depth(DEEPEST).into_iter();
    let entries = entries.filter_entry(is_looked_into).filter_map(Result::ok).take(ENTRIES);
    let mut folders: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_dir()).map(DirEntry::into_path).collect();
    folders.sort();
    for folder in folders {
        let place = folder.strip_prefix(root).unwrap_or(&folder);
        let in_file = |file: PathBuf| {
            let roots = roots(&read(root, &file));
            roots.into_iter().map(move |found| (found, file.clone()))
        };
        let mut here: Vec<(Root, PathBuf)> = manifests(root, place).into_iter().flat_map(in_file).collect();
        if here.is_empty() {
            here.extend(roots(&read(root, place)).into_iter().map(|found| (found, place.to_owned())));
        }
        for (declared, place) in here {
            let entry = Entry { folder: path_of(&declared.sync), place };
            if files::is_folder(root, &entry.folder)
                && !found.iter().any(|other| other.folder == entry.folder)
            {
                found.push(entry);
            }
        }
    }
    found
}

/// Those that no other one brings: what a root Kustomization builds may declare sources and
/// Kustomizations of its own.
fn outermost(entries: &[Entry]) -> Vec<Entry> {
    let is_brought = |entry: &Entry| {
        let others = entries.iter().filter(|other| other.folder != entry.folder);
        others.into_iter().any(|other| entry.place.starts_with(&other.folder))
    };
    entries.iter().filter(|entry| !is_brought(entry)).cloned().collect()
}

/// Gives each a name: that of the last folder on its way that names something.
fn named(entries: Vec<Entry>) -> BTreeMap<String, Entry> {
    let mut named = BTreeMap::new();
    for entry in entries {
        let parts: Vec<String> = entry
            .folder
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .filter(|part| !GENERIC.contains(&part.as_str()))
            .collect();
        let short = parts.last().cloned().unwrap_or_else(|| "cluster".to_owned());
        let name = if named.contains_key(&short) {
            entry.folder.display().to_string().replace('/', "-")
        } else {
            short
        };
        named.insert(name, entry);
    }
    named
}

/// The manifests directly in a folder; a file is its own.
pub(super) fn manifests(root: &Path, place: &Path) -> Vec<PathBuf> {
    let Ok(found) = files::find(root, place) else { return Vec::new() };
    if !found.is_folder {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(root.join(found.path)).into_iter().flatten().filter_map(Result::ok);
    let mut manifests: Vec<PathBuf> = entries
        .map(|entry| place.join(entry.file_name()))
        .take(ENTRIES)
        .filter(|file| is_yaml(file) && files::is_file(root, file))
        .collect();
    manifests.sort();
    manifests
}

/// The objects in the files of a place, as written. Invalid YAML is skipped.
pub(super) fn read(root: &Path, place: &Path) -> Vec<Value> {
    let may_say = |text: &String| {
        text.contains("toolkit.fluxcd.io") || text.contains("FluxInstance") || text.contains("instance:")
    };
    let texts = manifests(root, place)
        .into_iter()
        .filter_map(|file| Some((files::read_text(root, &file).ok()?, file)));
    texts
        .filter(|(text, _)| may_say(text))
        .flat_map(|(text, file)| yaml::from_multiple::<Value>(&text, &file).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn found(files: &[(&str, &str)], configured: &[(&str, &str)]) -> Vec<(String, String, String)> {
        let folder = repository(files);
        let configured =
            configured.iter().map(|(name, path)| ((*name).to_owned(), PathBuf::from(path))).collect();
        let shown = |path: PathBuf| path.display().to_string();
        discover(folder.path(), &configured)
            .into_iter()
            .map(|(name, entry)| (name, shown(entry.folder), shown(entry.place)))
            .collect()
    }

    const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {url: 'https://x.test/r'}\n";

    fn sync(path: &str) -> String {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: flux-system, namespace: flux-system}}\nspec: {{path: {path}, sourceRef: {{kind: GitRepository, name: flux-system}}}}\n"
        )
    }

    fn entry(name: &str, folder: &str, place: &str) -> (String, String, String) {
        (name.to_owned(), folder.to_owned(), place.to_owned())
    }

    #[test]
    fn folders_of_clusters_are_clusters() {
        let both = format!("{SOURCE}---\n{}", sync("./clusters/staging"));
        let files = [
            ("clusters/staging/flux-system/gotk-sync.yaml", both.as_str()),
            ("clusters/base/x.yaml", "a: 1\n"),
        ];
        assert_eq!(
            found(&files, &[]),
            [entry("staging", "clusters/staging", "clusters/staging/flux-system")]
        );
        let none = [("kubernetes/clusters/home/apps.yaml", "a: 1\n")];
        assert_eq!(
            found(&none, &[]),
            [entry("home", "kubernetes/clusters/home", "kubernetes/clusters/home/flux-system")]
        );
    }

    #[test]
    fn else_the_files_say_where_flux_enters() {
        let instance = "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {name: flux, namespace: flux-system}\nspec: {sync: {kind: GitRepository, url: 'https://x.test/r', ref: refs/heads/main, path: kubernetes/flux/cluster}}\n";
        let ks = ("kubernetes/flux/cluster/ks.yaml", "a: 1\n");
        assert_eq!(
            found(&[("kubernetes/apps/flux/instance.yaml", instance), ks], &[]),
            [entry("cluster", "kubernetes/flux/cluster", "kubernetes/apps/flux/instance.yaml")]
        );
        let values = "instance:\n  sync: {url: 'https://x.test/r', path: kubernetes/flux/cluster}\n";
        assert_eq!(found(&[("a/values.yaml", values), ks], &[])[0].2, "a/values.yaml");
        let sync = sync("./deploy/east");
        let apart = [
            ("ops/east/source.yaml", SOURCE),
            ("ops/east/sync.yaml", sync.as_str()),
            ("deploy/east/x.yaml", "a: 1\n"),
        ];
        assert_eq!(found(&apart, &[]), [entry("east", "deploy/east", "ops/east")]);
    }

    #[test]
    fn what_a_cluster_brings_is_no_cluster() {
        let instance = "instance:\n  sync: {url: 'https://x.test/r', path: deploy/east}\n";
        let tenant = format!("{SOURCE}---\n{}", sync("./deploy"));
        let files = [("ops/values.yaml", instance), ("deploy/east/tenant.yaml", tenant.as_str())];
        let expected = [entry("east", "deploy/east", "ops/values.yaml")];
        assert_eq!(found(&files, &[]), expected);
        assert_eq!(found(&files, &[("east", "deploy/east")]), expected);
    }

    #[test]
    fn what_is_configured_comes_first() {
        let sync = sync("./deploy/east");
        let files = [
            ("ops/east/source.yaml", SOURCE),
            ("ops/east/sync.yaml", sync.as_str()),
            ("deploy/east/x.yaml", "a: 1\n"),
        ];
        let expected = [entry("prod", "deploy/east", "ops/east")];
        assert_eq!(found(&files, &[("prod", "ops/east")]), expected);
        assert_eq!(found(&files, &[("prod", "./deploy/east/")]), expected);
        assert_eq!(found(&files, &[("prod", "nowhere")]), [entry("prod", "nowhere", "nowhere")]);
    }
}
