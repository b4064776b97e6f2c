//! Compares two records: what an adoption preserved, and what it did not. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::record::{ObjectRecord, OwnerRecord, PodRecord, Record};
use bootstrapper_cluster::field_differences;
use bootstrapper_core::object::Object;

/// What changed for a Kustomization or HelmRelease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerComparison {
    /// The Kustomization or HelmRelease.
    pub owner: String,
    /// The release's revision before and now.
    pub revisions: (Option<u64>, Option<u64>),
    /// How many objects are unchanged.
    pub objects: usize,
    /// How many pods are unchanged.
    pub pods: usize,
    /// How many pods there were before.
    pub pods_before: usize,
    /// Pods that were replaced from the same template, for example after an eviction.
    pub replaced: Vec<String>,
    /// Workloads whose pods were recreated from another template.
    pub rolled: Vec<String>,
    /// Deleted objects.
    pub gone: Vec<String>,
    /// Recreated objects.
    pub recreated: Vec<String>,
    /// Objects with a changed spec.
    pub changed: Vec<String>,
    /// Objects with fields that Flux applies together with another manager: what Flux drops of them remains.
    pub co_owned: Vec<String>,
    /// The field managers before (`helm Update`), with their numbers of objects.
    pub managers_before: BTreeMap<String, usize>,
    /// The field managers of the same objects now.
    pub managers: BTreeMap<String, usize>,
}

impl Record {
    /// What changed until another record.
    pub fn compare(&self, now: &Self) -> Vec<OwnerComparison> {
        let nothing = OwnerRecord::default();
        let kept = |(owner, before): (&String, &OwnerRecord)| {
            kept(owner, before, now.owners.get(owner).unwrap_or(&nothing))
        };
        self.owners.iter().map(kept).collect()
    }
}

fn kept(owner: &str, before: &OwnerRecord, now: &OwnerRecord) -> OwnerComparison {
    let mut kept = OwnerComparison {
        owner: owner.to_owned(),
        revisions: (before.revision, now.revision),
        pods_before: before.pods.len(),
        ..OwnerComparison::default()
    };
    for (object, stood) in &before.objects {
        count_managers(stood, &mut kept.managers_before);
        if let Some(stands) = now.objects.get(object) {
            count_managers(stands, &mut kept.managers);
            kept.co_owned.extend(co_owner(stands).map(|other| format!("{object} ({other})")));
        }
        match now.objects.get(object) {
            None => kept.gone.push(object.clone()),
            Some(stands) if stands.uid != stood.uid => kept.recreated.push(object.clone()),
            Some(stands) if stands.generation != stood.generation => kept.changed.push(object.clone()),
            Some(stands) if !changes(stood, stands).is_empty() => {
                kept.changed.push(format!("{object} ({})", changes(stood, stands).join(", ")));
            }
            Some(_) => kept.objects += 1,
        }
    }
    let templates = |pods: &BTreeMap<String, PodRecord>| -> BTreeSet<(String, String)> {
        pods.values().filter_map(|pod| Some((pod.workload.clone(), pod.template.clone()?))).collect()
    };
    let (old, new) = (templates(&before.pods), templates(&now.pods));
    let workloads: BTreeSet<&String> = old.iter().map(|(workload, _)| workload).collect();
    let is_rolled = |(workload, _): &&(String, String)| workloads.contains(workload);
    let rolled: BTreeSet<&String> =
        new.difference(&old).filter(is_rolled).map(|(workload, _)| workload).collect();
    kept.rolled = rolled.iter().map(|workload| (*workload).clone()).collect();
    for (name, pod) in &before.pods {
        if now.pods.get(name).is_some_and(|stands| stands.uid == pod.uid) {
            kept.pods += 1;
        } else if !rolled.contains(&pod.workload) {
            kept.replaced.push(name.clone());
        }
    }
    kept
}

/// The fields that changed, where they are known: `.spec.ports[0].name dns → dns-udp`.
fn changes(stood: &ObjectRecord, stands: &ObjectRecord) -> Vec<String> {
    let of = |spec: &serde_json::Value| Object {
        types: None,
        metadata: kube::api::ObjectMeta::default(),
        data: serde_json::json!({"spec": spec}),
    };
    match (&stood.spec, &stands.spec) {
        (Some(before), Some(after)) => field_differences(&of(before), &of(after)),
        _ => Vec::new(),
    }
}

fn count_managers(standing: &ObjectRecord, counts: &mut BTreeMap<String, usize>) {
    for manager in &standing.managers {
        *counts.entry(manager.clone()).or_default() += 1;
    }
}

/// The other manager that applies fields that Flux applies. Updates do not count: an apply takes their fields
/// over.
fn co_owner(standing: &ObjectRecord) -> Option<&str> {
    const FLUX: [&str; 3] = ["kustomize-controller", "helm-controller", "flux-operator"];
    let appliers: Vec<&str> =
        standing.managers.iter().filter_map(|entry| entry.strip_suffix(" Apply")).collect();
    let is_flux_owned = |name: &&str| FLUX.contains(name);
    appliers.iter().any(is_flux_owned).then(|| appliers.iter().find(|name| !is_flux_owned(name)).copied())?
}

impl OwnerComparison {
    /// All differences, each in a few words.
    pub fn differences(&self) -> Vec<String> {
        let told = |list: &[String], what: &str| -> Vec<String> {
            list.iter().map(|object| format!("{object} {what}")).collect()
        };
        let revision = match self.revisions {
            (Some(before), Some(now)) if now != before + 1 => {
                vec![format!("{}: revision {before} became {now}, one more was expected", self.owner)]
            }
            (Some(before), None) => vec![format!("{}: revision {before} was deleted", self.owner)],
            _ => Vec::new(),
        };
        [
            revision,
            told(&self.rolled, "recreated its pods"),
            told(&self.replaced, "was replaced by a pod of the same template"),
            told(&self.gone, "was deleted"),
            told(&self.recreated, "was recreated"),
            told(&self.changed, "was changed"),
            told(&self.co_owned, "keeps fields that Flux drops: another manager applies them, too"),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn co_owners_of_applied_fields_are_reported() {
        let standing = |managers: &[&str]| ObjectRecord {
            managers: managers.iter().map(|&name| name.to_owned()).collect(),
            ..ObjectRecord::default()
        };
        for (managers, expected) in [
            (vec!["helm Apply", "helm-controller Apply"], Some("helm")),
            (vec!["helm Update", "helm-controller Update"], None),
            (vec!["helm Update", "kustomize-controller Apply"], None),
            (vec!["kubectl-bootstrapper Apply"], None),
        ] {
            assert_eq!(co_owner(&standing(&managers)), expected, "{managers:?}");
        }
    }
}
