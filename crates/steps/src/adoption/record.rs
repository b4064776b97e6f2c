//! A record of the state that an adoption could change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// The state at one moment. Objects are named `Deployment kube-system/coredns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The objects of every Kustomization and HelmRelease.
    pub owners: BTreeMap<String, OwnerRecord>,
    /// The serial number of the certificate in every Secret that has one.
    pub certificates: BTreeMap<String, String>,
}

/// The objects of a Kustomization or a HelmRelease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerRecord {
    /// The revision of the Helm release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its objects.
    pub objects: BTreeMap<String, ObjectRecord>,
    /// The pods of its workloads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, PodRecord>,
}

/// What distinguishes an object from another one with the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRecord {
    /// Its uid.
    pub uid: String,
    /// Its generation, if its kind has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The spec of a Service: its kind has no generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<serde_json::Value>,
    /// Its field managers, except those of its status: `helm Update`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub managers: BTreeSet<String>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRecord {
    /// Its uid.
    pub uid: String,
    /// The workload that created it: `Deployment kube-system/coredns`.
    pub workload: String,
    /// The digest of the workload's template that it was created from; none for a Job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// The ledger of a cluster's adoption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The state before Flux started.
    pub before: Record,
    /// The outcome of the adoption, once observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}
