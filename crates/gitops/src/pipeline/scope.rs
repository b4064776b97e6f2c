//! The objects that a run depends on. Problems elsewhere do not stop the run: Flux will report them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::load::Pipeline;
use super::select::Selected;
use super::{Applies, Named};
use crate::layout::{KUSTOMIZATION_FILES, is_yaml};
use crate::order::is_before_flux;
use crate::problem::Problem;
use crate::{Declared, Kustomization};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};

/// The Kustomizations and HelmReleases that the selected steps of a pipeline depend on.
pub struct Scope<'a> {
    declared: &'a Declared,
    root: &'a Path,
    ids: BTreeSet<ObjectRef>,
    /// Whether a step depends on everything that the cluster declares.
    has_flux: bool,
}

impl<'a> Scope<'a> {
    /// Of the selected steps.
    pub fn of(pipeline: &Pipeline, selected: &Selected, declared: &'a Declared, root: &'a Path) -> Self {
        let mut scope = Self { declared, root, ids: BTreeSet::new(), has_flux: false };
        for stage in &pipeline.stages {
            let runs = |name: &str| selected.reason_to_skip(&stage.name, name).is_none();
            for step in stage.steps.iter().filter(|step| runs(&step.name())) {
                scope.add(step.kind.applies());
            }
        }
        scope
    }

    fn add(&mut self, applies: Applies<'_>) {
        match applies {
            Applies::Kustomization(name) => self.add_kustomization(self.declared.kustomization(name)),
            Applies::Part(part) => self.add_kustomization(self.declared.kustomization(&part.of)),
            Applies::CrdsOfKustomization(name) => {
                for one in self.declared.with_children(name) {
                    self.add_kustomization(Some(one));
                }
            }
            Applies::CrdsOfReleases(Named::These(names)) => {
                for name in names {
                    self.add_release(name);
                }
            }
            Applies::Release(name) => self.add_release(name),
            Applies::Source | Applies::Sync => {
                self.has_flux = true;
                self.ids.insert(ObjectRef::of(&self.declared.sync));
            }
            // Missing ones are skipped, and do not stop the run.
            Applies::CrdsOfReleases(Named::Declared)
            | Applies::Nothing
            | Applies::Namespaces(_)
            | Applies::Secrets
            | Applies::CrdsOfManifest(_)
            | Applies::Manifest(_)
            | Applies::File
            | Applies::Program => {}
        }
    }

    /// With its parents: a problem there prevents Flux from applying it.
    fn add_kustomization(&mut self, kustomization: Option<&Kustomization>) {
        let mut next = kustomization;
        while let Some(one) = next {
            let is_new = self.ids.insert(one.id.clone());
            let by = one.parent.as_ref().filter(|_| is_new);
            next = by.and_then(|by| self.declared.kustomizations.iter().find(|other| other.id == *by));
        }
    }

    fn add_release(&mut self, name: &str) {
        let Some(release) = self.declared.release(name) else {
            // A release without its chart is not in the list of releases, but still what the step is about.
            let unread = self.declared.problems.iter().filter_map(|problem| problem.of.as_deref());
            self.ids.extend(unread.filter(|of| of.kind == "HelmRelease" && of.name == name).cloned());
            return;
        };
        self.ids.insert(release.id.clone());
        let mut all = self.declared.kustomizations.iter();
        self.add_kustomization(all.find(|one| one.id == release.kustomization));
    }

    /// Whether a problem affects the run.
    pub fn has(&self, problem: &Problem) -> bool {
        match &problem.of {
            None => true,
            Some(of) => self.ids.contains(of) || self.may_hide_the_chain(of),
        }
    }

    /// Whether something that could not be read may belong to the chain.
    fn may_hide_the_chain(&self, id: &ObjectRef) -> bool {
        if !self.has_flux {
            return false;
        }
        if id.kind == "HelmRelease" {
            let is_read = self.declared.releases.iter().any(|release| release.id == *id);
            return !is_read
                && self.declared.objects().any(|object| ObjectRef::of(object) == *id && is_chain(object));
        }
        let mut all = self.declared.kustomizations.iter();
        all.find(|one| one.id == *id)
            .is_some_and(|one| one.objects.is_empty() && one.is_here && names_the_chain(self.root, &one.path))
    }
}

/// Whether a HelmRelease is of a network plugin, of DNS or of Flux, by the names in it.
fn is_chain(release: &Object) -> bool {
    let spec = &release.data["spec"];
    let names = [&spec["chart"]["spec"]["chart"], &spec["chartRef"]["name"]];
    names
        .into_iter()
        .filter_map(|name| name.as_str())
        .chain(release.metadata.name.as_deref())
        .any(is_before_flux)
}

/// The maximum number of files to read.
const FILES: usize = 5_000;

/// Whether a file in a folder contains the name of a chart of a network plugin, of DNS or of Flux: below the
/// folder, or in what it references as a base, a component, or the folder of a Kustomization. Compares lines,
/// because the files cannot be parsed as a whole.
fn names_the_chain(root: &Path, folder: &Path) -> bool {
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(next) = ahead.pop() {
        let entries = WalkDir::new(root.join(&next)).into_iter().filter_map(Result::ok).take(FILES);
        for entry in entries.filter(|entry| entry.file_type().is_file()) {
            let Ok(file) = entry.path().strip_prefix(root) else { continue };
            let is_read = is_yaml(file) || KUSTOMIZATION_FILES.iter().any(|name| file.ends_with(name));
            if !is_read || seen.len() >= FILES || !seen.insert(file.to_owned()) {
                continue;
            }
            let Ok(text) = files::read_text(root, file) else { continue };
            if text.lines().any(names_chart) {
                return true;
            }
            ahead.extend(text.lines().flat_map(|line| referred(root, file, line)));
        }
    }
    false
}

/// Paths in the repository that a line of a file may refer to: relative to the file's folder, or to the root
/// (`spec.path`).
fn referred(root: &Path, file: &Path, line: &str) -> Vec<PathBuf> {
    let line = line.trim().trim_start_matches("- ");
    let field = line.split_once(':').filter(|(_, value)| value.is_empty() || value.starts_with(' '));
    let (is_path, value) = match field {
        Some(("path", value)) => (true, value),
        Some((_, value)) if value.trim_start().starts_with('[') => (false, value),
        Some(_) => return Vec::new(),
        None => (false, line),
    };
    let texts = value.split([',', '[', ']']).map(|text| text.trim().trim_matches(['"', '\'']));
    let texts = texts.filter(|text| !text.is_empty() && !text.starts_with('/'));
    let folder = file.parent().unwrap_or(Path::new(""));
    let places = texts.flat_map(|text| {
        let from_root = is_path.then(|| PathBuf::from(text));
        [Some(folder.join(text)), from_root].into_iter().flatten()
    });
    places.filter_map(|place| Some(files::find(root, &place).ok()?.path)).collect()
}

fn names_chart(line: &str) -> bool {
    let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(':') else { return false };
    let value = value.trim().trim_matches(['"', '\'']);
    let last = value.rsplit('/').next().unwrap_or(value);
    match key {
        "kind" => value == "FluxInstance",
        "chart" | "url" => is_before_flux(last),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_of_the_chain_are_named_in_several_ways() {
        let table = [
            ("      chart: cilium", true),
            ("  url: oci://quay.io/cilium/charts/cilium", true),
            ("  url: \"oci://ghcr.io/coredns/charts/coredns\"", true),
            ("kind: FluxInstance", true),
            ("  name: cilium", false),
            ("kind: CiliumNetworkPolicy", false),
            ("  url: https://charts.example.org", false),
        ];
        for (line, expected) in table {
            assert_eq!(names_chart(line), expected, "{line}");
        }
    }

    /// A base is outside the folder that uses it, and so is what a Kustomization applies in turn.
    #[test]
    fn the_chain_is_found_through_bases_components_and_paths() {
        let chain = "spec: {}\nkind: FluxInstance\n";
        let kustomization = |field: &str, to: &str| format!("{field}:\n  - {to}\n  - broken: [\n");
        let table = [
            ("a/kustomization.yaml", kustomization("resources", "../b"), "b/x/flux.yaml", true),
            ("a/kustomization.yaml", kustomization("resources", "../b/flux.yaml"), "b/flux.yaml", true),
            (
                "a/Kustomization",
                kustomization("components", "\"../../c/own\"").replace("../../", "../"),
                "c/own/flux.yaml",
                true,
            ),
            ("a/kustomization.yaml", "resources: [../z, ../b]\n".to_owned(), "b/flux.yaml", true),
            (
                "a/ks.yaml",
                "kind: Kustomization\nspec:\n  path: ./b/own\n".to_owned(),
                "b/own/flux.yaml",
                true,
            ),
            ("a/kustomization.yaml", kustomization("resources", "../b"), "c/flux.yaml", false),
            ("a/kustomization.yaml", kustomization("resources", "../../b"), "b/flux.yaml", false),
            ("a/kustomization.yaml", kustomization("resources", "."), "b/flux.yaml", false),
        ];
        for (file, text, place, expected) in table {
            let root = tempfile::tempdir().unwrap();
            let base = root.path().canonicalize().unwrap();
            for (path, text) in [(file, text.as_str()), (place, chain)] {
                std::fs::create_dir_all(base.join(path).parent().unwrap()).unwrap();
                std::fs::write(base.join(path), text).unwrap();
            }
            assert_eq!(names_the_chain(&base, Path::new("a")), expected, "{text} {place}");
        }
    }
}
