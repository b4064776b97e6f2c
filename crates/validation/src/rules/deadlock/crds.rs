//! CRDs are there before what needs them.

use std::collections::BTreeMap;

use super::{Scene, each_whole};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Kustomization;
use bootstrapper_gitops::order::{Kind, Moment, Order, Provider, Relation, needs};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "crd-after-use",
        severity: Severity::Error,
        summary: "objects come with, or before, the release that brings their CRD",
        why: "Flux tries all objects of a Kustomization before it applies any: without the CRD it applies nothing, the release neither, and so the CRD never comes",
        fix: "put the objects into a Kustomization of their own, with `dependsOn` on the one that brings the release; give that one `wait: true`",
        check: |rule, fleet| each_whole(fleet, |scene| after_use(rule, scene)),
    },
    Rule {
        name: "crd-not-awaited",
        severity: Severity::Warning,
        summary: "nothing says that a CRD comes before the objects that need it",
        why: "on a fresh cluster it is a race: Flux refuses the whole Kustomization, and tries it again only after its retryInterval",
        fix: "let the Kustomization depend on the one that brings the CRD; give that one `wait: true` if a release brings it",
        check: |rule, fleet| each_whole(fleet, |scene| not_awaited(rule, scene)),
    },
    Rule {
        name: "release-before-crd",
        severity: Severity::Error,
        summary: "a release needs a CRD that can only come after it",
        why: "Helm cannot map the kind and the install fails; what brings the CRD waits for this release, so it never comes",
        fix: "turn off what needs the CRD in the values of the release, or take away what makes the CRD wait for it",
        check: |rule, fleet| each_whole(fleet, |scene| release_before_crd(rule, scene)),
    },
];

/// Objects of a Kustomization that need a CRD, and how it stands with that.
struct Use<'a> {
    kustomization: &'a Kustomization,
    first: ObjectRef,
    others: usize,
    providers: Vec<Provider>,
    relation: Relation,
    /// Whether the bootstrap brings the CRD before Flux begins.
    by_bootstrap: bool,
}

impl Use<'_> {
    /// `CiliumLoadBalancerIPPool default and 2 more (Kustomization network)`.
    fn told(&self) -> String {
        let others = if self.others == 0 { String::new() } else { format!(" and {} more", self.others) };
        format!("{}{others} (Kustomization {})", self.first, self.kustomization.id.name)
    }

    fn of_providers(&self) -> String {
        self.providers.iter().map(Provider::told).collect::<Vec<_>>().join(" or ")
    }
}

/// Every use of a CRD that comes from elsewhere; those of one Kustomization and the same providers
/// are one.
fn uses<'a>(scene: &Scene<'a>) -> Vec<Use<'a>> {
    let bootstrap = scene.bootstrap();
    let mut found: Vec<Use<'a>> = Vec::new();
    for kustomization in &scene.declared.kustomizations {
        let mut of_kind: BTreeMap<Kind, Vec<ObjectRef>> = BTreeMap::new();
        for id in kustomization.objects.iter().map(ObjectRef::of) {
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

/// Whether it comes after a Kustomization of another repository, which may bring anything.
fn may_come_from_elsewhere(scene: &Scene<'_>, kustomization: &Kustomization) -> bool {
    let mut others = scene.declared.kustomizations.iter().filter(|one| !one.is_here);
    others.any(|other| scene.order.is_after(&Moment::begins(&kustomization.id), &Moment::ready(&other.id)))
}

fn after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let found = uses(scene).into_iter().filter_map(|one| {
        let Relation::After(way) = &one.relation else { return None };
        let because = match Order::told(way).as_str() {
            "" => String::new(),
            told => format!(": {told}"),
        };
        let message = format!("{} needs the CRD that {} brings only later{because}", one.told(), one.of_providers());
        let finding = scene.finding(rule, &one.first, "kind", message);
        Some(if one.by_bootstrap {
            let finding = finding.because("the bootstrap brings the CRD first, so that a fresh cluster gets over it; on a cluster that runs without the CRD Flux applies nothing of that Kustomization, the release neither");
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
                "{} needs the CRD that {} brings, and does not wait for it",
                one.told(),
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
            let moments: Vec<Moment> = providers.iter().map(|one| one.from.clone()).collect();
            let Relation::After(way) = scene.order.relation(&Moment::begins(&release.id), &moments) else {
                return None;
            };
            let provider = providers.first()?.told();
            let field =
                if value.is_empty() { "metadata.name".to_owned() } else { format!("spec.values.{value}") };
            let by = if value.is_empty() { "its chart".to_owned() } else { value.to_owned() };
            let message = format!(
                "{} needs {} of {provider} ({by}), which comes only after it: {}",
                release.id,
                kind.kind,
                Order::told(&way)
            );
            Some(scene.finding(rule, &release.id, &field, message))
        })
    });
    found.collect()
}
