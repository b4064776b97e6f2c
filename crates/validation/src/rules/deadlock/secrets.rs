//! Secrets and ConfigMaps must exist before the objects that require them.

use super::{Scene, at, each, each_whole};
use crate::fleet::objects_of;
use crate::{Finding, Rule, Severity, pods};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Kustomization;
use bootstrapper_gitops::order::{Moment, Order, Relation, names_data};
use bootstrapper_gitops::pipeline::Applies;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "secret-after-use",
        severity: Severity::Error,
        summary: "a Secret or ConfigMap is applied only after an object that requires it",
        why: "Flux builds the Kustomization or installs the release only when it exists, or its pods start only then; and it waits for that Kustomization or release",
        fix: "provide it earlier: in the cluster's own folder, or under `secrets` in bootstrapper.yaml; or mark the reference `optional`",
        check: |rule, fleet| each_whole(fleet, |scene| after_use(rule, scene)),
    },
    Rule {
        name: "secret-store-after-use",
        severity: Severity::Error,
        summary: "an ExternalSecret is waited for before its store is applied",
        why: "the Secret needs the store, and the store waits for the Secret",
        fix: "move the store to a Kustomization that this one depends on",
        check: |rule, fleet| each_whole(fleet, |scene| store_after_use(rule, scene)),
    },
    Rule {
        name: "sops-without-decryption",
        severity: Severity::Error,
        summary: "a Kustomization applies a SOPS-encrypted file without decryption",
        why: "Flux applies it as it is: the Secret contains ciphertext, or the API server rejects the field `sops`",
        fix: "set `decryption: {provider: sops, secretRef: {name: sops-age}}` on the Kustomization",
        check: |rule, fleet| each(fleet, |scene| not_decrypted(rule, scene)),
    },
    Rule {
        name: "secrets-not-seeded",
        severity: Severity::Error,
        summary: "bootstrapper.yaml declares secrets, but no step seeds them before Flux",
        why: "objects that reference them never become ready: Flux cannot create them",
        fix: "add a step `secrets: declared` before the step `sync`, after the step that creates their namespaces",
        check: |rule, fleet| each(fleet, |scene| not_seeded(rule, scene)),
    },
];

/// The Kustomization that applies an object.
fn parent_of<'a>(scene: &Scene<'a>, id: &ObjectRef) -> Option<&'a Kustomization> {
    let mut all = scene.declared.kustomizations.iter();
    all.find(|one| one.objects.iter().any(|object| ObjectRef::of(object) == *id))
}

/// When a Secret or ConfigMap is created, and by what; none if the bootstrap seeds it, or nothing provides it.
fn there_from(scene: &Scene<'_>, id: &ObjectRef) -> Option<(Moment, String)> {
    let object = scene.declared.providers.get(id)?.as_ref()?;
    let by = parent_of(scene, object)?;
    let is_itself = object.kind == id.kind;
    let is_followed = object.kind == "ExternalSecret";
    let moment = if is_followed { Moment::ready(object) } else { Moment::begins(&by.id) };
    let described = if is_itself {
        format!("Kustomization {}", by.id.name)
    } else {
        format!("{object} of Kustomization {}", by.id.name)
    };
    Some((moment, described))
}

fn after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let of_kustomizations = scene.declared.kustomizations.iter().flat_map(|one| {
        let drawn = one.substitute_sources.iter().enumerate().filter(|(_, from)| !from.optional);
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
        // Its own ConfigMap exists already, otherwise the Kustomization would be unknown.
        if parent_of(scene, &wanted).is_some_and(|by| by.id == user) {
            return None;
        }
        let (from, described) = there_from(scene, &wanted)?;
        let Relation::After(way) = scene.order.relation(&Moment::begins(&user), &[from]) else { return None };
        let because = match Order::describe(&way).as_str() {
            "" => String::new(),
            described => format!(": {described}"),
        };
        let message = format!("{user} requires {wanted}, which {described} provides only later{because}");
        Some(scene.finding(rule, &user, &field, message))
    });
    found.chain(of_pods(rule, scene)).chain(of_charts(rule, scene)).collect()
}

/// A finding about `user`, which `waiting` waits for, if what it needs comes only after that.
fn later(
    rule: &Rule,
    scene: &Scene<'_>,
    (user, field): (&ObjectRef, &str),
    waiting: &Moment,
    wanted: &ObjectRef,
) -> Option<Finding> {
    let (from, described) = there_from(scene, wanted)?;
    let Relation::After(way) = scene.order.relation(waiting, &[from]) else { return None };
    let message =
        format!("{user} requires {wanted}, which {described} provides only later: {}", Order::describe(&way));
    let finding = scene.finding(rule, user, field, message);
    Some(finding.because("its pods do not start without it, and it is provided only once they have started"))
}

/// Workloads that a Kustomization waits for, and whose pods need what comes only after it.
fn of_pods(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for placed in objects_of(scene.declared) {
        let (Some((path, pod)), by) = (pods::pod_of(placed), placed.kustomization) else { continue };
        let id = placed.id();
        if !is_waited_for(by, &id) {
            continue;
        }
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let needed = pods::needed(&path, pod).into_iter().filter(|one| one.kind != "PersistentVolumeClaim");
        found.extend(needed.filter_map(|one| {
            let wanted = ObjectRef::namespaced("v1", one.kind, namespace, one.name);
            later(rule, scene, (&id, &one.path), &Moment::ready(&by.id), &wanted)
        }));
    }
    found
}

/// Whether a Kustomization is ready only once that object is.
fn is_waited_for(by: &Kustomization, id: &ObjectRef) -> bool {
    let spec = &by.object.data["spec"];
    let mut checks = spec["healthChecks"].as_array().into_iter().flatten();
    spec["wait"] == true
        || checks.any(|check| {
            check["kind"] == id.kind.as_str()
                && check["name"] == id.name.as_str()
                && check["namespace"].as_str().is_none_or(|it| Some(it) == id.namespace.as_deref())
        })
}

/// Releases whose values name a Secret or ConfigMap that comes only after them: which of their pods need it is
/// known to the chart.
fn of_charts(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let waited = scene.declared.releases.iter().filter(|release| {
        release.object.data["spec"]["install"]["disableWait"] != true && !release.is_suspended()
    });
    let found = waited.flat_map(|release| {
        let data = scene.declared.providers.keys().filter(|id| {
            id.namespace.as_deref() == Some(&release.release_namespace)
                && names_data(&release.values, &id.kind, &id.name)
        });
        let drawn = |id: &ObjectRef| release.values_from.iter().any(|from| from.id == *id);
        let of_release = data.filter(|id| !drawn(id)).filter_map(|wanted| {
            let finding =
                later(rule, scene, (&release.id, "spec.values"), &Moment::ready(&release.id), wanted)?;
            Some(finding.with_severity(Severity::Warning))
        });
        of_release.collect::<Vec<_>>()
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
            "{id} requires {store} (Kustomization {}), which is applied only after it is ready: {}",
            by.id.name,
            Order::describe(&way)
        );
        Some(scene.finding(rule, &id, "spec.secretStoreRef.name", message))
    });
    found.collect()
}

/// Reported once per Kustomization.
fn not_decrypted(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let careless =
        scene.declared.kustomizations.iter().filter(|one| at(&one.object.data, "spec.decryption").is_null());
    let found = careless.filter_map(|one| {
        let object = one.objects.iter().find(|object| object.data["sops"]["mac"].is_string())?;
        let id = ObjectRef::of(object);
        let message = format!("{id} is encrypted, but Kustomization {} has no `decryption`", one.id.name);
        Some(scene.finding(rule, &id, "sops", message))
    });
    found.collect()
}

fn not_seeded(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let secrets = scene.fleet.config.secrets_of(&scene.declared.cluster);
    let (Some(first), Some(bootstrap)) = (secrets.first(), scene.bootstrap()) else { return Vec::new() };
    let Some(start) = bootstrap.start_of_flux() else { return Vec::new() };
    let mut before = bootstrap.before(&start);
    if before.any(|scheduled| matches!(scheduled.step.kind.applies(), Applies::Secrets | Applies::Program)) {
        return Vec::new();
    }
    let message = format!(
        "step {} starts Flux, but no step before it seeds {first} of bootstrapper.yaml",
        start.describe()
    );
    vec![scene.step_finding(rule, &start, message)]
}
