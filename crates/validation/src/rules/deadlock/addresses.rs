//! Waits for a load-balancer address before its pool exists.

use serde_json::Value;

use super::{Scene, at, each_whole, is_true};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Release;
use bootstrapper_gitops::order::{Cilium, Moment, Order, Relation, ScheduledStep};
use bootstrapper_gitops::pipeline::{Applies, Awaits};
use bootstrapper_readiness::Probe;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "address-before-pool",
        severity: Severity::Error,
        summary: "Flux waits for a load-balancer address, and the address pool is applied only after that",
        why: "the Service has no address without the pool, and the Kustomization with the pool waits for the Service (cilium/cilium#27000)",
        fix: "do not wait for it: set `install.disableWait` and `upgrade.disableWait` on the release, or remove waitStrategy `legacy`; or apply the pool first",
        check: |rule, fleet| each_whole(fleet, |scene| before_pool(rule, scene)),
    },
    Rule {
        name: "step-waits-for-address",
        severity: Severity::Error,
        summary: "a step of the bootstrap waits for a load-balancer address, and a later step applies the address pool",
        why: "the Service has no address without the pool, and the pool's step starts only after this one (cilium/cilium#27000)",
        fix: "set `await: false` on the step, and wait with a probe after the step that applies the pool",
        check: |rule, fleet| each_whole(fleet, |scene| steps(rule, scene)),
    },
];

/// Kinds that provide addresses for Services.
const POOLS: [(&str, &str); 2] = [("cilium.io", "CiliumLoadBalancerIPPool"), ("metallb.io", "IPAddressPool")];

/// Every pool, and the Kustomization that applies it.
fn pools<'a>(scene: &Scene<'a>) -> Vec<(ObjectRef, &'a ObjectRef)> {
    let is_pool = |id: &ObjectRef| POOLS.contains(&(id.group(), id.kind.as_str()));
    let kustomizations = scene.declared.kustomizations.iter();
    kustomizations
        .flat_map(|one| one.objects.iter().map(move |object| (ObjectRef::of(object), &one.id)))
        .filter(|(id, _)| is_pool(id))
        .collect()
}

/// The value that creates a Service of type LoadBalancer in a release, if any.
fn balanced(release: &Release) -> Option<String> {
    Cilium::of(release).map_or_else(|| balanced_in(&release.values, ""), balanced_of)
}

/// The same for Cilium, whose chart has additional Services.
fn balanced_of(cilium: Cilium<'_>) -> Option<String> {
    let values = cilium.values;
    let mesh = "clustermesh.apiserver.service.type";
    if is_true(at(values, "clustermesh.useAPIServer")) && at(values, mesh) == "LoadBalancer" {
        return Some(mesh.to_owned());
    }
    let ingress = at(values, "ingressController.service.type");
    let is_ingress =
        is_true(at(values, "ingressController.enabled")) && (ingress.is_null() || ingress == "LoadBalancer");
    is_ingress.then(|| "ingressController.enabled".to_owned())
}

/// `service: {type: LoadBalancer}`, unless a sibling or parent field disables it.
fn balanced_in(values: &Value, path: &str) -> Option<String> {
    let map = values.as_object()?;
    if values["enabled"] == false {
        return None;
    }
    map.iter().find_map(|(name, value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_service = name.to_ascii_lowercase().ends_with("service");
        if is_service && value["type"] == "LoadBalancer" && value["enabled"] != false {
            return Some(format!("{path}.type"));
        }
        balanced_in(value, &path)
    })
}

/// Whether helm-controller waits for load-balancer addresses of a release: Helm 3 did, and Flux does since 2.8
/// only if configured. With kstatus, the current default, a Service is ready without an address.
fn waits_for_addresses(scene: &Scene<'_>, release: &Release) -> bool {
    let spec = &release.object.data["spec"];
    let strategy = &spec["waitStrategy"]["name"];
    let is_legacy = strategy == "legacy" || (strategy.is_null() && flux_is_before_2_8(scene));
    is_legacy && spec["install"]["disableWait"] != true
}

fn flux_is_before_2_8(scene: &Scene<'_>) -> bool {
    let of_chart = scene.declared.releases.iter().filter(|release| release.chart.name() == "flux-instance");
    let mut versions = of_chart
        .map(|release| at(&release.values, "instance.distribution.version"))
        .chain(scene.declared.objects().map(|object| &object.data["spec"]["distribution"]["version"]))
        .filter_map(Value::as_str);
    versions.any(|version| {
        let mut parts = version.split('.').map_while(|part| part.parse::<u64>().ok());
        matches!((parts.next(), parts.next()), (Some(2), Some(minor)) if minor < 8)
    })
}

fn before_pool(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let pools = pools(scene);
    let moments: Vec<Moment> = pools.iter().map(|(_, by)| Moment::begins(by)).collect();
    let Some((pool, by)) = pools.first() else { return Vec::new() };
    let described = |waits: &Moment| match scene.order.relation(waits, &moments) {
        Relation::After(way) => Some(Order::describe(&way)),
        _ => None,
    };
    let releases = scene.declared.releases.iter().filter(|release| waits_for_addresses(scene, release));
    let of_releases = releases.filter_map(|release| {
        let value = balanced(release)?;
        let described = described(&Moment::ready(&release.id))?;
        let message = format!(
            "{} waits for the address of its Service of type LoadBalancer ({value}), but {pool} (Kustomization {}) comes later: {described}",
            release.id, by.name
        );
        Some(scene.finding(rule, &release.id, &format!("spec.values.{value}"), message))
    });
    let of_kustomizations = scene.declared.kustomizations.iter().filter_map(|one| {
        let expressions = one.object.data["spec"]["healthCheckExprs"].as_array()?;
        let asks = |expression: &Value| {
            expression["kind"] == "Service"
                && expression["current"].as_str().is_some_and(|current| current.contains("loadBalancer"))
        };
        let at = expressions.iter().position(asks)?;
        let service = one.objects.iter().find(|object| {
            ObjectRef::of(object).kind == "Service" && object.data["spec"]["type"] == "LoadBalancer"
        })?;
        let described = described(&Moment::ready(&one.id))?;
        let message = format!(
            "{} waits for the address of {}, but {pool} (Kustomization {}) comes later: {described}",
            one.id,
            ObjectRef::of(service),
            by.name
        );
        Some(scene.finding(rule, &one.id, &format!("spec.healthCheckExprs[{at}].current"), message))
    });
    of_releases.chain(of_kustomizations).collect()
}

fn steps(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let (Some(bootstrap), pools) = (scene.bootstrap(), pools(scene)) else { return Vec::new() };
    let brings_pool = |scheduled: &ScheduledStep<'_>| match scheduled.step.kind.applies() {
        Applies::Kustomization(_) | Applies::Part(_) => {
            let applied = scheduled.objects(scene.declared).map(|(_, objects)| objects).unwrap_or_default();
            applied.into_iter().any(|object| pools.iter().any(|(pool, _)| ObjectRef::of(object) == *pool))
        }
        _ => false,
    };
    let found = bootstrap.steps().filter_map(|scheduled| {
        let service = waits_for(scene, &scheduled)?;
        if bootstrap.before(&scheduled).any(|other| brings_pool(&other)) || brings_pool(&scheduled) {
            return None;
        }
        let later =
            bootstrap.steps().find(|other| brings_pool(other) && bootstrap.is_before(&scheduled, other))?;
        let (pool, _) =
            pools.iter().find(|(_, by)| later.step.name().ends_with(&by.name)).or(pools.first())?;
        let message = format!(
            "step {} waits for the address of {service}, but {pool} is applied only by step {}",
            scheduled.describe(),
            later.describe()
        );
        Some(scene.step_finding(rule, &scheduled, message))
    });
    found.collect()
}

/// The Service whose address a step waits for.
fn waits_for(scene: &Scene<'_>, scheduled: &ScheduledStep<'_>) -> Option<String> {
    match scheduled.step.kind.awaits() {
        Awaits::Applied if scheduled.step.await_workloads() => {
            let Applies::Release(name) = scheduled.step.kind.applies() else { return None };
            let release = scene.declared.release(name)?;
            balanced(release).map(|value| format!("a Service of {} ({value})", release.id))
        }
        Awaits::Probe(Probe::CiliumClustermesh) => {
            let cilium = scene.cilium()?;
            balanced_of(cilium)
                .filter(|value| value.starts_with("clustermesh"))
                .map(|value| format!("a Service of {} ({value})", cilium.id))
        }
        Awaits::Object(id) if id.kind == "Service" => {
            let mut objects = scene.declared.objects();
            let is_balanced = objects
                .any(|object| ObjectRef::of(object) == *id && object.data["spec"]["type"] == "LoadBalancer");
            is_balanced.then(|| id.to_string())
        }
        Awaits::Nothing | Awaits::Applied | Awaits::Probe(_) | Awaits::Object(_) | Awaits::Flux => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_that_is_turned_off_needs_no_address() {
        let table = [
            (json!({"service": {"type": "LoadBalancer"}}), Some("service.type")),
            (json!({"controller": {"service": {"type": "LoadBalancer"}}}), Some("controller.service.type")),
            (json!({"metrics": {"enabled": false, "service": {"type": "LoadBalancer"}}}), None),
            (json!({"service": {"type": "ClusterIP"}, "kind": {"type": "LoadBalancer"}}), None),
        ];
        for (values, expected) in table {
            assert_eq!(balanced_in(&values, "").as_deref(), expected, "{values}");
        }
    }
}
