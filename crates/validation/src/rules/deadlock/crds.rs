//! CRDs must exist before the objects that need them.

use std::collections::BTreeMap;

use super::{Scene, each_whole};
use crate::{Finding, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::{Cilium, Kind, Moment, Order, Provider, Relation, needs};
use bootstrapper_gitops::{Kustomization, Release};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "crd-after-use",
        severity: Severity::Error,
        summary: "objects are applied with, or before, the release that provides their CRD",
        why: "Flux dry-runs all objects of a Kustomization before it applies any: without the CRD it applies nothing, not even the release, so the CRD is never installed",
        fix: "move the objects to their own Kustomization, with `dependsOn` on the one with the release, and set `wait: true` on that one",
        check: |rule, fleet| each_whole(fleet, |scene| after_use(rule, scene)),
    },
    Rule {
        name: "crd-not-awaited",
        severity: Severity::Warning,
        summary: "objects do not wait for their CRD",
        why: "on a new cluster this is a race: Flux rejects the whole Kustomization, and retries only after its retryInterval",
        fix: "add `dependsOn` on the Kustomization that provides the CRD, and `wait: true` on that one if a release provides it",
        check: |rule, fleet| each_whole(fleet, |scene| not_awaited(rule, scene)),
    },
    Rule {
        name: "release-before-crd",
        severity: Severity::Error,
        summary: "a release needs a CRD that is installed only after it, or by nothing",
        why: "the install fails because the kind is not served, and the CRD waits for this release, so it is never installed",
        fix: "disable what needs the CRD in the values of the release, or remove the dependency of the CRD on it",
        check: |rule, fleet| each_whole(fleet, |scene| release_before_crd(rule, scene)),
    },
];

/// Objects of a Kustomization that need a CRD, and their order relative to it.
struct Use<'a> {
    kustomization: &'a Kustomization,
    first: ObjectRef,
    others: usize,
    providers: Vec<Provider>,
    relation: Relation,
    /// Whether the bootstrap installs the CRD before Flux starts.
    by_bootstrap: bool,
}

impl Use<'_> {
    /// `CiliumLoadBalancerIPPool default and 2 more (Kustomization network)`.
    fn describe(&self) -> String {
        let others = if self.others == 0 { String::new() } else { format!(" and {} more", self.others) };
        format!("{}{others} (Kustomization {})", self.first, self.kustomization.id.name)
    }

    fn of_providers(&self) -> String {
        self.providers.iter().map(Provider::describe).collect::<Vec<_>>().join(" or ")
    }
}

/// Every use of a CRD from another Kustomization; merges those with the same Kustomization and providers.
fn uses<'a>(scene: &Scene<'a>) -> Vec<Use<'a>> {
    let bootstrap = scene.bootstrap();
    let mut found: Vec<Use<'a>> = Vec::new();
    for kustomization in &scene.declared.kustomizations {
        let mut of_kind: BTreeMap<Kind, Vec<ObjectRef>> = BTreeMap::new();
        // The operator applies and retries the objects of a ResourceSet; its own CRDs exist before Flux runs.
        let own = kustomization.objects.iter().enumerate();
        let own = own
            .filter(|(at, _)| !kustomization.created_by.contains_key(at))
            .map(|(_, object)| ObjectRef::of(object));
        let is_there_before =
            |id: &ObjectRef| scene.declared.flux.by_operator && id.group() == "fluxcd.controlplane.io";
        for id in own.filter(|id| !is_there_before(id)) {
            if let Some(kind) = Kind::of(&id).filter(|kind| !scene.kinds.has(&kustomization.id, kind)) {
                of_kind.entry(kind).or_default().push(id);
            }
        }
        for (kind, ids) in of_kind {
            let providers = scene.kinds.providers(&kind);
            let same = found.iter_mut().find(|one| {
                one.kustomization.id == kustomization.id
                    && one.providers == providers
                    && !providers.is_empty()
            });
            if let Some(same) = same {
                same.others += ids.len();
                continue;
            }
            let Some(first) = ids.first().filter(|_| !providers.is_empty()) else { continue };
            if may_come_from_elsewhere(scene, kustomization) {
                continue;
            }
            let moments: Vec<Moment> = providers.iter().map(|one| one.from.clone()).collect();
            found.push(Use {
                kustomization,
                first: first.clone(),
                others: ids.len() - 1,
                relation: scene.order.relation(&Moment::begins(&kustomization.id), &moments),
                by_bootstrap: bootstrap.as_ref().is_some_and(|one| one.has_before_flux(&kind)),
                providers,
            });
        }
    }
    found
}

/// Whether it comes after a Kustomization from another repository, which may provide any CRD.
fn may_come_from_elsewhere(scene: &Scene<'_>, kustomization: &Kustomization) -> bool {
    let mut others = scene.declared.kustomizations.iter().filter(|one| !one.is_here);
    others.any(|other| scene.order.is_after(&Moment::begins(&kustomization.id), &Moment::ready(&other.id)))
}

fn after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let found = uses(scene).into_iter().filter_map(|one| {
        let Relation::After(way) = &one.relation else { return None };
        let because = match Order::describe(way).as_str() {
            "" => String::new(),
            described => format!(": {described}"),
        };
        let message = format!("{} needs the CRD that {} provides only later{because}", one.describe(), one.of_providers());
        let finding = scene.finding(rule, &one.first, "kind", message);
        Some(if one.by_bootstrap {
            let finding = finding.because("the bootstrap installs the CRD first, so a new cluster is not affected; on a running cluster without the CRD, Flux applies nothing of that Kustomization, not even the release");
            Finding { severity: Severity::Warning, ..finding }
        } else {
            finding
        })
    });
    found.collect()
}

fn not_awaited(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let found =
        uses(scene).into_iter().filter(|one| one.relation == Relation::Unordered && !one.by_bootstrap);
    found
        .map(|one| {
            let message = format!(
                "{} needs the CRD that {} provides, but does not wait for it",
                one.describe(),
                one.of_providers()
            );
            scene.finding(rule, &one.first, "kind", message)
        })
        .collect()
}

fn release_before_crd(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let found = scene.declared.releases.iter().filter_map(|release| {
        needs(release).find_map(|(value, kind)| {
            let providers = scene.kinds.providers(&kind);
            if providers.is_empty() {
                return without_crd(rule, scene, release, value, &kind);
            }
            let moments: Vec<Moment> = providers.iter().map(|one| one.from.clone()).collect();
            let Relation::After(way) = scene.order.relation(&Moment::begins(&release.id), &moments) else {
                return None;
            };
            let provider = providers.first()?.describe();
            let field =
                if value.is_empty() { "metadata.name".to_owned() } else { format!("spec.values.{value}") };
            let by = if value.is_empty() { "its chart".to_owned() } else { value.to_owned() };
            let message = format!(
                "{} needs {} of {provider} ({by}), which comes later: {}",
                release.id,
                kind.kind,
                Order::describe(&way)
            );
            Some(scene.finding(rule, &release.id, &field, message))
        })
    });
    found.collect()
}

/// Cilium's chart fails without the CRDs of what its values ask for; other charts leave it out then.
fn without_crd(
    rule: &Rule,
    scene: &Scene<'_>,
    release: &Release,
    value: &str,
    kind: &Kind,
) -> Option<Finding> {
    let is_in_bootstrap = scene.bootstrap().is_some_and(|one| one.has_before_flux(kind));
    let is_possible = is_in_bootstrap
        || scene.declared.has_unseen_parts()
        || known::possible_creator(scene.declared, &kind.kind).is_some();
    if is_possible || Cilium::of(release).is_none() {
        return None;
    }
    let message = format!("{} needs {} ({value}), whose CRD nothing provides", release.id, kind.kind);
    let finding = scene.finding(rule, &release.id, &format!("spec.values.{value}"), message);
    Some(finding.because("the chart fails to render, or the API server does not know the kind"))
}
