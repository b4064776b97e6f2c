//! Which objects provide the CRD of a kind, and from which moment it exists.

use std::collections::BTreeMap;

use super::charts::{self, By};
use super::moment::{Moment, short};
use crate::{Declared, Release};
use bootstrapper_core::object::{Object, ObjectRef, is_crd};

/// A kind of object, regardless of version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Its API group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

impl Kind {
    /// The kind with this group and name.
    pub fn new(group: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), kind: kind.to_owned() }
    }

    /// The kind that a CRD defines; none if the object is not a CRD.
    pub fn defined_by(object: &Object) -> Option<Self> {
        let spec = &object.data["spec"];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        is_crd(object).then(|| Self { group: text(&spec["group"]), kind: text(&spec["names"]["kind"]) })
    }

    /// The kind of an object, if it needs a CRD. Flux's own CRDs are excluded.
    pub fn of(id: &ObjectRef) -> Option<Self> {
        let group = id.group();
        let is_own = group == "apps" || group == "batch" || group == "policy" || group == "autoscaling";
        let is_core = group.is_empty() || is_own || is_of_kubernetes(group);
        (!is_core && !group.ends_with(".toolkit.fluxcd.io")).then(|| Self::new(group, &id.kind))
    }
}

/// Groups of the API server itself; other groups have the same suffix.
fn is_of_kubernetes(group: &str) -> bool {
    const OWN: [&str; 14] = [
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
    ];
    let own = group.strip_suffix(".k8s.io");
    own.is_some_and(|own| OWN.contains(&own) || own == "scheduling" || own == "storage")
}

/// The provider of a CRD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// A Kustomization or a HelmRelease.
    pub id: ObjectRef,
    /// The moment from which the CRD exists.
    pub from: Moment,
}

impl Provider {
    /// `HelmRelease cilium`.
    pub fn describe(&self) -> String {
        short(&self.id)
    }
}

/// The providers of the CRDs of a cluster.
pub struct Kinds<'a> {
    declared: &'a Declared,
    by_kustomization: BTreeMap<Kind, Vec<&'a ObjectRef>>,
}

impl<'a> Kinds<'a> {
    /// The providers of everything that a cluster declares.
    pub fn of(declared: &'a Declared) -> Self {
        let mut by_kustomization: BTreeMap<Kind, Vec<&ObjectRef>> = BTreeMap::new();
        for kustomization in &declared.kustomizations {
            for object in &kustomization.objects {
                if let Some(kind) = Kind::defined_by(object) {
                    by_kustomization.entry(kind).or_default().push(&kustomization.id);
                }
            }
        }
        Self { declared, by_kustomization }
    }

    /// All providers of the CRD of a kind. Flux applies the CRDs of a Kustomization before its other objects,
    /// and waits until they are served.
    pub fn providers(&self, kind: &Kind) -> Vec<Provider> {
        let kustomizations = self.by_kustomization.get(kind).into_iter().flatten();
        let kustomizations =
            kustomizations.map(|id| Provider { id: (*id).clone(), from: Moment::begins(id) });
        let releases = self.declared.releases.iter();
        let releases = releases
            .filter(|release| self.is_provided_by(release, kind))
            .map(|release| Provider { id: release.id.clone(), from: Moment::ready(&release.id) });
        kustomizations.chain(releases).collect()
    }

    /// Whether a Kustomization contains the CRD itself.
    pub fn has(&self, kustomization: &ObjectRef, kind: &Kind) -> bool {
        self.by_kustomization.get(kind).is_some_and(|ids| ids.contains(&kustomization))
    }

    /// Whether the chart itself contains the CRD, which can be extracted and applied beforehand.
    pub fn is_in_chart(&self, release: &Release, kind: &Kind) -> bool {
        charts::provides(self.declared, release, &kind.group, &kind.kind) == Some(By::Chart)
    }

    /// Whether the release provides it, with its chart or its controller.
    pub fn is_provided_by(&self, release: &Release, kind: &Kind) -> bool {
        charts::provides(self.declared, release, &kind.group, &kind.kind).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_crd() {
        let table = [
            ("v1", "Service", false),
            ("apps/v1", "Deployment", false),
            ("networking.k8s.io/v1", "Ingress", false),
            ("gateway.networking.k8s.io/v1", "Gateway", true),
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", true),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", false),
            ("fluxcd.controlplane.io/v1", "FluxInstance", true),
            ("cilium.io/v2", "CiliumLoadBalancerIPPool", true),
        ];
        for (api_version, kind, needs) in table {
            let id = ObjectRef::cluster_scoped(api_version, kind, "x");
            assert_eq!(Kind::of(&id).is_some(), needs, "{api_version} {kind}");
        }
    }
}
