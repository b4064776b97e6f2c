//! Deletions that do not finish: finalizers that are not removed.

use super::facts::{all_in, line};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) static HELD: Code = Code {
    code: "BS-KND-004",
    title: "A finalizer blocks the deletion of an object",
    why: "The controller that should clean up and remove the finalizer does not run",
    tell: "The object has a deletionTimestamp and still has finalizers",
    fix: "restore the controller of the finalizer; only if that is impossible, remove the finalizer manually, which skips its cleanup",
};

pub(super) static GOING: Code = Code {
    code: "BS-KND-005",
    title: "A deletion is in progress",
    why: "Kubernetes deletes its contents first",
    tell: "Its deletionTimestamp is less than a minute old",
    fix: "wait; no action needed",
};

/// How many seconds running controllers may take to remove their finalizers.
const GRACE: i64 = 10;
/// How many seconds a deletion may take: pods have 30 seconds to terminate.
const PATIENCE: i64 = 60;

/// The kinds that most often block a namespace's deletion, by their plural in its conditions.
const KINDS: [(&str, &str, &str); 8] = [
    ("configmaps.", "v1", "ConfigMap"),
    ("secrets.", "v1", "Secret"),
    ("services.", "v1", "Service"),
    ("pods.", "v1", "Pod"),
    ("persistentvolumeclaims.", "v1", "PersistentVolumeClaim"),
    ("deployments.apps", "apps/v1", "Deployment"),
    ("jobs.batch", "batch/v1", "Job"),
    ("ingresses.networking.k8s.io", "networking.k8s.io/v1", "Ingress"),
];

fn deleted_for(inquiry: &Inquiry<'_>, object: &Object) -> Option<i64> {
    let when = object.metadata.deletion_timestamp.as_ref()?;
    inquiry.seconds_since(&when.0.to_string().into())
}

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, namespace: &Object) -> Insight {
    let Some(since) = deleted_for(inquiry, namespace) else { return Insight::nothing() };
    let is_true = |kind: &str| condition(namespace, kind).filter(Condition::is_true);
    let going = || Finding::new(&GOING, format!("deletion in progress for {since} s")).transient();
    if let Some(failed) = is_true("NamespaceDeletionDiscoveryFailure") {
        return undiscovered(failed.message());
    }
    let refused = is_true("NamespaceDeletionContentFailure").filter(|_| since >= GRACE);
    let refusal = refused.as_ref().map(|failed| super::refusals::refusal(inquiry, failed.message()));
    if let Some(refusal) = refusal.filter(|refusal| !refusal.waits_for.is_empty()) {
        return refusal;
    }
    if let Some(held) = is_true("NamespaceFinalizersRemaining").filter(|_| since >= GRACE) {
        let remaining = is_true("NamespaceContentRemaining").map_or("", |remaining| remaining.message());
        let objects = remaining_in(inquiry, id, remaining);
        let own = Finding::new(&HELD, format!("cannot be deleted: {}", line(held.message())))
            .evidence(line(remaining));
        return Insight::from(own).and_for(objects);
    }
    if let Some(failed) = refused {
        return Finding::new(&HELD, format!("cannot be deleted: {}", line(failed.message()))).into();
    }
    if since < PATIENCE {
        return going().into();
    }
    let remaining = is_true("NamespaceContentRemaining").map_or("", |remaining| remaining.message());
    Finding::new(&HELD, format!("deletion in progress for {since} s")).evidence(line(remaining)).into()
}

/// An unavailable API blocks the deletion of every namespace.
fn undiscovered(said: &str) -> Insight {
    let apis = said.split([' ', ',', ':', '[', ']']).filter(|word| word.contains('/') && word.contains('.'));
    let apis = apis.filter_map(|api| {
        let (group, version) = api.split_once('/')?;
        let name = format!("{}.{group}", version.trim_end_matches(['.', ';']));
        Some(ObjectRef::cluster_scoped("apiregistration.k8s.io/v1", "APIService", &name))
    });
    let own = Finding::new(&HELD, format!("cannot be deleted: {}", line(said)));
    Insight { findings: vec![own], waits_for: apis.collect() }
}

/// The objects that a namespace's condition counts: `configmaps. has 1 resource instances`.
fn remaining_in<'a>(inquiry: &Inquiry<'a>, id: &ObjectRef, said: &str) -> Vec<&'a Object> {
    let list = said.split("remaining: ").last().unwrap_or_default();
    let plurals = list.split(", ").filter_map(|part| part.split(" has ").next());
    let kinds = plurals.filter_map(|plural| kind_of(inquiry, plural.trim()));
    let objects = kinds.flat_map(|(api_version, kind)| inquiry.all(&all_in(&api_version, &kind, &id.name)));
    let is_held = |object: &&Object| object.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty());
    objects.filter(is_held).take(3).collect()
}

/// The kind of a plural with its group.
fn kind_of(inquiry: &Inquiry<'_>, plural: &str) -> Option<(String, String)> {
    if let Some((_, api_version, kind)) = KINDS.iter().find(|(known, ..)| *known == plural) {
        return Some(((*api_version).to_owned(), (*kind).to_owned()));
    }
    let crd = ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", plural);
    let crd = inquiry.found(&crd)?;
    let spec = &crd.data["spec"];
    let version = super::facts::list(&spec["versions"]).find(|version| version["storage"] == true)?;
    Some((
        format!("{}/{}", text(&spec["group"]), text(&version["name"])),
        text(&spec["names"]["kind"]).to_owned(),
    ))
}

/// Any object whose deletion a finalizer blocks.
pub(super) fn held_by_finalizers(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let Some(since) = deleted_for(inquiry, object) else { return Insight::nothing() };
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.is_empty() || since < GRACE {
        return Finding::new(&GOING, format!("deletion in progress for {since} s")).transient().into();
    }
    if id.kind == "Pod" {
        return Insight::nothing();
    }
    let finding =
        Finding::new(&HELD, format!("cannot be deleted: finalizer {} is not removed", finalizers.join(", ")))
            .evidence(format!("deleted {since} s ago"))
            .evidence(blocked(object).unwrap_or_default())
            .remedy(format!("check the controller that added {}", finalizers[0]));
    let behind = finalizers.iter().map(|finalizer| behind(inquiry, id, object, finalizer));
    let behind = behind.fold(Insight::nothing(), Insight::join);
    // A controller cannot remove its finalizer while a webhook that does not answer must be called.
    let webhooks = Insight::waits_for(super::webhooks::holding_back(inquiry, id, object));
    let own = if behind.findings.is_empty() { Insight::from(finding) } else { Insight::nothing() };
    own.join(behind).join(webhooks)
}

/// Why the controller says that it does not delete: `DeletionIsBlocked` of Rook, and the like.
fn blocked(object: &Object) -> Option<String> {
    let mut conditions = super::facts::list(&object.data["status"]["conditions"]);
    let blocks = |kind: &str| kind.contains("Delet") || kind.contains("Blocked");
    let told = conditions.find(|one| one["status"] == "True" && blocks(text(&one["type"])))?;
    Some(format!("{}: {}", text(&told["type"]), line(text(&told["message"]))))
        .filter(|told| !told.ends_with(": "))
}

/// What a finalizer waits for: the pods that use a claim, the controller that should remove it.
fn behind(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object, finalizer: &str) -> Insight {
    if finalizer != "kubernetes.io/pvc-protection" {
        return super::operators::behind_finalizer(inquiry, id, finalizer);
    }
    let pods = inquiry.all(&all_in("v1", "Pod", object.metadata.namespace.as_deref().unwrap_or_default()));
    let uses = |pod: &&Object| {
        super::facts::list(&pod.data["spec"]["volumes"])
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == id.name.as_str())
    };
    let users: Vec<String> =
        pods.into_iter().filter(uses).map(|pod| ObjectRef::of(pod).to_string()).collect();
    if users.is_empty() {
        return Insight::nothing();
    }
    Finding::new(&HELD, format!("cannot be deleted while a pod uses it: {}", users.join(", ")))
        .remedy("delete the workload of that pod first")
        .into()
}
