//! The Gateway API CRDs must match Cilium's version, and exist when it starts.

use serde_json::Value;

use super::{Scene, at, each, each_whole, is_true};
use crate::bundle::Bundle;
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef, is_crd};
use bootstrapper_gitops::order::{Cilium, Kind, Moment, Order, Provider, Relation};
use bootstrapper_gitops::pipeline::{Applies, Manifest};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "gateway-crds-after-cilium",
        severity: Severity::Error,
        summary: "the Gateway API CRDs are installed after Cilium, or in no defined order",
        why: "Cilium's operator looks them up only at startup: if they are installed later it ignores every Gateway until it is restarted, `gatewayClass.create: auto` creates no class, and `true` fails the install",
        fix: "install the CRDs with a Kustomization that Cilium's depends on, and with a step before the one that installs Cilium",
        check: |rule, fleet| each_whole(fleet, |scene| after_cilium(rule, scene)),
    },
    Rule {
        name: "gateway-crds-unfit",
        severity: Severity::Error,
        summary: "the Gateway API CRDs do not match the declared Cilium",
        why: "Cilium's operator checks kinds and versions at startup: if a required one is missing it serves no Gateway, and it crashes on one that is listed but not served",
        fix: "use the version that Cilium's documentation requires: 1.2.0 for 1.17 and 1.18, 1.4.1 for 1.19, 1.6.1 for 1.20; with Cilium 1.19 and older, no standard channel of 1.5 or newer",
        check: |rule, fleet| each_whole(fleet, |scene| unfit(rule, scene)),
    },
    Rule {
        name: "gateway-without-proxy",
        severity: Severity::Error,
        summary: "Cilium's Gateway API is enabled without a feature that it requires",
        why: "without kube-proxy replacement Cilium serves no Gateway and only logs a warning; without its L7 proxy the chart's install fails",
        fix: "set `kubeProxyReplacement: true` and keep l7Proxy enabled, or disable gatewayAPI",
        check: |rule, fleet| each(fleet, |scene| without_proxy(rule, scene)),
    },
];

const GROUP: &str = "gateway.networking.k8s.io";
const ENABLED: &str = "spec.values.gatewayAPI.enabled";

/// The release of Cilium, if its Gateway API is enabled.
fn gateway<'a>(scene: &Scene<'a>) -> Option<Cilium<'a>> {
    scene.cilium().filter(|cilium| is_true(at(cilium.values, "gatewayAPI.enabled")))
}

fn after_cilium(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = gateway(scene) else { return Vec::new() };
    let class = Kind::new(GROUP, "GatewayClass");
    let providers = scene.kinds.providers(&class);
    let moments: Vec<Moment> = providers.iter().map(|one| one.from.clone()).collect();
    let bootstrap = scene.bootstrap();
    let installs = bootstrap.as_ref().and_then(|bootstrap| bootstrap.release(cilium.id));
    let is_before_step =
        installs.zip(bootstrap.as_ref()).map(|(scheduled, all)| all.has_before(&class, &scheduled));
    let described = providers.iter().map(Provider::describe).collect::<Vec<_>>().join(" or ");

    let mut found = Vec::new();
    let by_flux = match scene.order.relation(&Moment::begins(cilium.id), &moments) {
        Relation::Before => None,
        Relation::After(way) => Some(format!(
            "{} starts before the Gateway API CRDs of {described}: {}",
            cilium.id,
            Order::describe(&way)
        )),
        // CRDs from another repository are unknown.
        Relation::Unordered if providers.is_empty() => {
            let is_all_here = scene.declared.kustomizations.iter().all(|one| one.is_here);
            (is_all_here && is_before_step.is_none()).then(|| {
                format!("{} needs the Gateway API CRDs, which are not found in the repository", cilium.id)
            })
        }
        Relation::Unordered if is_before_step == Some(true) => None,
        Relation::Unordered => Some(format!(
            "{} needs the Gateway API CRDs of {described}, but does not wait for them",
            cilium.id
        )),
    };
    if let Some(message) = by_flux {
        let finding = scene.finding(rule, cilium.id, ENABLED, message);
        let is_guess = providers.is_empty();
        found.push(if is_guess { Finding { severity: Severity::Warning, ..finding } } else { finding });
    }
    if let (Some(scheduled), Some(false)) = (installs, is_before_step) {
        let message = format!(
            "step {} installs Cilium with its Gateway API, but no step before it installs the CRDs of {GROUP}",
            scheduled.describe()
        );
        found.push(scene.step_finding(rule, &scheduled, message));
    }
    found
}

/// The CRDs that Cilium's operator requires at startup: plural and version (operator/pkg/gateway-api).
fn required(minor: (u64, u64)) -> Vec<(&'static str, &'static str)> {
    let mut required =
        vec![("gatewayclasses", "v1"), ("gateways", "v1"), ("httproutes", "v1"), ("grpcroutes", "v1")];
    match minor {
        (1, ..=15) => return Vec::new(),
        (1, 16) => required.extend([("referencegrants", "v1beta1"), ("tlsroutes", "v1alpha2")]),
        (1, 17..=19) => required.push(("referencegrants", "v1beta1")),
        _ => required.extend([("tlsroutes", "v1"), ("referencegrants", "v1"), ("backendtlspolicies", "v1")]),
    }
    required
}

/// The oldest Gateway API version that Cilium documents.
fn oldest(minor: (u64, u64)) -> (u64, u64, u64) {
    match minor {
        (1, ..=15) => (0, 0, 0),
        (1, 16) => (1, 1, 0),
        (1, 17 | 18) => (1, 2, 0),
        (1, 19) => (1, 3, 0),
        _ => (1, 6, 1),
    }
}

fn unfit(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = gateway(scene) else { return Vec::new() };
    let Some(minor) = cilium.minor_version() else { return Vec::new() };
    let version = cilium.version.unwrap_or_default();
    let crds: Vec<(&Object, &ObjectRef)> = scene
        .declared
        .kustomizations
        .iter()
        .flat_map(|one| one.objects.iter().map(move |object| (object, &one.id)))
        .filter(|(object, _)| is_crd(object) && object.data["spec"]["group"] == GROUP)
        .collect();
    let Some((_, by)) = crds.first() else { return of_steps(rule, scene, minor, version) };
    let versions = |plural: &str| {
        let crd = crds.iter().find(|(object, _)| object.data["spec"]["names"]["plural"] == plural)?;
        crd.0.data["spec"]["versions"].as_array()
    };
    let faults = required(minor).into_iter().filter_map(|(plural, wanted)| match versions(plural) {
        None => Some(format!("{plural} missing")),
        Some(all) if !all.iter().any(|one| one["name"] == wanted) => {
            Some(format!("{plural} without version {wanted}"))
        }
        Some(_) => None,
    });
    let crash = versions("tlsroutes").filter(|_| minor < (1, 20)).and_then(|all| {
        let is_dead = |one: &Value| one["name"] == "v1alpha2" && one["served"] == false;
        all.iter()
            .any(is_dead)
            .then(|| "tlsroutes list v1alpha2 without serving it, which crashes the operator".to_owned())
    });
    let faults: Vec<String> = faults.chain(crash).collect();
    if faults.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "{} is Cilium {version}, which does not match the Gateway API of Kustomization {}: {}",
        cilium.id,
        by.name,
        faults.join(", ")
    );
    vec![scene.finding(rule, cilium.id, ENABLED, message)]
}

/// The version is part of the URL that a task file downloads CRDs from.
fn of_steps(rule: &Rule, scene: &Scene<'_>, minor: (u64, u64), cilium: &str) -> Vec<Finding> {
    let Some(bootstrap) = scene.bootstrap() else { return Vec::new() };
    let found = bootstrap.steps().filter_map(|scheduled| {
        let Applies::CrdsOfManifest(Manifest { location, .. }) = scheduled.step.kind.applies() else { return None };
        let Bundle { version, is_standard } = Bundle::at(location)?;
        let (major, minor_of_api, patch) = version;
        let fault = if version < oldest(minor) {
            let (a, b, c) = oldest(minor);
            format!("it requires {a}.{b}.{c} or newer")
        } else if minor < (1, 20) && version >= (1, 5, 0) && is_standard {
            "its TLSRoute lists v1alpha2 without serving it, which crashes Cilium's operator".to_owned()
        } else {
            return None;
        };
        let message = format!(
            "step {} installs Gateway API {major}.{minor_of_api}.{patch}, but the cluster runs Cilium {cilium}: {fault}",
            scheduled.describe()
        );
        Some(scene.step_finding(rule, &scheduled, message))
    });
    found.collect()
}

fn without_proxy(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = gateway(scene) else { return Vec::new() };
    let replacement = at(cilium.values, "kubeProxyReplacement");
    let mut found = Vec::new();
    if !(is_true(replacement) || replacement == "strict" || replacement == "partial") {
        let message = format!("{} has its Gateway API enabled and kubeProxyReplacement disabled", cilium.id);
        let field = if replacement.is_null() { ENABLED } else { "spec.values.kubeProxyReplacement" };
        found.push(scene.finding(rule, cilium.id, field, message));
    }
    if *at(cilium.values, "l7Proxy") == false {
        let message = format!("{} has its Gateway API enabled and l7Proxy disabled", cilium.id);
        found.push(scene.finding(rule, cilium.id, "spec.values.l7Proxy", message));
    }
    found
}
