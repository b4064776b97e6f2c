//! The listing before a removal: what is removed, in which order, by whom; and what is kept, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::marks::{KEEPING, Mark, is_of_flux, is_user_managed};
use super::snapshot::Snapshot;
use super::tree::Tree;
use super::volumes::Claim;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Change, ChangeKind, Diff, Owned};

/// Who removes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Flux, when the Kustomization that applied it is deleted.
    KustomizeController,
    /// Flux, when the HelmRelease that installed it is deleted.
    HelmController,
    /// Helm, run by this program.
    Helm,
    /// This program.
    Bootstrapper,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KustomizeController => "Flux (kustomize-controller)",
            Self::HelmController => "Flux (helm-controller)",
            Self::Helm => "Helm",
            Self::Bootstrapper => "bootstrapper",
        })
    }
}

/// Objects that are removed together.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// A step, or a Flux object.
    pub step: String,
    /// Who removes it.
    pub by: By,
    /// The objects.
    #[serde(flatten)]
    pub what: Diff,
}

/// What is removed after the steps of the pipeline.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Objects of no step and no wave: kept by Flux or Helm, or unknown to steps.
    pub(super) leftovers: Vec<ObjectRef>,
    pub(super) crds: Vec<ObjectRef>,
    pub(super) namespaces: Vec<ObjectRef>,
    pub(super) kept: Vec<String>,
    /// What is removed along with a CRD or a namespace that belongs to a user, or contains data.
    pub(super) along: BTreeMap<ObjectRef, Vec<String>>,
}

pub(super) fn is_late(id: &ObjectRef) -> bool {
    matches!(id.kind.as_str(), "CustomResourceDefinition" | "Namespace")
}

fn part(step: String, by: By, noun: &str, changes: Vec<Change>) -> Part {
    Part { step, by, what: Diff { summary: count(changes.len(), noun), changes, unchanged: 0 } }
}

fn gone(id: &ObjectRef, details: Vec<String>) -> Change {
    Change { kind: ChangeKind::Deleted, subject: id.to_string(), details }
}

/// Why Flux keeps an object when its Kustomization is deleted.
pub(super) fn kept_by(object: &Object) -> Option<String> {
    KEEPING.iter().find_map(|(key, value)| {
        let has = |all: &BTreeMap<String, String>| {
            all.get(*key).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        let metadata = &object.metadata;
        let found =
            metadata.annotations.as_ref().is_some_and(has) || metadata.labels.as_ref().is_some_and(has);
        found.then(|| format!("{key}: {value}"))
    })
}

impl Tree {
    /// What Flux removes and releases. `manifests` has the objects of each release.
    pub(super) fn parts(
        &self,
        snapshot: &Snapshot,
        manifests: &BTreeMap<ObjectRef, Vec<ObjectRef>>,
        claims: &[Claim],
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        for id in self.waves.iter().flatten() {
            for release in self.releases_of(id) {
                let objects = manifests.get(&release.id).cloned().unwrap_or_default();
                let changes = [&release.id].into_iter().chain(&objects).map(|id| gone(id, Vec::new()));
                parts.push(part(release.id.to_string(), By::HelmController, "object", changes.collect()));
            }
            let unit = &self.units[id];
            let mut changes = vec![gone(id, Vec::new())];
            for one in self.applied(id) {
                let Some(object) = snapshot.get(one) else { continue };
                let why = unit.leaves_all().map(str::to_owned).or_else(|| kept_by(object));
                let details = why.map(|why| format!("Flux keeps it ({why}): bootstrapper removes it"));
                changes.push(gone(one, details.into_iter().collect()));
            }
            if unit.is_remote() {
                let details =
                    vec![format!("with {} in another cluster", count(unit.inventory.len(), "object"))];
                changes = vec![gone(id, details)];
            }
            parts.push(part(id.to_string(), By::KustomizeController, "object", changes));
        }
        if !claims.is_empty() {
            let changes = claims.iter().map(|claim| gone(&claim.id, vec![claim.data_outcome()])).collect();
            parts.push(part("volumes".to_owned(), By::Bootstrapper, "claim", changes));
        }
        let own = snapshot.all().map(|(id, _)| id).filter(|id| is_of_flux(id) && id.kind != "FluxInstance");
        let told: BTreeSet<&ObjectRef> = self.waves.iter().flatten().collect();
        let lets_go = |id: &ObjectRef| {
            let foreign = self.foreign.contains(id);
            let kept = match (foreign, id.kind.as_str()) {
                (true, _) => {
                    vec!["it does not belong to this repository; what it applied is kept".to_owned()]
                }
                (false, "Kustomization" | "HelmRelease") => {
                    vec!["suspended first; what it applied is removed later, as listed".to_owned()]
                }
                _ => Vec::new(),
            };
            gone(id, kept)
        };
        let left: Vec<Change> = own
            .filter(|id| !told.contains(id) && !self.goes_with_its_unit(id))
            .map(|id| lets_go(&id))
            .collect();
        if !left.is_empty() && !self.is_empty() {
            parts.push(part("what Flux works with".to_owned(), By::Bootstrapper, "object", left));
        }
        parts
    }

    /// The objects that a Kustomization has applied here, except Kustomizations, HelmReleases, CRDs and
    /// namespaces.
    pub(super) fn applied(&self, unit: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        let unit = self.units.get(unit).filter(|unit| !unit.is_remote());
        let inventory = unit.into_iter().flat_map(|unit| &unit.inventory);
        inventory.filter(|id| !self.units.contains_key(id) && !self.releases.contains_key(id) && !is_late(id))
    }

    fn goes_with_its_unit(&self, id: &ObjectRef) -> bool {
        let brought = |unit: &ObjectRef| self.units[unit].inventory.contains(id);
        self.waves.iter().flatten().any(brought)
    }

    /// The objects that no step and no wave removes, including all CRDs and namespaces.
    pub(super) fn rest(
        &self,
        snapshot: &Snapshot,
        steps: &[(String, Owned)],
        manifests: &BTreeMap<ObjectRef, Vec<ObjectRef>>,
        uses: &[ObjectRef],
        all_marks: bool,
    ) -> Rest {
        let keyed = |ids: &mut dyn Iterator<Item = ObjectRef>| -> BTreeSet<ObjectRef> {
            ids.filter_map(|id| snapshot.get(&id)).map(ObjectRef::of).collect()
        };
        let of_steps = keyed(&mut steps.iter().flat_map(|(_, made)| made.objects.iter().cloned()));
        let of_waves = keyed(&mut self.waves.iter().flatten().flat_map(|unit| self.applied(unit)).cloned());
        let of_releases = keyed(&mut manifests.values().flatten().cloned());
        let goes =
            |id: &ObjectRef| of_steps.contains(id) || of_waves.contains(id) || of_releases.contains(id);

        let marked = snapshot.marked(&self.scope);
        let counts = |mark: &Mark| all_marks || matches!(mark, Mark::Helm(_));
        let marked: BTreeSet<ObjectRef> =
            marked.into_iter().filter(|(_, mark)| counts(mark)).map(|(id, _)| id).collect();
        let is_own_record = |id: &ObjectRef| id.name.starts_with("sh.helm.release.v1.");
        // Objects that programs created at run time, and mount: without labels, and not by a user.
        let is_generated = |id: &&ObjectRef| {
            snapshot.get(id).is_some_and(|object| !is_user_managed(object) && owner_count(object) == 0)
        };
        let leftovers: Vec<ObjectRef> = marked
            .iter()
            .chain(uses.iter().filter(is_generated))
            .filter(|id| !is_late(id) && !goes(id) && !is_own_record(id) && !is_claim(id))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let everything: BTreeSet<ObjectRef> =
            of_steps.iter().chain(&of_waves).chain(&of_releases).chain(&marked).cloned().collect();

        let mut rest = Rest { leftovers, ..Rest::default() };
        let late = everything.iter().filter(|id| is_late(id) && !super::marks::is_always_kept(id));
        for id in late {
            if id.kind == "Namespace" {
                rest.namespace(id, snapshot, &everything, &self.scope);
            } else {
                rest.crd(id, snapshot, &everything, &self.scope);
            }
        }
        rest.kept.extend(self.foreign.iter().map(|id| {
            format!("what {id} applied: it does not belong to this repository, and Flux releases it")
        }));
        rest.kept.extend(ceph(&everything));
        rest
    }
}

fn owner_count(object: &Object) -> usize {
    object.metadata.owner_references.as_ref().map_or(0, Vec::len)
}

fn is_claim(id: &ObjectRef) -> bool {
    id.kind == "PersistentVolumeClaim"
}

/// The disks of Ceph are no objects.
fn ceph(everything: &BTreeSet<ObjectRef>) -> Option<String> {
    let cluster = everything.iter().find(|id| id.kind == "CephCluster")?;
    Some(format!(
        "what {cluster} wrote to disks and to /var/lib/rook on nodes: wipe both before the disks are used again"
    ))
}

impl Rest {
    fn crd(
        &mut self,
        id: &ObjectRef,
        snapshot: &Snapshot,
        goes: &BTreeSet<ObjectRef>,
        scope: &super::marks::Scope,
    ) {
        let objects: Vec<(ObjectRef, &Object)> = snapshot
            .of_crd(&id.name)
            .filter(|(one, object)| !goes.contains(one) && scope.mark(object).is_none())
            .collect();
        let theirs: Vec<String> = objects
            .iter()
            .filter(|(one, object)| !is_of_flux(one) && is_user_managed(object))
            .map(|(one, _)| one.to_string())
            .collect();
        if theirs.is_empty() {
            if !objects.is_empty() && !objects.iter().all(|(one, _)| is_of_flux(one)) {
                self.along.insert(
                    id.clone(),
                    vec![format!(
                        "with {} of its kind that controllers created",
                        count(objects.len(), "object")
                    )],
                );
            }
            self.crds.push(id.clone());
        } else {
            self.kept.push(format!("{id}: {} of its kind belongs to someone else", theirs.join(", ")));
        }
    }

    fn namespace(
        &mut self,
        id: &ObjectRef,
        snapshot: &Snapshot,
        goes: &BTreeSet<ObjectRef>,
        scope: &super::marks::Scope,
    ) {
        let theirs: Vec<String> =
            snapshot.user_objects_in(&id.name, goes, scope).map(|id| id.to_string()).collect();
        let mut along = vec!["and everything in it".to_owned()];
        if !theirs.is_empty() {
            along.push(format!("also what is not of this bootstrap: {}", theirs.join(", ")));
        }
        self.along.insert(id.clone(), along);
        self.namespaces.push(id.clone());
    }

    /// The parts for the listing.
    pub(super) fn parts(&self) -> Vec<Part> {
        let changes = |ids: &[ObjectRef]| -> Vec<Change> {
            ids.iter().map(|id| gone(id, self.along.get(id).cloned().unwrap_or_default())).collect()
        };
        [
            ("what is left", "object", &self.leftovers),
            ("kinds", "CRD", &self.crds),
            ("namespaces", "namespace", &self.namespaces),
        ]
        .into_iter()
        .filter(|(_, _, ids)| !ids.is_empty())
        .map(|(step, noun, ids)| part(step.to_owned(), By::Bootstrapper, noun, changes(ids)))
        .collect()
    }
}

/// The objects of a step for the listing, without CRDs and namespaces, which come later.
pub(super) fn of_step(step: &str, made: &Owned) -> Option<Part> {
    let late: BTreeSet<String> =
        made.objects.iter().filter(|id| is_late(id)).map(ToString::to_string).collect();
    let changes: Vec<Change> =
        made.diff.changes.iter().filter(|change| !late.contains(&change.subject)).cloned().collect();
    let by = if made.by == "helm" { By::Helm } else { By::Bootstrapper };
    let summary = if changes.len() == made.diff.changes.len() {
        made.diff.summary.clone()
    } else {
        count(changes.len(), "object")
    };
    (!changes.is_empty()).then(|| Part {
        step: step.to_owned(),
        by,
        what: Diff { summary, changes, unchanged: 0 },
    })
}

/// The releases that Flux uninstalls, each with its place in Helm's storage.
pub(super) fn uninstalled(tree: &Tree) -> Vec<(ObjectRef, (String, String))> {
    let units = tree.waves.iter().flatten();
    let releases = units.flat_map(|unit| tree.releases_of(unit)).filter(|release| !release.is_remote());
    releases.filter_map(|release| Some((release.id.clone(), release.stored.clone()?))).collect()
}
