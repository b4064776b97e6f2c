//! Executes a removal, in order.

use std::collections::{BTreeMap, BTreeSet};

use super::hold::{delete_pruning, release_instance};
use super::listing::{Part, Rest, is_late, of_step, uninstalled};
use super::marks::{is_always_kept, is_of_flux};
use super::order::waves;
use super::releases;
use super::removal::{Removal, await_removal, delete};
use super::snapshot::Snapshot;
use super::tree::{FluxPrerequisites, Tree};
use super::volumes::{Claim, claims};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Owned, Teardown};
use bootstrapper_gitops::Declared;

/// Everything to remove, in order.
pub struct Plan {
    cluster: Cluster,
    tree: Tree,
    /// The objects of each release that Flux uninstalls.
    manifests: BTreeMap<ObjectRef, Vec<ObjectRef>>,
    claims: Vec<Claim>,
    rest: Rest,
    /// What is removed, in order, for the user.
    pub parts: Vec<Part>,
    /// What is kept, and why.
    pub kept: Vec<String>,
    /// All objects that must be gone in the end.
    goes: BTreeSet<ObjectRef>,
}

impl Plan {
    /// Reads what there is to remove. `steps` has the objects of each step, in reverse order. Flux is queried
    /// only if `with_flux`.
    pub async fn read(
        cluster: &Cluster,
        declared: &Declared,
        steps: &[(String, Owned)],
        is_whole: bool,
        with_flux: bool,
    ) -> Result<Self> {
        if !is_whole {
            return Ok(Self::of_steps(cluster, steps));
        }
        let snapshot = Snapshot::take(cluster).await?;
        let owners = steps.iter().flat_map(|(_, made)| made.owners.iter().cloned()).collect();
        let tree = if with_flux {
            Tree::read(cluster, declared, &FluxPrerequisites { owners }, &snapshot).await?
        } else {
            Tree::without_flux(declared)
        };
        let mut manifests = BTreeMap::new();
        let mut uses: Vec<ObjectRef> = steps.iter().flat_map(|(_, made)| made.uses.iter().cloned()).collect();
        for (id, (namespace, name)) in uninstalled(&tree) {
            let Some(stored) = cluster.helm_release(&namespace, &name).await? else { continue };
            let target = tree.releases[&id].namespace();
            uses.extend(releases::mounted(&stored, &target));
            manifests.insert(id, releases::objects(cluster, &stored, &target).await?);
        }
        let mut rest = tree.rest(&snapshot, steps, &manifests, &uses, with_flux);
        let namespaces: BTreeSet<String> = rest.namespaces.iter().map(|id| id.name.clone()).collect();
        let claims = claims(cluster, &namespaces).await?;
        rest.kept.extend(claims.iter().filter_map(Claim::kept));
        rest.kept.extend(snapshot.unlisted().iter().map(|why| format!("objects that cannot be seen: {why}")));

        let of_flux = tree.parts(&snapshot, &manifests, &claims);
        let of_steps = steps.iter().filter_map(|(step, made)| {
            let without_flux = Owned {
                diff: bootstrapper_engine::Diff {
                    changes: made
                        .diff
                        .changes
                        .iter()
                        .filter(|change| !tree.tells(&change.subject))
                        .cloned()
                        .collect(),
                    ..made.diff.clone()
                },
                ..made.clone()
            };
            of_step(step, &without_flux)
        });
        let parts = of_flux.into_iter().chain(of_steps).chain(rest.parts()).collect();

        let flux =
            snapshot.all().map(|(id, _)| id).filter(|id| with_flux && !tree.is_empty() && is_of_flux(id));
        let goes = flux
            .chain(steps.iter().flat_map(|(_, made)| made.objects.clone()))
            .chain(manifests.values().flatten().cloned())
            .chain(tree.waves.iter().flatten().flat_map(|unit| tree.applied(unit)).cloned())
            .chain(rest.leftovers.iter().chain(&rest.crds).chain(&rest.namespaces).cloned())
            .filter(|id| !is_always_kept(id) && snapshot.get(id).is_some());
        let mut goes: BTreeSet<ObjectRef> = goes.collect();
        // A kept CRD is listed as kept.
        goes.retain(|id| !is_late(id) || rest.crds.contains(id) || rest.namespaces.contains(id));
        let kept = std::mem::take(&mut rest.kept);
        Ok(Self { cluster: cluster.clone(), tree, manifests, claims, rest, parts, kept, goes })
    }

    /// Only the objects of steps.
    fn of_steps(cluster: &Cluster, steps: &[(String, Owned)]) -> Self {
        let all = || steps.iter().flat_map(|(_, made)| made.objects.iter().cloned());
        let late = |kind: &str| -> Vec<ObjectRef> {
            all().filter(|id| id.kind == kind && !is_always_kept(id)).collect()
        };
        let rest =
            Rest { crds: late("CustomResourceDefinition"), namespaces: late("Namespace"), ..Rest::default() };
        let parts = steps.iter().filter_map(|(step, made)| of_step(step, made)).chain(rest.parts()).collect();
        Self {
            cluster: cluster.clone(),
            tree: Tree::default(),
            manifests: BTreeMap::new(),
            claims: Vec::new(),
            rest,
            parts,
            kept: Vec::new(),
            goes: all().filter(|id| !is_always_kept(id)).collect(),
        }
    }

    /// Whether a step removes its own objects: if they are only CRDs and namespaces, they are removed last.
    pub fn is_removed_by_step(made: &Owned) -> bool {
        let has_late_only = !made.objects.is_empty() && made.objects.iter().all(is_late);
        !made.diff.changes.is_empty() && !has_late_only
    }

    /// The number of objects to remove.
    pub fn count(&self) -> usize {
        self.goes.len()
    }

    /// Removes what Flux removes; afterwards Flux has released everything else.
    pub async fn through_flux(&self, teardown: &Teardown<'_>) -> Result<()> {
        if self.tree.is_empty() {
            // A crashed run may have left flux-operator disabled.
            return self.wake_instances().await;
        }
        self.tree.hold(&self.cluster, teardown).await?;
        for wave in &self.tree.waves {
            let (storage, others): (Vec<_>, Vec<_>) =
                wave.iter().cloned().partition(|unit| !self.storage_of(unit).is_empty());
            self.remove_units(&others, teardown).await?;
            let classes: BTreeSet<&str> = storage.iter().flat_map(|unit| self.storage_of(unit)).collect();
            self.remove_claims(&classes, teardown).await?;
            self.remove_units(&storage, teardown).await?;
        }
        self.delete_flux_objects(teardown).await
    }

    /// The storage classes that a Kustomization provides, itself or by a release.
    fn storage_of(&self, unit: &ObjectRef) -> Vec<&str> {
        let of_releases =
            self.tree.releases_of(unit).into_iter().filter_map(|one| self.manifests.get(&one.id));
        let all = of_releases.flatten().chain(self.tree.applied(unit));
        all.filter(|id| id.kind == "StorageClass").map(|id| id.name.as_str()).collect()
    }

    /// Removes claims on storage whose provisioner is about to be removed: their volumes could not be deleted
    /// later.
    async fn remove_claims(&self, classes: &BTreeSet<&str>, teardown: &Teardown<'_>) -> Result<()> {
        let is_provided =
            |claim: &&Claim| claim.class.as_deref().is_some_and(|class| classes.contains(class));
        let claims: Vec<&Claim> = self.claims.iter().filter(is_provided).collect();
        for claim in &claims {
            (teardown.say)(format!("removing {}", claim.id));
            delete(&self.cluster, &claim.id).await?;
        }
        let parts: Vec<ObjectRef> = claims.iter().flat_map(|claim| claim.parts()).collect();
        await_removal(&self.cluster, &parts, Removal::Await, teardown).await
    }

    /// Custom resources first, while their controllers run; then releases; then everything else.
    async fn remove_units(&self, units: &[ObjectRef], teardown: &Teardown<'_>) -> Result<()> {
        let custom: Vec<ObjectRef> = units
            .iter()
            .flat_map(|unit| self.tree.applied(unit))
            .filter(|id| self.tree.custom_groups.contains(id.group()) && !is_of_flux(id))
            .cloned()
            .collect();
        self.delete_all(&custom, teardown).await?;
        self.uninstall(units, teardown).await?;
        for id in units {
            (teardown.say)(format!("{id}: Flux removes what it applied"));
            delete_pruning(&self.cluster, id).await?;
        }
        await_removal(&self.cluster, units, Removal::DeleteAgain, teardown).await?;
        let applied: Vec<ObjectRef> =
            units.iter().flat_map(|unit| self.tree.applied(unit)).cloned().collect();
        self.delete_all(&applied, teardown).await
    }

    async fn uninstall(&self, units: &[ObjectRef], teardown: &Teardown<'_>) -> Result<()> {
        let releases: BTreeMap<ObjectRef, _> = units
            .iter()
            .flat_map(|unit| self.tree.releases_of(unit))
            .map(|release| (release.id.clone(), release))
            .collect();
        let needs =
            releases.iter().map(|(id, release)| (id.clone(), release.depends_on.iter().cloned().collect()));
        for wave in waves(&releases.keys().cloned().collect(), &needs.collect()) {
            for id in &wave {
                (teardown.say)(format!("{id}: Flux uninstalls it"));
                if releases[id].is_suspended() {
                    self.cluster.merge(id, &serde_json::json!({"spec": {"suspend": false}})).await?;
                }
                delete(&self.cluster, id).await?;
            }
            await_removal(&self.cluster, &wave, Removal::DeleteAgain, teardown).await?;
            let installed: Vec<ObjectRef> =
                wave.iter().filter_map(|id| self.manifests.get(id)).flatten().cloned().collect();
            await_removal(&self.cluster, &installed, Removal::Await, teardown).await?;
        }
        Ok(())
    }

    /// Deletes Flux's own objects, and keeps what they applied for now.
    async fn delete_flux_objects(&self, teardown: &Teardown<'_>) -> Result<()> {
        let tree = &self.tree;
        let releases: Vec<ObjectRef> = tree.prerequisite_releases.iter().cloned().collect();
        let let_go = releases.len() + tree.prerequisites.len();
        (teardown.say)(format!("Flux releases {}", count(let_go, "object")));
        let foreign = |kind: &str| {
            let of_kind = tree.foreign.iter().filter(move |id| id.kind == kind);
            of_kind.cloned().collect::<Vec<ObjectRef>>()
        };
        self.delete_all(&[releases, foreign("HelmRelease")].concat(), teardown).await?;
        // The rest of Flux's kinds: sources, and what HelmReleases created.
        let snapshot = Snapshot::take(&self.cluster).await?;
        // flux-operator recreates its report.
        let is_late =
            |id: &ObjectRef| matches!(id.kind.as_str(), "Kustomization" | "FluxInstance" | "FluxReport");
        let left = snapshot.all().map(|(id, _)| id).filter(|id| is_of_flux(id) && !is_late(id));
        self.delete_all(&left.collect::<Vec<_>>(), teardown).await?;
        let (root, others) = match tree.prerequisites.split_last() {
            Some((root, others)) => (std::slice::from_ref(root), others),
            None => (&[][..], &[][..]),
        };
        self.delete_all(&[others, &foreign("Kustomization")].concat(), teardown).await?;
        self.delete_all(root, teardown).await?;
        self.wake_instances().await
    }

    async fn wake_instances(&self) -> Result<()> {
        for instance in &self.tree.instances {
            release_instance(&self.cluster, instance).await?;
        }
        Ok(())
    }

    /// Objects of no step; then CRDs, then namespaces.
    pub async fn rest(&self, teardown: &Teardown<'_>) -> Result<()> {
        for ids in [&self.rest.leftovers, &self.rest.crds, &self.rest.namespaces] {
            self.delete_all(ids, teardown).await?;
        }
        Ok(())
    }

    async fn delete_all(&self, ids: &[ObjectRef], teardown: &Teardown<'_>) -> Result<()> {
        let there: Vec<ObjectRef> = {
            let mut there = Vec::new();
            for id in ids {
                if self.cluster.get(id).await?.is_some() {
                    there.push(id.clone());
                }
            }
            there
        };
        for id in &there {
            (teardown.say)(format!("removing {id}"));
            delete(&self.cluster, id).await?;
        }
        await_removal(&self.cluster, &there, Removal::DeleteAgain, teardown).await
    }

    /// Fails if anything is left that should be removed.
    pub async fn require_gone(&self) -> Result<()> {
        let snapshot = Snapshot::take(&self.cluster).await?;
        let left = snapshot.existing(&self.goes);
        if left.is_empty() {
            return Ok(());
        }
        let failure = Failure::step(format!("{} not removed", count(left.len(), "object")));
        let failure = left.iter().fold(failure, |failure, id| {
            let why = snapshot.get(id).map(why).unwrap_or_default();
            failure.because(format!("still exists: {id}{why}"))
        });
        Err(failure.hint("run the same command again: it removes what is left"))
    }
}

fn why(object: &Object) -> String {
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default().join(", ");
    match (object.metadata.deletion_timestamp.is_some(), finalizers.is_empty()) {
        (true, false) => format!(", held by its finalizer {finalizers}"),
        (true, true) => ", which is still being deleted".to_owned(),
        (false, _) => ", which was recreated".to_owned(),
    }
}
