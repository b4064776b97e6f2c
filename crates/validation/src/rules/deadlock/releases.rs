//! Releases that Flux adopts unchanged.

use super::{Scene, at, each, each_whole};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::Release;
use bootstrapper_gitops::order::network_plugin;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "release-name-prefixed",
        severity: Severity::Warning,
        summary: "a release of the bootstrap has its namespace in its name",
        why: "with a targetNamespace and without releaseName, Flux calls it `<namespace>-<name>`: it does not take over an installed `<name>`, but installs a second release",
        fix: "set `releaseName`",
        check: |rule, fleet| each(fleet, |scene| prefixed(rule, scene)),
    },
    Rule {
        name: "release-name-too-long",
        severity: Severity::Warning,
        summary: "a release name is longer than 53 characters",
        why: "Helm rejects longer names: Flux truncates its own and appends a digest, which makes the release hard to find; it rejects a longer releaseName",
        fix: "set a shorter `releaseName`",
        check: |rule, fleet| each(fleet, |scene| too_long(rule, scene)),
    },
    Rule {
        name: "network-uninstalled-on-failure",
        severity: Severity::Error,
        summary: "Flux may uninstall the network plugin when its install or upgrade fails",
        why: "a first install that fails (for example, times out) is uninstalled before the retry, and Flux loses its own network: it cannot reinstall it",
        fix: "set `install.strategy: {name: RetryOnFailure}` and the same for upgrade, and use no remediation that uninstalls",
        check: |rule, fleet| each(fleet, |scene| uninstalled(rule, scene)),
    },
    Rule {
        name: "chart-digest-in-version",
        severity: Severity::Warning,
        summary: "Flux uses another chart version than the bootstrap for the same release",
        why: "for a chartRef to an OCIRepository, helm-controller appends the digest to the version; a chart with its version in the pod template restarts all pods at the hand-over",
        fix: "start helm-controller with `--feature-gates=DisableChartDigestTracking=true`",
        check: |rule, fleet| each_whole(fleet, |scene| digest_in_version(rule, scene)),
    },
];

const LONGEST_NAME: usize = 53;

/// The releases that the bootstrap installs.
fn installed<'a>(scene: &Scene<'a>) -> Vec<&'a Release> {
    let Some(bootstrap) = scene.bootstrap() else { return Vec::new() };
    let releases = scene.declared.releases.iter();
    releases.filter(|release| bootstrap.release(&release.id).is_some()).collect()
}

fn prefixed(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let prefixed = installed(scene).into_iter().filter(|release| {
        let spec = &release.object.data["spec"];
        spec["targetNamespace"].is_string() && spec["releaseName"].is_null()
    });
    prefixed
        .map(|release| {
            let message = format!("{} is release {}", release.id, release.release_name);
            scene.finding(rule, &release.id, "spec.targetNamespace", message)
        })
        .collect()
}

fn too_long(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let found = scene.declared.releases.iter().filter_map(|release| {
        let spec = &release.object.data["spec"];
        if let Some(own) = spec["releaseName"].as_str() {
            let message = format!("{} would be release {own}, of {} characters", release.id, own.len());
            let finding = scene.finding(rule, &release.id, "spec.releaseName", message);
            return (own.len() > LONGEST_NAME).then_some(Finding { severity: Severity::Error, ..finding });
        }
        let prefix = spec["targetNamespace"].as_str().map_or(0, |namespace| namespace.len() + 1);
        let message = format!("{} becomes release {}", release.id, release.release_name);
        (prefix + release.id.name.len() > LONGEST_NAME)
            .then(|| scene.finding(rule, &release.id, "metadata.name", message))
    });
    found.collect()
}

fn uninstalled(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let networks = scene.declared.releases.iter().filter(|one| network_plugin(one).is_some());
    let found = networks.filter_map(|release| {
        let spec = &release.object.data["spec"];
        let install = at(spec, "install.remediation");
        let is_retried = install["retries"].as_i64().is_some_and(|retries| retries != 0)
            || install["remediateLastFailure"] == true;
        let field = if is_retried && at(spec, "install.strategy.name") != "RetryOnFailure" {
            "spec.install.remediation"
        } else if at(spec, "upgrade.remediation.strategy") == "uninstall"
            && at(spec, "upgrade.strategy.name") != "RetryOnFailure"
        {
            "spec.upgrade.remediation.strategy"
        } else {
            return None;
        };
        let message =
            format!("{} is uninstalled on failure ({})", release.id, field.trim_start_matches("spec."));
        Some(scene.finding(rule, &release.id, field, message))
    });
    found.collect()
}

/// Known only if the repository declares how Flux is started.
fn digest_in_version(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    const GATE: &str = "DisableChartDigestTracking=true";
    let of_releases =
        scene.declared.releases.iter().filter(|release| release.chart.name() == "flux-instance");
    let settings: Vec<String> = of_releases
        .map(|release| release.values.to_string())
        .chain(
            scene
                .declared
                .objects()
                .filter(|object| starts_flux(object))
                .map(|object| object.data.to_string()),
        )
        .collect();
    if settings.is_empty() || settings.iter().any(|text| text.contains(GATE)) {
        return Vec::new();
    }
    let by_digest = installed(scene)
        .into_iter()
        .filter(|release| at(&release.object.data, "spec.chartRef.kind") == "OCIRepository");
    by_digest
        .map(|release| {
            let version = release.chart.version_text();
            let message =
                format!("{} is installed as {version}, then taken over as {version}+<digest>", release.id);
            scene.finding(rule, &release.id, "spec.chartRef", message)
        })
        .collect()
}

fn starts_flux(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    id.kind == "FluxInstance" || (id.kind == "Deployment" && id.name == "helm-controller")
}
