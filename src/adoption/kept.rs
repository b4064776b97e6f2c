//! What an adoption kept, and what it did not: two records compared. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::{Holding, PodRecord, Record, Standing};
use crate::words::count;

/// What became of what a Kustomization or HelmRelease holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The Kustomization or HelmRelease.
    pub owner: String,
    /// The release's revision before and now.
    pub revisions: (Option<u64>, Option<u64>),
    /// How many objects are the same, unchanged.
    pub objects: usize,
    /// How many pods are the same.
    pub pods: usize,
    /// Of how many.
    pub pods_before: usize,
    /// Pods that another one took the place of, made from the same template: evicted, for one.
    pub replaced: Vec<String>,
    /// Workloads whose pods were made anew from another template.
    pub rolled: Vec<String>,
    /// Objects that are gone.
    pub gone: Vec<String>,
    /// Objects that were deleted and made anew.
    pub recreated: Vec<String>,
    /// Objects of which something else is wanted.
    pub changed: Vec<String>,
    /// Objects with fields that Flux applies, and somebody else too: what Flux drops of them stays.
    pub co_owned: Vec<String>,
    /// Who owned fields before: `helm Update`, and of how many objects.
    pub managers_before: BTreeMap<String, usize>,
    /// Who owns fields of the same objects now.
    pub managers: BTreeMap<String, usize>,
}

/// What an adoption came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// When that was seen.
    pub seen: jiff::Timestamp,
    /// How many releases Flux took over.
    pub releases: usize,
    /// How many objects are the same.
    pub objects: usize,
    /// How many pods are the same.
    pub pods: usize,
    /// How many certificates are the same.
    pub certificates: usize,
    /// Whatever is not the same, each in a few words.
    pub differences: Vec<String>,
}

impl Record {
    /// What became of it by the time of another record.
    pub fn kept_in(&self, now: &Self) -> Vec<Kept> {
        let nothing = Holding::default();
        let kept = |(owner, before): (&String, &Holding)| {
            kept(owner, before, now.owners.get(owner).unwrap_or(&nothing))
        };
        self.owners.iter().map(kept).collect()
    }

    /// What the adoption between two records came to.
    pub fn verdict(&self, now: &Self, seen: jiff::Timestamp) -> Verdict {
        let kept = self.kept_in(now);
        let renewed =
            self.certificates.iter().filter_map(|(secret, before)| match now.certificates.get(secret) {
                Some(serial) if serial == before => None,
                Some(_) => Some(format!("the certificate of {secret} is another one")),
                None => Some(format!("the certificate of {secret} is gone")),
            });
        let renewed: Vec<String> = renewed.collect();
        let sum = |number: fn(&Kept) -> usize| kept.iter().map(number).sum();
        Verdict {
            seen,
            releases: kept.iter().filter(|kept| kept.revisions.0.is_some()).count(),
            objects: sum(|kept| kept.objects),
            pods: sum(|kept| kept.pods),
            certificates: self.certificates.len() - renewed.len(),
            differences: kept.iter().flat_map(Kept::differences).chain(renewed).collect(),
        }
    }
}

fn kept(owner: &str, before: &Holding, now: &Holding) -> Kept {
    let mut kept = Kept {
        owner: owner.to_owned(),
        revisions: (before.revision, now.revision),
        pods_before: before.pods.len(),
        ..Kept::default()
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

fn count_managers(standing: &Standing, counts: &mut BTreeMap<String, usize>) {
    for manager in &standing.managers {
        *counts.entry(manager.clone()).or_default() += 1;
    }
}

/// Who applies fields that Flux applies too. Updates do not count: an apply takes their fields away.
fn co_owner(standing: &Standing) -> Option<&str> {
    const FLUX: [&str; 3] = ["kustomize-controller", "helm-controller", "flux-operator"];
    let appliers: Vec<&str> =
        standing.managers.iter().filter_map(|entry| entry.strip_suffix(" Apply")).collect();
    let is_fluxs = |name: &&str| FLUX.contains(name);
    appliers.iter().any(is_fluxs).then(|| appliers.iter().find(|name| !is_fluxs(name)).copied())?
}

impl Kept {
    /// Whatever is not the same, each in a few words.
    pub fn differences(&self) -> Vec<String> {
        let told = |list: &[String], what: &str| -> Vec<String> {
            list.iter().map(|object| format!("{object} {what}")).collect()
        };
        let revision = match self.revisions {
            (Some(before), Some(now)) if now != before + 1 => {
                vec![format!("{}: revision {before} became {now}, one more was expected", self.owner)]
            }
            (Some(before), None) => vec![format!("{}: revision {before} is gone", self.owner)],
            _ => Vec::new(),
        };
        [
            revision,
            told(&self.rolled, "made its pods anew"),
            told(&self.replaced, "was replaced by a pod of the same template"),
            told(&self.gone, "is gone"),
            told(&self.recreated, "was deleted and made anew"),
            told(&self.changed, "was changed"),
            told(&self.co_owned, "keeps fields that Flux drops: somebody else applies them too"),
        ]
        .concat()
    }
}

impl Verdict {
    /// In a few words.
    pub fn summary(&self) -> String {
        let kept = format!(
            "{} adopted: {}, {} and {} kept",
            count(self.releases, "release"),
            count(self.pods, "pod"),
            count(self.certificates, "certificate"),
            count(self.objects, "object"),
        );
        match self.differences.len() {
            0 => format!("{kept}, nothing changed"),
            differences => format!("{kept}, {}", count(differences, "difference")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(objects: &serde_json::Value, pods: &serde_json::Value, revision: u64, serial: &str) -> Record {
        serde_json::from_value(json!({
            "owners": {"HelmRelease n/r": {"revision": revision, "objects": objects, "pods": pods}},
            "certificates": {"Secret n/c": serial},
        }))
        .unwrap()
    }

    fn pod(uid: &str, template: &str) -> serde_json::Value {
        json!({"uid": uid, "workload": "Deployment n/d", "template": template})
    }

    fn differences(before: &Record, now: &Record) -> Vec<String> {
        before.verdict(now, jiff::Timestamp::UNIX_EPOCH).differences
    }

    #[test]
    fn the_same_is_kept() {
        let objects = json!({"Deployment n/d": {"uid": "1", "generation": 1}});
        let pods = json!({"Pod n/d-a": pod("2", "t")});
        let before = record(&objects, &pods, 1, "aa");
        let now = record(&objects, &pods, 2, "aa");
        let verdict = before.verdict(&now, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(
            verdict.summary(),
            "1 release adopted: 1 pod, 1 certificate and 1 object kept, nothing changed"
        );
    }

    #[test]
    fn who_applies_what_flux_applies_is_told() {
        let standing = |managers: &[&str]| Standing {
            managers: managers.iter().map(|&name| name.to_owned()).collect(),
            ..Standing::default()
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

    #[test]
    fn every_other_thing_is_a_difference() {
        let pods = json!({"Pod n/d-a": pod("2", "t")});
        let before = record(
            &json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5"}}),
            &pods,
            1,
            "aa",
        );
        for (objects, pods, revision, serial, expected) in [
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 2}, "Service n/s": {"uid": "5"}}),
                pods.clone(),
                2,
                "aa",
                "Deployment n/d was changed",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "6"}}),
                pods.clone(),
                2,
                "aa",
                "Service n/s was deleted and made anew",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}}),
                pods.clone(),
                2,
                "aa",
                "Service n/s is gone",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5"}}),
                pods.clone(),
                3,
                "aa",
                "HelmRelease n/r: revision 1 became 3, one more was expected",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5"}}),
                pods.clone(),
                2,
                "bb",
                "the certificate of Secret n/c is another one",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5"}}),
                json!({"Pod n/d-b": pod("3", "u")}),
                2,
                "aa",
                "Deployment n/d made its pods anew",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5"}}),
                json!({"Pod n/d-b": pod("3", "t")}),
                2,
                "aa",
                "Pod n/d-a was replaced by a pod of the same template",
            ),
        ] {
            assert_eq!(differences(&before, &record(&objects, &pods, revision, serial)), [expected]);
        }
    }
}
