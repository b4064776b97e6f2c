//! The outcome of an adoption. Pure.

use serde::{Deserialize, Serialize};

use super::kept::OwnerComparison;
use super::record::Record;
use bootstrapper_core::words::count;

/// The outcome of an adoption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// When it was observed.
    pub seen: jiff::Timestamp,
    /// How many releases Flux took over.
    pub releases: usize,
    /// How many objects are unchanged.
    pub objects: usize,
    /// How many pods are unchanged.
    pub pods: usize,
    /// How many certificates are unchanged.
    pub certificates: usize,
    /// All differences, each in a few words.
    pub differences: Vec<String>,
}

impl Record {
    /// The outcome of the adoption between two records.
    pub fn verdict(&self, now: &Self, seen: jiff::Timestamp) -> Verdict {
        let kept = self.compare(now);
        let renewed =
            self.certificates.iter().filter_map(|(secret, before)| match now.certificates.get(secret) {
                Some(serial) if serial == before => None,
                Some(_) => Some(format!("the certificate of {secret} is another one")),
                None => Some(format!("the certificate of {secret} was deleted")),
            });
        let renewed: Vec<String> = renewed.collect();
        let sum = |number: fn(&OwnerComparison) -> usize| kept.iter().map(number).sum();
        Verdict {
            seen,
            releases: kept.iter().filter(|kept| kept.revisions.0.is_some()).count(),
            objects: sum(|kept| kept.objects),
            pods: sum(|kept| kept.pods),
            certificates: self.certificates.len() - renewed.len(),
            differences: kept.iter().flat_map(OwnerComparison::differences).chain(renewed).collect(),
        }
    }
}

impl Verdict {
    /// A short summary.
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
    fn every_other_thing_is_a_difference() {
        let pods = json!({"Pod n/d-a": pod("2", "t")});
        let before = record(
            &json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5", "spec": {"ports": [{"name": "dns"}]}}}),
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
                "Service n/s was recreated",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}, "Service n/s": {"uid": "5", "spec": {"ports": [{"name": "udp-53"}]}}}),
                pods.clone(),
                2,
                "aa",
                "Service n/s (.spec.ports[0].name dns → udp-53) was changed",
            ),
            (
                json!({"Deployment n/d": {"uid": "1", "generation": 1}}),
                pods.clone(),
                2,
                "aa",
                "Service n/s was deleted",
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
                "Deployment n/d recreated its pods",
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
