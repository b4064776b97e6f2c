//! What a run depends on: whatever is wrong elsewhere is Flux's to meet, once it runs.

use std::collections::BTreeSet;
use std::path::Path;

use walkdir::WalkDir;

use super::load::Pipeline;
use super::select::Selected;
use super::{Applies, Named};
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
    /// Whether a step depends on all that the cluster declares.
    has_flux: bool,
}

impl<'a> Scope<'a> {
    /// Of the steps that run.
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
                for one in self.declared.with_brought(name) {
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
            // What of these can be had is taken; what cannot is no reason to stop.
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

    /// With all that bring it: what is wrong there keeps it from Flux.
    fn add_kustomization(&mut self, kustomization: Option<&Kustomization>) {
        let mut next = kustomization;
        while let Some(one) = next {
            let is_new = self.ids.insert(one.id.clone());
            let by = one.brought_by.as_ref().filter(|_| is_new);
            next = by.and_then(|by| self.declared.kustomizations.iter().find(|other| other.id == *by));
        }
    }

    fn add_release(&mut self, name: &str) {
        let Some(release) = self.declared.release(name) else {
            // One whose chart is not found is no release, and still what the step is about.
            let unread = self.declared.problems.iter().filter_map(|problem| problem.of.as_deref());
            self.ids.extend(unread.filter(|of| of.kind == "HelmRelease" && of.name == name).cloned());
            return;
        };
        self.ids.insert(release.id.clone());
        let mut all = self.declared.kustomizations.iter();
        self.add_kustomization(all.find(|one| one.id == release.kustomization));
    }

    /// Whether a problem endangers the run.
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

/// Whether a HelmRelease is of a network plugin, of DNS or of Flux, by what it names.
fn is_chain(release: &Object) -> bool {
    let spec = &release.data["spec"];
    let names = [&spec["chart"]["spec"]["chart"], &spec["chartRef"]["name"]];
    names
        .into_iter()
        .filter_map(|name| name.as_str())
        .chain(release.metadata.name.as_deref())
        .any(is_before_flux)
}

/// How many files are looked at.
const FILES: usize = 5_000;

/// Whether a file below a folder names the chart of a network plugin, of DNS or of Flux.
fn names_the_chain(root: &Path, folder: &Path) -> bool {
    let entries = WalkDir::new(root.join(folder)).into_iter().filter_map(Result::ok).take(FILES);
    let mut files = entries.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned()));
    files.any(|file| {
        let is_yaml = file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        is_yaml && files::read_text(root, &file).is_ok_and(|text| text.lines().any(names_chart))
    })
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
}
