//! Kustomizations: built, decrypted, substituted, applied, healthy.

use std::sync::LazyLock;

use regex::Regex;

use super::super::facts::{between, line, list};
use super::super::refusals;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{self as readiness, condition, text};

pub(super) static BUILD_FAILED: Code = Code {
    code: "BS-FLX-007",
    title: "A Kustomization build fails",
    why: "A file that it lists does not exist, a patch has no target, or the YAML is invalid",
    tell: "Its reason is BuildFailed",
    fix: "run `bootstrapper validate`: it runs the same build, and names file and line",
};

pub(super) static NO_PATH: Code = Code {
    code: "BS-FLX-008",
    title: "A Kustomization's path is not in its repository",
    why: "`spec.path` is misspelled, was not pushed, or is excluded by the source's `ignore`",
    tell: "Its message contains `kustomization path not found`",
    fix: "push the folder, or correct `spec.path`, which is relative to the repository's root",
};

pub(super) static NO_VARIABLE: Code = Code {
    code: "BS-FLX-009",
    title: "A variable is not defined",
    why: "A manifest uses `${NAME}`, and neither `substitute` nor a ConfigMap or Secret of `substituteFrom` defines it",
    tell: "Its message contains `variable not set (strict mode)`",
    fix: "define it in the cluster's settings, give it a default (`${NAME:=value}`), or escape it as `$${NAME}`",
};

pub(super) static NOT_DECRYPTED: Code = Code {
    code: "BS-FLX-010",
    title: "A secret of the repository cannot be decrypted",
    why: "The key in the cluster is missing, or is not one that the file was encrypted for",
    tell: "Its message contains `failed to decrypt` or `cannot get sops data key`",
    fix: "store the age key of the file's recipient in the Secret of `decryption.secretRef`, or re-encrypt the file (sops updatekeys)",
};

pub(super) static NOT_APPLIED: Code = Code {
    code: "BS-FLX-011",
    title: "A Kustomization cannot be applied",
    why: "The API server rejects an object for another reason",
    tell: "Its reason is ReconciliationFailed; the finding quotes the API server's message",
    fix: "correct the object that the message names, commit and push",
};

pub(super) static UNHEALTHY: Code = Code {
    code: "BS-FLX-012",
    title: "A Kustomization's health check fails",
    why: "One of its objects is not ready, and no rule matches",
    tell: "Its reason is HealthCheckFailed; the message names the objects",
    fix: "check the objects that the message names",
};

/// How many objects of an inventory are inspected.
const MOST: usize = 24;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let spec = &object.data["spec"];
    let before = super::source(inquiry, id, &spec["sourceRef"])
        .join(super::dependencies(inquiry, id, object))
        .join(super::values(inquiry, id, &spec["postBuild"]["substituteFrom"]));
    if !before.is_empty() {
        return before;
    }
    let Some(ready) = condition(object, "Ready") else { return Insight::nothing() };
    if !ready.is_false() {
        return Insight::waits_for(unready_inventory(inquiry, object));
    }
    let said = &without_folder(ready.message());
    let own = |code: &'static Code, what: String| {
        Finding::new(code, what).evidence(line(&without_folder(&ready.describe())))
    };
    match ready.reason() {
        "HealthCheckFailed" | "HealthCheckCanceled" => {
            let waits =
                Insight::waits_for(named(said, object).into_iter().chain(unready_inventory(inquiry, object)));
            waits.join(own(&UNHEALTHY, line(said)).into())
        }
        "DependencyNotReady" => Insight::nothing(),
        // Its source was fetched a moment ago; the next retry picks it up.
        "ArtifactFailed" if said.starts_with("Source artifact not found") => {
            own(&super::AT_WORK, format!("has not picked up its source yet: {}", line(said)))
                .transient()
                .into()
        }
        _ => built(said, &own).or(|| refusals::refusal(inquiry, said)).or(|| {
            let code = if ready.reason() == "BuildFailed" { &BUILD_FAILED } else { &NOT_APPLIED };
            own(
                code,
                format!(
                    "{}: {}",
                    if code == &BUILD_FAILED { "build fails" } else { "cannot be applied" },
                    line(said)
                ),
            )
            .into()
        }),
    }
}

/// Removes the controller's temporary folder from a message.
fn without_folder(said: &str) -> String {
    static FOLDER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"/[^\s']*/kustomization-\d+/").ok());
    FOLDER.as_ref().map_or_else(|| said.to_owned(), |folder| folder.replace_all(said, "").into_owned())
}

static UNSET: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"variable not set \(strict mode\): "?([A-Za-z_0-9]+)"?"#).ok());

/// Failures before anything is applied.
fn built(said: &str, own: &dyn Fn(&'static Code, String) -> Finding) -> Insight {
    let has = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    if let Some(unset) = UNSET.as_ref().and_then(|unset| unset.captures(said)) {
        return own(&NO_VARIABLE, format!("variable {} is not defined", &unset[1])).into();
    }
    if has(&["path not found"]) && has(&["no such file or directory"]) {
        let path = between(said, "stat ", ":").unwrap_or_default();
        return own(&NO_PATH, format!("path {path} not found in the repository")).into();
    }
    if has(&["MAC mismatch", "MAC verification failed"]) {
        let what = format!("a file was changed after it was encrypted: {}", line(said));
        let remedy = "the key is right: undo the change, or edit the file with `sops edit` (to keep the change: `sops decrypt --ignore-mac`, then encrypt it again)";
        return own(&NOT_DECRYPTED, what).remedy(remedy).into();
    }
    if has(&["decrypt", "sops", "data key"]) {
        return own(&NOT_DECRYPTED, format!("a secret cannot be decrypted: {}", line(said))).into();
    }
    Insight::nothing()
}

/// The objects in a message: `Deployment/web/front status: 'InProgress'`. Of what Flux applied, the inventory
/// has the API version.
fn named(said: &str, object: &Object) -> Vec<ObjectRef> {
    static NAMED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([A-Z][A-Za-z]+)/(?:([a-z0-9.-]+)/)?([a-z0-9.-]+) status").ok());
    let Some(named) = NAMED.as_ref() else { return Vec::new() };
    let known = named.captures_iter(said).filter_map(|found| {
        let (kind, name) = (&found[1], &found[3]);
        let namespace = found.get(2).map(|namespace| namespace.as_str().to_owned());
        let is_it = |id: &ObjectRef| id.kind == *kind && id.name == *name && id.namespace == namespace;
        inventory(object).find(is_it).or_else(|| {
            let (api_version, is_namespaced) = version_of(kind)?;
            Some(ObjectRef {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.filter(|_| is_namespaced),
                name: name.to_owned(),
            })
        })
    });
    known.collect()
}

/// Messages omit the API version.
fn version_of(kind: &str) -> Option<(&'static str, bool)> {
    Some(match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" => ("apps/v1", true),
        "Job" => ("batch/v1", true),
        "Pod" | "Service" | "PersistentVolumeClaim" => ("v1", true),
        "Namespace" => ("v1", false),
        "CustomResourceDefinition" => ("apiextensions.k8s.io/v1", false),
        "HelmRelease" => ("helm.toolkit.fluxcd.io/v2", true),
        "Kustomization" => ("kustomize.toolkit.fluxcd.io/v1", true),
        "GitRepository" | "OCIRepository" | "HelmRepository" | "HelmChart" => {
            ("source.toolkit.fluxcd.io/v1", true)
        }
        "GatewayClass" => ("gateway.networking.k8s.io/v1", false),
        "Gateway" => ("gateway.networking.k8s.io/v1", true),
        _ => return None,
    })
}

/// The applied objects: entries `namespace_name_group_Kind`.
fn inventory(object: &Object) -> impl Iterator<Item = ObjectRef> {
    list(&object.data["status"]["inventory"]["entries"]).filter_map(|entry| {
        let parts: Vec<&str> = text(&entry["id"]).split('_').collect();
        let [namespace, name, group, kind] = parts.as_slice() else { return None };
        let version = text(&entry["v"]);
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        Some(ObjectRef {
            api_version,
            kind: (*kind).to_owned(),
            namespace: (!namespace.is_empty()).then(|| (*namespace).to_owned()),
            name: (*name).to_owned(),
        })
    })
}

/// The applied objects that are not ready.
fn unready_inventory(inquiry: &Inquiry<'_>, object: &Object) -> Vec<ObjectRef> {
    inventory(object)
        .filter(|id| is_waited_for(&id.kind))
        .take(MOST)
        .filter(|id| inquiry.found(id).is_some_and(|object| !readiness::verdict(object).is_ready()))
        .collect()
}

/// Kinds that are ready as soon as they exist need no question.
fn is_waited_for(kind: &str) -> bool {
    !matches!(
        kind,
        "ConfigMap"
            | "Secret"
            | "ServiceAccount"
            | "Role"
            | "RoleBinding"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "NetworkPolicy"
            | "PriorityClass"
            | "StorageClass"
            | "ResourceQuota"
            | "LimitRange"
            | "PodDisruptionBudget"
    )
}
