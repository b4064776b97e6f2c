//! The order of the bootstrap's steps.

use super::{Scene, at, each_whole, is_true};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::order::{Bootstrap, Kind, ScheduledStep, network_plugin};
use bootstrapper_gitops::pipeline::{Applies, Awaits};
use bootstrapper_readiness::Probe;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "step-before-crd",
        severity: Severity::Error,
        summary: "a step applies objects before their CRD is installed",
        why: "the API server does not serve their kind, and the step times out",
        fix: "add a step before it that installs the CRD: `crds:`, or the release",
        check: |rule, fleet| each_whole(fleet, |scene| before_crd(rule, scene)),
    },
    Rule {
        name: "step-before-network",
        severity: Severity::Error,
        summary: "a step waits for pods before the step that installs the network plugin",
        why: "without it every node is NotReady, and only pods on the host network start",
        fix: "move the network plugin's stage to the front, or add it to the `needs` of the step's stage",
        check: |rule, fleet| each_whole(fleet, |scene| before_network(rule, scene)),
    },
    Rule {
        name: "step-before-dns",
        severity: Severity::Error,
        summary: "a step waits for Flux before the step that installs CoreDNS",
        why: "Flux resolves the names of its own artifacts and of every source: without DNS its instance is never ready",
        fix: "move the CoreDNS step before it",
        check: |rule, fleet| each_whole(fleet, |scene| before_dns(rule, scene)),
    },
    Rule {
        name: "step-waits-for-nothing",
        severity: Severity::Error,
        summary: "a step waits for a Cilium feature that is disabled",
        why: "it can never succeed, and always times out",
        fix: "enable the feature in the values of Cilium, or remove the step from the task file",
        check: |rule, fleet| each_whole(fleet, |scene| for_nothing(rule, scene)),
    },
];

fn find(
    scene: &Scene<'_>,
    check: impl Fn(&Bootstrap<'_>, ScheduledStep<'_>) -> Option<Finding>,
) -> Vec<Finding> {
    let Some(bootstrap) = scene.bootstrap() else { return Vec::new() };
    bootstrap.steps().filter_map(|scheduled| check(&bootstrap, scheduled)).collect()
}

fn before_crd(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(bootstrap) = scene.bootstrap() else { return Vec::new() };
    let found = bootstrap.steps().filter_map(|scheduled| {
        let (what, by) = match scheduled.step.kind.applies() {
            Applies::Kustomization(_) | Applies::Part(_) => {
                let (one, objects) = scheduled.objects(scene.declared)?;
                objects.into_iter().map(ObjectRef::of).find_map(|id| {
                    let kind = Kind::of(&id)?;
                    let by = scene.kinds.providers(&kind).first()?.describe();
                    let is_there = scene.kinds.has(&one.id, &kind) || bootstrap.has_before(&kind, &scheduled);
                    (!is_there).then(|| (id.to_string(), format!("{by} provides it")))
                })?
            }
            Applies::Source => comes_later(&bootstrap, &scheduled, &scene.declared.source)?,
            Applies::Sync => comes_later(&bootstrap, &scheduled, &scene.declared.sync)?,
            Applies::Nothing
            | Applies::Namespaces(_)
            | Applies::Secrets
            | Applies::CrdsOfKustomization(_)
            | Applies::CrdsOfManifest(_)
            | Applies::Manifest(_)
            | Applies::CrdsOfReleases(_)
            | Applies::Release(_)
            | Applies::File
            | Applies::Program => return None,
        };
        let message = format!(
            "step {} applies {what}, but no step before it installs its CRD: {by}",
            scheduled.describe()
        );
        Some(scene.step_finding(rule, &scheduled, message))
    });
    found.collect()
}

/// A Flux object whose CRD a later step installs. If no step installs Flux, it is installed before the
/// bootstrap.
fn comes_later(
    bootstrap: &Bootstrap<'_>,
    scheduled: &ScheduledStep<'_>,
    object: &Object,
) -> Option<(String, String)> {
    let id = ObjectRef::of(object);
    let kind = Kind::new(id.group(), &id.kind);
    let is_later = !bootstrap.has_before(&kind, scheduled) && bootstrap.has_elsewhere(&kind, scheduled);
    is_later.then(|| (id.to_string(), "a later step installs it".to_owned()))
}

/// The step that installs the network plugin.
fn network<'a>(scene: &Scene<'_>, bootstrap: &Bootstrap<'a>) -> Option<ScheduledStep<'a>> {
    let mut networks = scene.declared.releases.iter().filter(|one| network_plugin(one).is_some());
    networks.find_map(|release| bootstrap.release(&release.id))
}

fn before_network(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    find(scene, |bootstrap, scheduled| {
        let network = network(scene, bootstrap)?;
        let waits = match (scheduled.step.kind.awaits(), scheduled.step.kind.applies()) {
            (Awaits::Applied, Applies::Release(name)) => {
                let release = scene.declared.release(name)?;
                let is_on_host = is_true(at(&release.values, "hostNetwork"));
                (scheduled.step.await_workloads() && !is_on_host).then(|| release.id.to_string())
            }
            (Awaits::Applied, Applies::Kustomization(_) | Applies::Part(_)) => {
                let (_, objects) = scheduled.objects(scene.declared)?;
                let mut pods = objects
                    .into_iter()
                    .map(ObjectRef::of)
                    .filter(|id| matches!(id.kind.as_str(), "Deployment" | "StatefulSet"));
                pods.next().map(|id| id.to_string())
            }
            (Awaits::Probe(Probe::Nodes), _) => Some("the nodes".to_owned()),
            (Awaits::Probe(Probe::FluxControllers), _) => Some("Flux's controllers".to_owned()),
            (Awaits::Flux, _) => Some("Flux".to_owned()),
            (Awaits::Nothing | Awaits::Applied | Awaits::Probe(_) | Awaits::Object(_), _) => None,
        }?;
        let message = format!(
            "step {} waits for {waits}, but step {} installs the network only later",
            scheduled.describe(),
            network.describe()
        );
        bootstrap.is_before(&scheduled, &network).then(|| scene.step_finding(rule, &scheduled, message))
    })
}

fn before_dns(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    find(scene, |bootstrap, scheduled| {
        let mut all = scene.declared.releases.iter();
        let dns = all.find(|release| release.chart.name() == "coredns")?;
        let dns = bootstrap.release(&dns.id)?;
        let waits = match (scheduled.step.kind.awaits(), scheduled.step.kind.applies()) {
            (Awaits::Applied, Applies::Release(name)) => {
                let release = scene.declared.release(name)?;
                let is_flux = matches!(release.chart.name(), "flux-instance" | "flux2");
                (is_flux && scheduled.step.await_workloads()).then(|| release.id.to_string())
            }
            (Awaits::Flux, _) => Some("Flux".to_owned()),
            (Awaits::Nothing | Awaits::Applied | Awaits::Probe(_) | Awaits::Object(_), _) => None,
        }?;
        let message = format!(
            "step {} waits for {waits}, but step {} installs CoreDNS only later",
            scheduled.describe(),
            dns.describe()
        );
        bootstrap.is_before(&scheduled, &dns).then(|| scene.step_finding(rule, &scheduled, message))
    })
}

fn for_nothing(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = scene.cilium() else { return Vec::new() };
    let is_off = |value: &str| !is_true(at(cilium.values, value));
    let has = |kind: &str| scene.declared.objects().any(|object| ObjectRef::of(object).kind == kind);
    find(scene, |_, scheduled| {
        let missing = match scheduled.step.kind.awaits() {
            Awaits::Probe(Probe::CiliumBgp) if is_off("bgpControlPlane.enabled") => {
                "BGP disabled (bgpControlPlane.enabled)".to_owned()
            }
            Awaits::Probe(Probe::CiliumBgp) if !has("CiliumBGPClusterConfig") => {
                "no CiliumBGPClusterConfig".to_owned()
            }
            Awaits::Probe(Probe::CiliumGateway) if is_off("gatewayAPI.enabled") && !has("GatewayClass") => {
                "the Gateway API disabled (gatewayAPI.enabled)".to_owned()
            }
            Awaits::Probe(Probe::CiliumClustermesh) if is_off("clustermesh.useAPIServer") => {
                "the ClusterMesh API server disabled (clustermesh.useAPIServer)".to_owned()
            }
            Awaits::Object(id)
                if id.kind == "CustomResourceDefinition"
                    && id.name.starts_with("ciliumbgp")
                    && is_off("bgpControlPlane.enabled")
                    && !scene.declared.objects().any(|object| ObjectRef::of(object) == *id) =>
            {
                format!("BGP disabled (bgpControlPlane.enabled), which provides {}", id.name)
            }
            Awaits::Nothing | Awaits::Applied | Awaits::Probe(_) | Awaits::Object(_) | Awaits::Flux => {
                return None;
            }
        };
        let message = format!("step {} can never succeed: {} has {missing}", scheduled.describe(), cilium.id);
        Some(scene.step_finding(rule, &scheduled, message))
    })
}
