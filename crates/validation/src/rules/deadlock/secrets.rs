//! Secrets and ConfigMaps are there before what blocks on them.

use super::{Scene, at, each, each_whole};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Kustomization;
use bootstrapper_gitops::order::{Moment, Order, Relation};
use bootstrapper_gitops::pipeline::Applies;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "secret-after-use",
        severity: Severity::Error,
        summary: "a Secret or ConfigMap comes only after what cannot start without it",
        why: "Flux builds the Kustomization, or installs the release, only once it is there; and what brings it waits for just that",
        fix: "bring it with something that comes before: the cluster's own folder, or `secrets` in bootstrapper.yaml; or mark the reference `optional`",
        check: |rule, fleet| each_whole(fleet, |scene| after_use(rule, scene)),
    },
    Rule {
        name: "secret-store-after-use",
        severity: Severity::Error,
        summary: "an ExternalSecret is waited for, and its store comes only after that",
        why: "the Secret is made once the store is there, and what brings the store waits for the Secret",
        fix: "bring the store with a Kustomization that this one depends on",
        check: |rule, fleet| each_whole(fleet, |scene| store_after_use(rule, scene)),
    },
    Rule {
        name: "sops-without-decryption",
        severity: Severity::Error,
        summary: "a Kustomization brings what SOPS encrypted, and does not decrypt it",
        why: "Flux applies it as it stands: the Secret holds ciphertext, or the API server refuses the field `sops`",
        fix: "give the Kustomization `decryption: {provider: sops, secretRef: {name: sops-age}}`",
        check: |rule, fleet| each(fleet, |scene| not_decrypted(rule, scene)),
    },
    Rule {
        name: "secrets-not-seeded",
        severity: Severity::Error,
        summary: "bootstrapper.yaml declares secrets, and no step before Flux seeds them",
        why: "what draws from them waits for ever: Flux cannot make them",
        fix: "put a step `secrets: declared` before the step `sync`, after one that makes their namespaces",
        check: |rule, fleet| each(fleet, |scene| not_seeded(rule, scene)),
    },
];

/// The Kustomization that brings an object.
fn bringer<'a>(scene: &Scene<'a>, id: &ObjectRef) -> Option<&'a Kustomization> {
    let mut all = scene.declared.kustomizations.iter();
    all.find(|one| one.objects.iter().any(|object| ObjectRef::of(object) == *id))
}

/// From when on a Secret or ConfigMap is there, and what brings it; none if the bootstrap seeds it,
/// or nothing brings it.
fn there_from(scene: &Scene<'_>, id: &ObjectRef) -> Option<(Moment, String)> {
    let object = scene.declared.brought.get(id)?.as_ref()?;
    let by = bringer(scene, object)?;
    let is_itself = object.kind == id.kind;
    let moment = if is_itself { Moment::begins(&by.id) } else { Moment::ready(object) };
    let told = if is_itself {
        format!("Kustomization {}", by.id.name)
    } else {
        format!("{object} of Kustomization {}", by.id.name)
    };
    Some((moment, told))
}

fn after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let of_kustomizations = scene.declared.kustomizations.iter().flat_map(|one| {
        let drawn = one.draws_from.iter().enumerate().filter(|(_, from)| !from.optional);
        let drawn =
            drawn.map(|(at, from)| (from.id.clone(), format!("spec.postBuild.substituteFrom[{at}].name")));
        let namespace = one.id.namespace.clone().unwrap_or_default();
        let decryption = at(&one.object.data, "spec.decryption.secretRef.name").as_str().map(|name| {
            let id = ObjectRef::namespaced("v1", "Secret", &namespace, name);
            (id, "spec.decryption.secretRef.name".to_owned())
        });
        drawn.chain(decryption).map(|(id, field)| (one.id.clone(), id, field)).collect::<Vec<_>>()
    });
    let of_releases = scene.declared.releases.iter().flat_map(|release| {
        let drawn = release.values_from.iter().enumerate().filter(|(_, from)| !from.optional);
        drawn.map(|(at, from)| (release.id.clone(), from.id.clone(), format!("spec.valuesFrom[{at}].name")))
    });
    let found = of_kustomizations.chain(of_releases).filter_map(|(user, wanted, field)| {
        let (from, told) = there_from(scene, &wanted)?;
        let Relation::After(way) = scene.order.relation(&Moment::begins(&user), &[from]) else { return None };
        let because = match Order::told(&way).as_str() {
            "" => String::new(),
            told => format!(": {told}"),
        };
        let message =
            format!("{user} cannot start without {wanted}, which {told} brings only later{because}");
        Some(scene.finding(rule, &user, &field, message))
    });
    found.collect()
}

fn store_after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let objects = scene.declared.objects();
    let secrets = objects.filter(|object| ObjectRef::of(object).kind == "ExternalSecret");
    let found = secrets.filter_map(|object| {
        let id = ObjectRef::of(object);
        let reference = at(&object.data, "spec.secretStoreRef");
        let kind = reference["kind"].as_str().unwrap_or("SecretStore");
        let store = ObjectRef {
            kind: kind.to_owned(),
            name: reference["name"].as_str()?.to_owned(),
            namespace: id.namespace.clone().filter(|_| kind == "SecretStore"),
            ..id.clone()
        };
        let by = scene.declared.kustomizations.iter().find(|one| {
            one.objects.iter().map(ObjectRef::of).any(|other| {
                other.kind == store.kind
                    && other.name == store.name
                    && (kind != "SecretStore" || other.namespace == store.namespace)
            })
        })?;
        let needs = Moment::ready(&id);
        let Relation::After(way) = scene.order.relation(&needs, &[Moment::begins(&by.id)]) else {
            return None;
        };
        let message = format!(
            "{id} draws from {store} (Kustomization {}), which comes only once it is ready: {}",
            by.id.name,
            Order::told(&way)
        );
        Some(scene.finding(rule, &id, "spec.secretStoreRef.name", message))
    });
    found.collect()
}

/// Told once for a Kustomization.
fn not_decrypted(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let careless =
        scene.declared.kustomizations.iter().filter(|one| at(&one.object.data, "spec.decryption").is_null());
    let found = careless.filter_map(|one| {
        let object = one.objects.iter().find(|object| object.data["sops"]["mac"].is_string())?;
        let id = ObjectRef::of(object);
        let message = format!("{id} is encrypted, and Kustomization {} has no `decryption`", one.id.name);
        Some(scene.finding(rule, &id, "sops", message))
    });
    found.collect()
}

fn not_seeded(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let secrets = scene.fleet.config.secrets_of(&scene.declared.cluster);
    let (Some(first), Some(bootstrap)) = (secrets.first(), scene.bootstrap()) else { return Vec::new() };
    let Some(start) = bootstrap.start_of_flux() else { return Vec::new() };
    let mut before = bootstrap.before(&start);
    if before.any(|turn| matches!(turn.step.kind.applies(), Applies::Secrets | Applies::Program)) {
        return Vec::new();
    }
    let message = format!(
        "step {} lets Flux begin, and no step before it seeds Secret {}/{} of bootstrapper.yaml",
        start.told(),
        first.namespace,
        first.name
    );
    vec![scene.step_finding(rule, &start, message)]
}
