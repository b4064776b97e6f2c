//! What stood at a moment, as far as an adoption could touch it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// What stood at a moment. ObjectSet are named as people name them: `Deployment kube-system/coredns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What every Kustomization and HelmRelease holds.
    pub owners: BTreeMap<String, Holding>,
    /// The serial number of the certificate of every Secret that holds one.
    pub certificates: BTreeMap<String, String>,
}

/// What a Kustomization or a HelmRelease holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// The revision of the Helm release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its objects.
    pub objects: BTreeMap<String, Standing>,
    /// The pods of its workloads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, PodRecord>,
}

/// An object, as far as it can be told from another one of its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its uid.
    pub uid: String,
    /// Counts the changes of what is wanted of it, if its kind has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Who owns fields of it, its status aside: `helm Update`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub managers: BTreeSet<String>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRecord {
    /// Its uid.
    pub uid: String,
    /// The workload that made it: `Deployment kube-system/coredns`.
    pub workload: String,
    /// The digest of the workload's template that it was made from; none for a Job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// What the cluster remembers of its adoption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// What stood before Flux began.
    pub before: Record,
    /// What the adoption came to, once that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}
