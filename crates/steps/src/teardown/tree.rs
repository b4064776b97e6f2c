//! The Flux objects of a repository in a live cluster, and their order of removal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::marks::{Named, Scope, owner};
use super::order::waves;
use super::snapshot::Snapshot;
use super::units::{HELM, KUSTOMIZE, Release, Unit};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_gitops::Declared;

/// What Flux itself depends on, and what the bootstrap installed before it: Flux releases these, and the
/// bootstrap removes them.
#[derive(Debug, Clone, Default)]
pub(super) struct FluxPrerequisites {
    /// Kustomizations and HelmReleases that own the objects of steps.
    pub(super) owners: BTreeSet<ObjectRef>,
}

/// The Flux objects of a repository.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) units: BTreeMap<ObjectRef, Unit>,
    pub(super) releases: BTreeMap<ObjectRef, Release>,
    /// Flux removes what these applied, wave by wave.
    pub(super) waves: Vec<Vec<ObjectRef>>,
    /// Flux releases these, the root last.
    pub(super) prerequisites: Vec<ObjectRef>,
    pub(super) prerequisite_releases: BTreeSet<ObjectRef>,
    /// Kustomizations and HelmReleases of other repositories.
    pub(super) foreign: Vec<ObjectRef>,
    pub(super) instances: Vec<ObjectRef>,
    /// API groups defined by CRDs.
    pub(super) custom_groups: BTreeSet<String>,
    pub(super) scope: Scope,
}

impl Tree {
    /// Reads the live objects.
    pub(super) async fn read(
        cluster: &Cluster,
        declared: &Declared,
        prerequisites: &FluxPrerequisites,
        snapshot: &Snapshot,
    ) -> Result<Self> {
        let list = async |api_version: &str, kind: &str| -> Result<Vec<Arc<Object>>> {
            let found = cluster.list(&Selection::of(api_version, kind)).await?;
            Ok(found.into_iter().map(Arc::new).collect())
        };
        let units: Vec<Unit> =
            list(&format!("{KUSTOMIZE}/v1"), "Kustomization").await?.into_iter().map(Unit::of).collect();
        let releases: Vec<Release> =
            list(&format!("{HELM}/v2"), "HelmRelease").await?.into_iter().map(Release::of).collect();
        let instances = list("fluxcd.controlplane.io/v1", "FluxInstance").await?;
        let instances = instances.iter().map(|instance| ObjectRef::of(instance)).collect();
        Ok(Self { instances, ..Self::of(units, releases, declared, prerequisites, snapshot) })
    }

    fn of(
        units: Vec<Unit>,
        releases: Vec<Release>,
        declared: &Declared,
        prerequisites: &FluxPrerequisites,
        snapshot: &Snapshot,
    ) -> Self {
        let root = ObjectRef::of(&declared.sync);
        let declared_units = declared.kustomizations.iter().map(|unit| &unit.id).chain([&root]);
        let members = members(&units, declared_units.map(named).collect());
        let (units, foreign_units): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| members.contains(&named(&unit.id)));
        let brought: BTreeSet<&ObjectRef> = units.iter().flat_map(|unit| &unit.inventory).collect();
        let mut of_releases: BTreeSet<Named> =
            declared.releases.iter().map(|release| named(&release.id)).collect();
        let is_member = |release: &Release| {
            of_releases.contains(&named(&release.id))
                || brought.contains(&release.id)
                || owner(&release.object, KUSTOMIZE).is_some_and(|owner| members.contains(&owner))
        };
        let (releases, foreign_releases): (Vec<Release>, Vec<Release>) =
            releases.into_iter().partition(is_member);
        of_releases.extend(releases.iter().map(|release| named(&release.id)));

        let installed = declared
            .releases
            .iter()
            .map(|release| (release.release_namespace.clone(), release.release_name.clone()))
            .chain(releases.iter().filter_map(|release| release.stored.clone()));
        let scope = Scope { kustomizations: members, installed: installed.collect(), releases: of_releases };
        let foreign = foreign_units.into_iter().map(|unit| unit.id);
        let foreign = foreign.chain(foreign_releases.into_iter().map(|release| release.id)).collect();

        let prerequisite_releases: BTreeSet<ObjectRef> = releases
            .iter()
            .map(|release| release.id.clone())
            .filter(|id| prerequisites.owners.contains(id))
            .collect();
        let standing = prerequisite_units(&units, &root, prerequisites, &prerequisite_releases);
        let needs = needs(&units, &releases, snapshot);
        let others: BTreeSet<ObjectRef> =
            units.iter().map(|unit| unit.id.clone()).filter(|id| !standing.contains(id)).collect();
        let mut last: Vec<ObjectRef> = waves(&standing, &needs).concat();
        last.retain(|id| *id != root);
        last.extend(standing.get(&root).cloned());
        Self {
            waves: waves(&others, &needs),
            prerequisites: last,
            prerequisite_releases,
            foreign,
            instances: Vec::new(),
            custom_groups: snapshot.crds().filter_map(group).collect(),
            scope,
            units: units.into_iter().map(|unit| (unit.id.clone(), unit)).collect(),
            releases: releases.into_iter().map(|release| (release.id.clone(), release)).collect(),
        }
    }

    /// What is known without Flux: the releases of the repository.
    pub(super) fn without_flux(declared: &Declared) -> Self {
        let installed = declared.releases.iter();
        let installed =
            installed.map(|release| (release.release_namespace.clone(), release.release_name.clone()));
        let scope = Scope { installed: installed.collect(), ..Scope::default() };
        Self { scope, ..Self::default() }
    }

    /// Whether an object in the listing is listed as a part of Flux.
    pub(super) fn tells(&self, subject: &str) -> bool {
        !self.is_empty()
            && [
                "Kustomization ",
                "HelmRelease ",
                "GitRepository ",
                "OCIRepository ",
                "HelmRepository ",
                "Bucket ",
            ]
            .iter()
            .any(|kind| subject.starts_with(kind))
    }

    /// Whether Flux has no objects of the repository.
    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty() && self.releases.is_empty()
    }

    /// The HelmReleases that a Kustomization applies, except those that Flux releases.
    pub(super) fn releases_of(&self, unit: &ObjectRef) -> Vec<&Release> {
        let Some(unit) = self.units.get(unit) else { return Vec::new() };
        let brought = unit.inventory.iter().filter(|id| !self.prerequisite_releases.contains(id));
        brought.filter_map(|id| self.releases.get(id)).collect()
    }
}

fn group(crd: &Object) -> Option<String> {
    Some(crd.metadata.name.as_deref()?.split_once('.')?.1.to_owned())
}

pub(super) fn named(id: &ObjectRef) -> Named {
    (id.namespace.clone().unwrap_or_default(), id.name.clone())
}

fn is_unit(id: &ObjectRef) -> bool {
    id.group() == KUSTOMIZE && id.kind == "Kustomization"
}

/// The Kustomizations of the repository, and all that they apply.
fn members(units: &[Unit], mut members: BTreeSet<Named>) -> BTreeSet<Named> {
    loop {
        let brings = |unit: &Unit| members.contains(&named(&unit.id));
        let brought = units.iter().filter(|unit| brings(unit)).flat_map(|unit| &unit.inventory);
        let labelled = units
            .iter()
            .filter(|unit| owner(&unit.object, KUSTOMIZE).is_some_and(|owner| members.contains(&owner)));
        let more: Vec<Named> = brought
            .filter(|id| is_unit(id))
            .chain(labelled.map(|unit| &unit.id))
            .map(named)
            .filter(|one| !members.contains(one))
            .collect();
        if more.is_empty() {
            return members;
        }
        members.extend(more);
    }
}

/// The root, the owners of steps' objects, what installs Flux itself, and the parents of any of these.
fn prerequisite_units(
    units: &[Unit],
    root: &ObjectRef,
    prerequisites: &FluxPrerequisites,
    releases: &BTreeSet<ObjectRef>,
) -> BTreeSet<ObjectRef> {
    let mut found: BTreeSet<ObjectRef> = BTreeSet::new();
    loop {
        let is_ground = |unit: &&Unit| {
            unit.id == *root
                || prerequisites.owners.contains(&unit.id)
                || unit
                    .inventory
                    .iter()
                    .any(|id| releases.contains(id) || found.contains(id) || brings_flux(id))
        };
        let more: BTreeSet<ObjectRef> = units.iter().filter(is_ground).map(|unit| unit.id.clone()).collect();
        if more.len() == found.len() {
            return found;
        }
        found = more;
    }
}

fn brings_flux(id: &ObjectRef) -> bool {
    match id.kind.as_str() {
        "FluxInstance" => true,
        "CustomResourceDefinition" => id.name.ends_with(".toolkit.fluxcd.io"),
        "Deployment" => matches!(
            id.name.as_str(),
            "source-controller" | "kustomize-controller" | "helm-controller" | "flux-operator"
        ),
        _ => false,
    }
}

/// The dependencies of each Kustomization: its `dependsOn`, its parent, and the Kustomization that provides the
/// CRDs of its objects, itself or by a release, because their controller must handle the deletion.
fn needs(
    units: &[Unit],
    releases: &[Release],
    snapshot: &Snapshot,
) -> BTreeMap<ObjectRef, BTreeSet<ObjectRef>> {
    let parent_of: BTreeMap<&ObjectRef, &ObjectRef> =
        units.iter().flat_map(|unit| unit.inventory.iter().map(move |id| (id, &unit.id))).collect();
    let by_name: BTreeMap<Named, &ObjectRef> = units.iter().map(|unit| (named(&unit.id), &unit.id)).collect();
    let release_unit: BTreeMap<Named, &ObjectRef> = releases
        .iter()
        .filter_map(|release| Some((named(&release.id), *parent_of.get(&release.id)?)))
        .collect();
    let definer = |crd: &Object| {
        let release = owner(crd, HELM).and_then(|named| release_unit.get(&named).copied());
        release.or_else(|| owner(crd, KUSTOMIZE).and_then(|named| by_name.get(&named).copied()))
    };
    let definers: BTreeMap<String, &ObjectRef> = snapshot
        .crds()
        .filter_map(|crd| {
            let name = crd.metadata.name.clone()?;
            Some((name.split_once('.')?.1.to_owned(), definer(crd)?))
        })
        .collect();
    let mut needs: BTreeMap<ObjectRef, BTreeSet<ObjectRef>> = BTreeMap::new();
    for unit in units {
        let own = needs.entry(unit.id.clone()).or_default();
        own.extend(unit.depends_on.iter().cloned());
        own.extend(parent_of.get(&unit.id).map(|parent| (*parent).clone()));
        let kinds = unit.inventory.iter().filter_map(|id| definers.get(id.group()));
        own.extend(kinds.map(|definer| (*definer).clone()));
        let of_releases = unit.inventory.iter().filter_map(|id| releases.iter().find(|one| one.id == *id));
        let others = of_releases.flat_map(|release| &release.depends_on).filter_map(|id| parent_of.get(id));
        own.extend(others.map(|parent| (*parent).clone()));
        own.remove(&unit.id);
    }
    needs
}
