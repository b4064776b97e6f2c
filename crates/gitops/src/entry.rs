//! The entry point of Flux for a cluster: the source and the root Kustomization, as `flux bootstrap` writes
//! them, or from the FluxInstance of the Flux operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use walkdir::{DirEntry, WalkDir};

use super::documents::normal;
use super::layout::is_yaml;
use super::reach::{Index, is_kustomization, reach, reaches, users};
use super::recipe::path_of;
use super::root::{Rank, Root};
use super::roots::roots;
use bootstrapper_core::files;
use bootstrapper_core::yaml;

/// Folders that have a folder for each cluster, by convention.
const CLUSTERS: [&str; 2] = ["kubernetes/clusters", "clusters"];

/// The folder name of `flux bootstrap`.
const FLUX_SYSTEM: &str = "flux-system";

/// Folder names that are not names of clusters.
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

/// Limits for the search: depth, and number of files and folders.
const DEEPEST: usize = 10;
const ENTRIES: usize = 100_000;

/// The entry point of Flux for one cluster. Paths are relative to the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path of the root Kustomization: the cluster's own folder.
    pub(super) folder: PathBuf,
    /// The file or folder that declares the root Kustomization and its source.
    pub(super) place: PathBuf,
}

/// A possible entry point.
#[derive(Debug, Clone)]
struct Candidate {
    entry: Entry,
    root: Root,
}

/// Every cluster of a repository, by name. Entries in `bootstrapper.yaml` (a file or folder for each) take
/// precedence over the folders of `kubernetes/clusters`, and those over the content of files.
pub(super) fn discover(root: &Path, configured: &BTreeMap<String, PathBuf>) -> BTreeMap<String, Entry> {
    let index = LazyLock::new(|| index(root));
    let (mut entries, mut undeclared) = (BTreeMap::new(), Vec::new());
    for of in CLUSTERS {
        let (found, others) = conventional(root, Path::new(of), &index);
        entries.extend(found);
        undeclared.extend(others);
    }
    if configured.is_empty() && (entries.is_empty() || !undeclared.is_empty()) {
        add_declared_elsewhere(&mut entries, &undeclared, candidates(root, &index, Path::new("")));
    }
    for (name, path) in configured {
        let entry = configured_entry(root, &index, &normal(path));
        entries.retain(|_, other| other.place != entry.place && other.folder != entry.folder);
        entries.insert(name.clone(), entry);
    }
    entries
}

/// Adds the clusters whose folders declare nothing, if a file elsewhere declares them as an entry point;
/// without any cluster, every such entry point. Otherwise all of these folders, so that the problem is
/// reported.
fn add_declared_elsewhere(
    entries: &mut BTreeMap<String, Entry>,
    undeclared: &[(String, PathBuf)],
    elsewhere: Vec<Candidate>,
) {
    let is_one = |one: &Candidate| undeclared.iter().any(|(_, folder)| one.entry.folder.starts_with(folder));
    let (inside, outside): (Vec<Candidate>, Vec<Candidate>) = elsewhere.into_iter().partition(is_one);
    for (name, entry) in named(inside) {
        if !entries.values().any(|other| other.folder == entry.folder) {
            entries.entry(name).or_insert(entry);
        }
    }
    if entries.is_empty() {
        entries.extend(named(outside));
    }
    if entries.is_empty() {
        let told = |(name, folder): &(String, PathBuf)| {
            (name.clone(), Entry { place: folder.join(FLUX_SYSTEM), folder: folder.clone() })
        };
        entries.extend(undeclared.iter().map(told));
    }
}

/// Clusters by name, and folders that may be clusters but declare nothing.
type Conventional = (BTreeMap<String, Entry>, Vec<(String, PathBuf)>);

/// The folders in `of` that declare an entry point, and those that do not.
fn conventional(root: &Path, of: &Path, index: &Index) -> Conventional {
    let Ok(found) = files::find(root, of) else { return Conventional::default() };
    let folders = std::fs::read_dir(root.join(found.path)).into_iter().flatten().filter_map(Result::ok);
    let names = folders
        .take(ENTRIES)
        .filter(|entry| files::is_folder(root, &of.join(entry.file_name())))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'));
    let mut all: Vec<(String, PathBuf)> = names.map(|name| (name.clone(), of.join(name))).collect();
    all.sort();
    let (mut found, mut undeclared) = (BTreeMap::new(), Vec::new());
    for (name, folder) in &all {
        let usual = folder.join(FLUX_SYSTEM);
        if files::is_folder(root, &usual) {
            found.insert(name.clone(), Entry { folder: folder.clone(), place: usual });
            continue;
        }
        // `clusters/east/one`: nested folders, each with its own entry point.
        let deeper = candidates(root, index, folder);
        match <[Candidate; 1]>::try_from(deeper) {
            Ok([one]) if !one.entry.folder.starts_with(folder) || one.entry.folder == *folder => {
                found.insert(name.clone(), Entry { folder: folder.clone(), place: one.entry.place });
            }
            Ok([one]) => found.extend(named(vec![one])),
            Err(none) if none.is_empty() => undeclared.push((name.clone(), folder.clone())),
            Err(many) => found.extend(named(many)),
        }
    }
    (found, undeclared)
}

/// The file anywhere in `folder` that declares its root Kustomization, if `flux-system` does not.
pub(super) fn within(root: &Path, folder: &Path) -> Option<(Root, PathBuf)> {
    let found = candidates(root, &index_of(root, folder), folder);
    let best = found.into_iter().max_by_key(|one| (one.root.rank, one.entry.folder == folder))?;
    (best.root.rank > Rank::Pair || best.entry.folder == folder).then_some((best.root, best.entry.place))
}

/// The entry point in `bootstrapper.yaml`: the folder that the root Kustomization builds, or the file that
/// declares it.
fn configured_entry(root: &Path, index: &Index, path: &Path) -> Entry {
    let all = scan(root, index, Path::new(""));
    let entries = || all.iter().map(|one| &one.entry);
    let builds = entries().find(|entry| entry.folder == path);
    let declares = || entries().find(|entry| entry.place == path || entry.place.parent() == Some(path));
    // An artifact may contain any folder: the configured one says which.
    let artifact = || {
        let fits = |one: &&Candidate| one.root.is_artifact() && path.ends_with(path_of(&one.root.sync));
        let near = |one: &&Candidate| {
            let shared = one.entry.place.components().zip(path.components());
            shared.take_while(|(own, other)| own == other).count()
        };
        let found = unresolved(index).into_iter();
        let best = found.filter(|one| fits(&one)).max_by_key(|one| near(&one))?;
        Some(Entry { folder: path.to_owned(), place: best.entry.place })
    };
    let unknown = || Entry { folder: path.to_owned(), place: path.to_owned() };
    builds.or_else(declares).cloned().or_else(artifact).unwrap_or_else(unknown)
}

/// Every file with Flux objects and its content; and every kustomization.
fn index(root: &Path) -> Index {
    index_of(root, Path::new(""))
}

fn index_of(root: &Path, within: &Path) -> Index {
    let is_looked_into = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || name == "node_modules" || name == "target")
    };
    if !files::is_folder(root, within) {
        return Index::new();
    }
    let entries = WalkDir::new(root.join(within)).max_depth(DEEPEST).into_iter();
    let entries = entries.filter_entry(is_looked_into).filter_map(Result::ok).take(ENTRIES);
    let found = entries.filter(|entry| !entry.file_type().is_dir()).map(DirEntry::into_path);
    let within_root = |file: PathBuf| Some(file.strip_prefix(root).ok()?.to_owned());
    let mut found: Vec<PathBuf> = found.filter_map(within_root).collect();
    found.sort();
    let wanted = found
        .into_iter()
        .filter(|file| (is_yaml(file) || is_kustomization(file)) && files::is_file(root, file));
    let read = wanted.map(|file| {
        let said = read_file(root, &file, is_kustomization(&file));
        (file, said)
    });
    read.filter(|(_, said)| !said.is_empty()).collect()
}

/// All possible root Kustomizations, with the folder that they build according to their path.
fn unresolved(index: &Index) -> Vec<Candidate> {
    let mut places: Vec<&Path> = index.iter().filter_map(|(file, _)| file.parent()).collect();
    places.dedup();
    places.sort_unstable();
    places.dedup();
    let said = |place: &Path| -> Vec<Candidate> {
        let here =
            || index.iter().filter(|(file, _)| file.parent() == Some(place) && !is_kustomization(file));
        let of = |found: Vec<Root>, place: &Path| {
            let entry = |one: &Root| Entry { folder: path_of(&one.sync), place: place.to_owned() };
            found.into_iter().map(|one| Candidate { entry: entry(&one), root: one }).collect::<Vec<_>>()
        };
        let in_files: Vec<Candidate> = here().flat_map(|(file, objects)| of(roots(objects), file)).collect();
        if !in_files.is_empty() {
            return in_files;
        }
        let all: Vec<Value> = here().flat_map(|(_, objects)| objects.iter().cloned()).collect();
        of(roots(&all), place)
    };
    places.into_iter().flat_map(said).collect()
}

/// Searches the files in a folder for root Kustomizations of this repository. If several build the same folder,
/// the most probable is used.
fn scan(root: &Path, index: &Index, within: &Path) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for one in unresolved(index).into_iter().filter(|one| one.entry.place.starts_with(within)) {
        let Some(folder) = folder_of(root, index, &one) else { continue };
        let one = Candidate { entry: Entry { folder, ..one.entry }, ..one };
        match found.iter_mut().find(|other| other.entry.folder == one.entry.folder) {
            Some(other) if other.root.rank < one.root.rank => *other = one,
            Some(_) => {}
            None => found.push(one),
        }
    }
    found
}

/// The folder of this repository that a candidate builds. A path is relative to the root of the repository; in
/// an artifact, to the artifact's folder: a parent of the file that declares it, or the only one in which the
/// path exists.
fn folder_of(root: &Path, index: &Index, one: &Candidate) -> Option<PathBuf> {
    let path = &one.entry.folder;
    if files::is_folder(root, path) {
        return Some(path.clone());
    }
    if !one.root.is_artifact() {
        return None;
    }
    let mut above: Vec<&Path> = one.entry.place.ancestors().skip(1).collect();
    above.reverse();
    let above = above.into_iter().map(|base| base.join(path));
    let mut elsewhere: Vec<PathBuf> = index
        .iter()
        .flat_map(|(file, _)| file.ancestors().skip(1))
        .filter(|folder| folder.ends_with(path))
        .map(Path::to_owned)
        .collect();
    elsewhere.sort();
    elsewhere.dedup();
    let only = (elsewhere.len() == 1).then(|| elsewhere.remove(0));
    above.into_iter().find(|folder| files::is_folder(root, folder)).or(only)
}

/// The candidates that no other one applies: the folder of a root Kustomization may contain further sources and
/// Kustomizations, and so may a vendor's. If two apply each other, the less probable one is dropped.
fn candidates(root: &Path, index: &Index, within: &Path) -> Vec<Candidate> {
    let mut found = scan(root, index, within);
    // A pair with arbitrary names is a root only if there is no better one; if its repository is another than
    // that of Flux itself, it is not.
    if found.iter().any(|one| one.root.rank > Rank::Pair) {
        found.retain(|one| one.root.rank > Rank::Pair);
    }
    let address = |one: &Candidate| one.root.source.data["spec"]["url"].clone();
    let sure = found.iter().filter(|one| one.root.rank >= Rank::Bootstrap);
    let own: Vec<Value> = sure.map(&address).collect();
    if !own.is_empty() {
        found.retain(|one| one.root.rank >= Rank::Bootstrap || own.contains(&address(one)));
    }
    let reached: Vec<_> = found.iter().map(|one| reach(index, &one.root, &one.entry.folder)).collect();
    let brings = |one: usize, other: usize| {
        found[one].entry.folder != found[other].entry.folder
            && reaches(&reached[one], &found[other].entry.place)
    };
    let weight = |at: usize| (found[at].root.rank, users(index, &found[at].root));
    let is_brought = |at: usize| {
        (0..found.len()).filter(|other| *other != at && brings(*other, at)).any(|other| {
            if brings(at, other) {
                let is_within = found[at].entry.place.starts_with(&found[other].entry.folder)
                    && !found[other].entry.place.starts_with(&found[at].entry.folder);
                weight(at) < weight(other) || (weight(at) == weight(other) && is_within)
            } else {
                found[at].root.rank <= found[other].root.rank
            }
        })
    };
    let kept: Vec<bool> = (0..found.len()).map(|at| !is_brought(at)).collect();
    found.into_iter().zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect()
}

/// Names each after the last folder in its path that has a specific name.
fn named(entries: Vec<Candidate>) -> BTreeMap<String, Entry> {
    let mut named = BTreeMap::new();
    for Candidate { entry, .. } in entries {
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

/// The manifests directly in a folder; a file is its own manifest.
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

/// The objects in the files of a place, unparsed by kustomize. Invalid YAML is skipped.
pub(super) fn read(root: &Path, place: &Path) -> Vec<Value> {
    manifests(root, place).into_iter().flat_map(|file| read_file(root, &file, false)).collect()
}

/// The documents in a file; empty if it cannot contain Flux objects, unless `all` are wanted.
fn read_file(root: &Path, file: &Path, all: bool) -> Vec<Value> {
    let may_say = |text: &String| {
        all || text.contains("toolkit.fluxcd.io")
            || text.contains("FluxInstance")
            || text.contains("instance:")
    };
    let text = files::read_text(root, file).ok().filter(may_say);
    text.and_then(|text| yaml::from_multiple::<Value>(&text, file).ok()).unwrap_or_default()
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
    fn what_a_cluster_applies_is_no_cluster() {
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
