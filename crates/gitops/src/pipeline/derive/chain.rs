//! The chain of what must be installed before Flux, found from the cluster's declaration, regardless of names.

use serde_json::Value;

use super::super::config::FluxVersions;
use crate::order::{
    Cilium, DNS, FLUX_INSTANCE, FLUX_ITSELF, FLUX_OPERATOR, Kinds, NETWORK_PLUGINS, Order, network_plugin,
};
use crate::{Declared, Kustomization, Release};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml::written::flow_scalar as scalar;

/// A cluster, and the parts of its chain.
pub(super) struct Scene<'a> {
    pub(super) declared: &'a Declared,
    pub(super) order: Order,
    pub(super) kinds: Kinds<'a>,
    pub(super) network: Option<Unit<'a>>,
    pub(super) dns: Option<Unit<'a>>,
    pub(super) flux: Flux<'a>,
    pub(super) versions: &'a FluxVersions,
}

/// Something that the bootstrap installs.
#[derive(Clone, Copy)]
pub(super) enum Unit<'a> {
    /// A HelmRelease.
    Release(&'a Release),
    /// Objects of a Kustomization.
    Objects(&'a Kustomization),
}

/// How a cluster declares Flux.
pub(super) enum Flux<'a> {
    /// The Flux operator, and the declaration of its FluxInstance.
    Operator {
        /// None: nothing in the repository installs the operator.
        operator: Option<Unit<'a>>,
        instance: Instance<'a>,
    },
    /// A chart of Flux itself.
    Chart(&'a Release),
    /// `gotk-components.yaml`, as `flux bootstrap` writes it.
    Components(&'a Kustomization),
    /// Not declared.
    Undeclared,
}

/// Where the FluxInstance is declared.
pub(super) enum Instance<'a> {
    /// The chart flux-instance.
    Release(&'a Release),
    /// An object of a Kustomization.
    Object(&'a Kustomization, ObjectRef),
    /// A file that is in no Kustomization.
    File(std::path::PathBuf),
}

impl<'a> Scene<'a> {
    pub(super) fn of(declared: &'a Declared, versions: &'a FluxVersions) -> Self {
        let network = release_of(declared, |release| NETWORK_PLUGINS.contains(&release.chart.name()))
            .or_else(|| release_of(declared, |release| network_plugin(release).is_some()))
            .or_else(|| objects_of(declared, is_network_plugin));
        let dns = release_of(declared, |release| release.chart.name() == DNS)
            .or_else(|| objects_of(declared, is_dns));
        Self {
            declared,
            order: Order::of(declared),
            kinds: Kinds::of(declared),
            network,
            dns,
            flux: flux(declared),
            versions,
        }
    }

    /// The releases that the bootstrap installs, in order.
    pub(super) fn releases(&self) -> Vec<&'a Release> {
        let (operator, instance) = match &self.flux {
            Flux::Operator { operator, instance } => match instance {
                Instance::Release(release) => (*operator, Some(Unit::Release(release))),
                Instance::Object(..) | Instance::File(_) => (*operator, None),
            },
            Flux::Chart(release) => (Some(Unit::Release(release)), None),
            Flux::Components(_) | Flux::Undeclared => (None, None),
        };
        let units = [self.network, self.dns, operator, instance].into_iter().flatten();
        units
            .filter_map(|unit| match unit {
                Unit::Release(release) => Some(release),
                Unit::Objects(_) => None,
            })
            .collect()
    }

    /// Cilium, if it is the network plugin.
    pub(super) fn cilium(&self) -> Option<Cilium<'a>> {
        match self.network {
            Some(Unit::Release(release)) => Cilium::of(release),
            _ => None,
        }
    }

    /// The name of a release in a task file.
    pub(super) fn release_name(&self, release: &Release) -> String {
        let is_alone = self.declared.release(&release.id.name).is_some_and(|one| one.id == release.id);
        scalar(&named(&release.id, is_alone))
    }

    /// The name of a Kustomization in a task file.
    pub(super) fn kustomization_name(&self, kustomization: &Kustomization) -> String {
        let id = &kustomization.id;
        let is_alone = self.declared.kustomization(&id.name).is_some_and(|one| one.id == *id);
        scalar(&named(id, is_alone))
    }
}

fn named(id: &ObjectRef, is_alone: bool) -> String {
    match &id.namespace {
        Some(namespace) if !is_alone => format!("{namespace}/{}", id.name),
        _ => id.name.clone(),
    }
}

fn release_of(declared: &Declared, is_it: impl Fn(&Release) -> bool) -> Option<Unit<'_>> {
    let mut releases = declared.releases.iter().filter(|release| !release.is_suspended());
    releases.find(|release| is_it(release)).map(Unit::Release)
}

fn objects_of(declared: &Declared, is_it: impl Fn(&Object) -> bool) -> Option<Unit<'_>> {
    let mut all = declared.kustomizations.iter();
    all.find(|one| one.objects.iter().any(&is_it)).map(Unit::Objects)
}

/// Host folders in which a container runtime looks for network plugins.
const PLUGIN_FOLDERS: [&str; 2] = ["/etc/cni/net.d", "/opt/cni/bin"];

/// DaemonSets that write there, too, but only call or extend a network plugin.
const HELPERS: [&str; 5] = ["multus", "whereabouts", "linkerd-cni", "istio-cni", "kuma-cni"];

/// Whether a DaemonSet installs a network plugin on its host.
fn is_network_plugin(object: &Object) -> bool {
    let spec = &object.data["spec"]["template"]["spec"];
    let volumes = spec["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let writes = |volume: &Value| {
        let path = volume["hostPath"]["path"].as_str().unwrap_or_default();
        PLUGIN_FOLDERS.contains(&path.trim_end_matches('/'))
    };
    ObjectRef::of(object).kind == "DaemonSet"
        && spec["hostNetwork"] == true
        && volumes.iter().any(writes)
        && !HELPERS.iter().any(|helper| object.metadata.name.as_deref().unwrap_or_default().contains(helper))
}

fn is_dns(object: &Object) -> bool {
    let labels = &object.data["spec"]["template"]["metadata"]["labels"];
    matches!(ObjectRef::of(object).kind.as_str(), "Deployment" | "DaemonSet")
        && labels["k8s-app"] == "kube-dns"
}

fn flux(declared: &Declared) -> Flux<'_> {
    let chart = |name: &str| match release_of(declared, |release| release.chart.name() == name) {
        Some(Unit::Release(release)) => Some(release),
        _ => None,
    };
    if let Some(instance) = instance(declared, chart(FLUX_INSTANCE)) {
        let operator = chart(FLUX_OPERATOR).map(Unit::Release);
        return Flux::Operator { operator: operator.or_else(|| objects_of(declared, is_operator)), instance };
    }
    if let Some(release) = FLUX_ITSELF.into_iter().find_map(chart) {
        return Flux::Chart(release);
    }
    let mut all = declared.kustomizations.iter();
    all.find(|one| one.objects.iter().any(is_source_controller)).map_or(Flux::Undeclared, Flux::Components)
}

fn instance<'a>(declared: &'a Declared, chart: Option<&'a Release>) -> Option<Instance<'a>> {
    if let Some(release) = chart {
        return Some(Instance::Release(release));
    }
    let is_instance = |id: &ObjectRef| id.kind == "FluxInstance" && id.group() == "fluxcd.controlplane.io";
    let object = declared.kustomizations.iter().find_map(|one| {
        let id = one.objects.iter().map(ObjectRef::of).find(is_instance)?;
        Some(Instance::Object(one, id))
    });
    let in_file = || {
        let written = declared.written(&ObjectRef::of(&declared.sync))?;
        written.is_kind("FluxInstance").then(|| Instance::File(written.file.clone()))
    };
    object.or_else(in_file)
}

fn is_operator(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    id.kind == "Deployment" && id.name == "flux-operator"
}

pub(super) fn is_source_controller(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    id.kind == "Deployment" && id.name == "source-controller"
}
