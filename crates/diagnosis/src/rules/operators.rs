//! Objects of operators: what their controllers report, and what that depends on: objects that they reference,
//! objects that they own, Services that they call, and the controller itself.

use serde_json::Value;

use super::facts::{is_owned_by, list, namespace};
use super::{ceph, external_secrets, issuance, refusals, services, words};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, number};

pub(super) const CODES: &[&Code] = &[&NO_OPERATOR];

static NO_OPERATOR: Code = Code {
    code: "BS-OPR-001",
    title: "The operator of an object does not run",
    why: "The Deployment of the controller that works on the object has no available pod, or does not exist",
    tell: "The object has no status, or is not deleted, and its operator's Deployment has no available replica",
    fix: "fix the operator's pods; if the operator was uninstalled, install it again before its objects are deleted",
};

/// An operator: the groups of its kinds and finalizers, and the labels of its Deployment.
struct Operator {
    name: &'static str,
    domains: &'static [&'static str],
    label: (&'static str, &'static str),
}

const OPERATORS: [Operator; 10] = [
    of("cert-manager", &["cert-manager.io"], ("app", "cert-manager")),
    of(
        "external-secrets",
        &["external-secrets.io", "externalsecrets.io"],
        ("app.kubernetes.io/name", "external-secrets"),
    ),
    of("rook-ceph-operator", &["ceph.rook.io", "objectbucket.io"], ("app", "rook-ceph-operator")),
    of("cloudnative-pg", &["cnpg.io"], ("app.kubernetes.io/name", "cloudnative-pg")),
    of("kustomize-controller", &["kustomize.toolkit.fluxcd.io"], ("app", "kustomize-controller")),
    of("helm-controller", &["helm.toolkit.fluxcd.io"], ("app", "helm-controller")),
    of("source-controller", &["source.toolkit.fluxcd.io"], ("app", "source-controller")),
    of("notification-controller", &["notification.toolkit.fluxcd.io"], ("app", "notification-controller")),
    of("flux-operator", &["fluxcd.controlplane.io"], ("app.kubernetes.io/name", "flux-operator")),
    of("cilium-operator", &["cilium.io"], ("io.cilium/app", "operator")),
];

const fn of(
    name: &'static str,
    domains: &'static [&'static str],
    label: (&'static str, &'static str),
) -> Operator {
    Operator { name, domains, label }
}

/// The finalizer of all of Flux's controllers: the object's group says whose it is.
const OF_FLUX: &str = "finalizers.fluxcd.io";

/// How many seconds an operator may take to notice an object.
const GLANCE: i64 = 30;
/// How many owned objects are inspected.
const MOST: usize = 8;

/// An API version, and a kind.
type Kind = (&'static str, &'static str);

/// Workloads that operators create.
const WORKLOADS: [Kind; 6] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
];

/// What an object's controller creates for it, where that is no workload.
const OWNED: [(&str, &str, &[Kind]); 5] = [
    ("cert-manager.io", "Certificate", &[("cert-manager.io/v1", "CertificateRequest")]),
    ("cert-manager.io", "CertificateRequest", &[("acme.cert-manager.io/v1", "Order")]),
    ("acme.cert-manager.io", "Order", &[("acme.cert-manager.io/v1", "Challenge")]),
    ("acme.cert-manager.io", "Challenge", &[("v1", "Pod")]),
    ("external-secrets.io", "ClusterExternalSecret", &[("external-secrets.io/v1", "ExternalSecret")]),
];

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    let is_well = if id.kind == "CephCluster" && id.group() == "ceph.rook.io" {
        ceph::is_serving(object) && readiness::verdict(object).is_ready()
    } else {
        readiness::verdict(object).is_ready()
    };
    if is_deleted || is_well {
        return Insight::nothing();
    }
    let warnings = inquiry.events(id).into_iter().rev().filter(|event| event.is_warning());
    let warning = warnings.map(crate::scene::Event::message).find(|said| !said.is_empty());
    let age = inquiry.age(object);
    let own = match id.group() {
        "cert-manager.io" | "acme.cert-manager.io" => issuance::own(id, object, age),
        "external-secrets.io" => external_secrets::own(id, object, warning),
        "ceph.rook.io" => Some(ceph::own(id, object, warning, age)),
        _ => None,
    };
    let deeper = references(inquiry, id, object)
        .join(owned(inquiry, id, object))
        .join(said_by(inquiry, id, object, warning))
        .join(unnoticed(inquiry, id, object));
    let own = Insight::from(own).or(|| super::unexplained::inspect(inquiry, id, object));
    // What is missing is why the rest is as it is.
    if deeper.findings.is_empty() { own.join(deeper) } else { deeper }
}

/// What an object references, as far as it is missing or not ready.
fn references(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let mut insight = Insight::nothing();
    let named = issuance::issuer(id, object).into_iter().chain(external_secrets::stores(id, object));
    for target in named {
        match inquiry.object(&target) {
            Known::Missing => {
                let what = format!("{target} not found");
                insight.findings.push(Finding::new(&super::certificates::NO_ISSUER, what).stands());
            }
            Known::Found(_) => insight.waits_for.push(target),
            Known::Unknown => {}
        }
    }
    if id.group() == "ceph.rook.io" {
        insight.waits_for.extend(ceph::behind(inquiry, id));
    }
    let home = issuance::secrets_namespace(id);
    let mut secrets = Vec::new();
    referenced_secrets(&object.data["spec"], home, &mut secrets);
    let missing = |secret: &ObjectRef| matches!(inquiry.object(secret), Known::Missing);
    insight.waits_for.extend(secrets.into_iter().filter(missing));
    insight.join(services::unanswered(inquiry, words::services(&object.data["spec"].to_string())))
}

/// Every `…SecretRef` of a spec. An ACME account's `privateKeySecretRef` is what the issuer creates.
fn referenced_secrets(spec: &Value, home: &str, found: &mut Vec<ObjectRef>) {
    match spec {
        Value::Object(fields) => {
            for (key, value) in fields {
                let low = key.to_lowercase();
                let is_one = low.ends_with("secretref") || low == "secretkeyref";
                let name = value["name"].as_str().filter(|name| !name.is_empty());
                match name {
                    Some(name) if is_one && low != "privatekeysecretref" => {
                        let namespace = value["namespace"].as_str().unwrap_or(home);
                        let id = ObjectRef::namespaced("v1", "Secret", namespace, name);
                        if !namespace.is_empty() && !found.contains(&id) {
                            found.push(id);
                        }
                    }
                    _ => referenced_secrets(value, home, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| referenced_secrets(one, home, found)),
        _ => {}
    }
}

/// The unready objects that an object's controller created for it, the newest first.
fn owned(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let own = OWNED.iter().find(|(group, kind, _)| *group == id.group() && *kind == id.kind);
    let kinds = own.map_or(&WORKLOADS[..], |(.., kinds)| kinds);
    // A cluster-scoped object may own objects in every namespace: only where that is known.
    if own.is_none() && id.namespace.is_none() {
        return Insight::nothing();
    }
    let mut children: Vec<&Object> = kinds
        .iter()
        .flat_map(|(api_version, kind)| {
            let all = Selection::of(api_version, kind);
            inquiry.all(&if id.namespace.is_some() { all.within(namespace(id)) } else { all })
        })
        .filter(|child| is_owned_by(child, object))
        .collect();
    children.sort_by_key(|child| std::cmp::Reverse(child.metadata.creation_timestamp.clone()));
    if id.kind == "Certificate" {
        // Earlier requests are history.
        children.truncate(1);
    }
    children.retain(|child| !readiness::verdict(child).is_ready());
    children.truncate(MOST);
    Insight::nothing().and_for(children)
}

/// What the controller's words name: missing Secrets, silent Services, the API server's rejection.
fn said_by(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object, warning: Option<&str>) -> Insight {
    let failed = list(&object.data["status"]["conditions"])
        .filter(|condition| condition["status"] == "False")
        .filter_map(|condition| condition["message"].as_str());
    let reason = object.data["status"]["reason"].as_str();
    let said = failed.chain(reason).chain(warning).collect::<Vec<_>>().join("\n");
    let wanted = words::wanted(&said, issuance::secrets_namespace(id));
    let missing = wanted.into_iter().filter(|one| matches!(inquiry.object(one), Known::Missing));
    // Of a rejection only what is behind it: the object's own words say the rest.
    let refused = Insight::waits_for(refusals::refusal(inquiry, &said).waits_for);
    Insight::waits_for(missing).join(refused).join(services::unanswered(inquiry, words::services(&said)))
}

/// The operator of an object without any status, or with one of an older generation.
fn unnoticed(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let has_status = object.data["status"].as_object().is_some_and(|status| !status.is_empty());
    let Some(operator) = operator_of(id.group()).filter(|_| inquiry.age(object) >= GLANCE) else {
        return Insight::nothing();
    };
    if has_status {
        operator.down(inquiry).unwrap_or_default()
    } else {
        operator.absent(inquiry, "has not noticed it")
    }
}

fn operator_of(domain: &str) -> Option<&'static Operator> {
    let is_it = |one: &str| domain == one || domain.ends_with(&format!(".{one}"));
    OPERATORS.iter().find(|operator| operator.domains.iter().any(|one| is_it(one)))
}

impl Operator {
    fn deployments<'a>(&self, inquiry: &Inquiry<'a>) -> Option<Vec<&'a Object>> {
        let (label, value) = self.label;
        inquiry.list(&Selection::of("apps/v1", "Deployment").labelled(&format!("{label}={value}")))
    }

    /// The operator's Deployment, if it has no available pod.
    fn down(&self, inquiry: &Inquiry<'_>) -> Option<Insight> {
        let all = self.deployments(inquiry)?;
        let is_up = |one: &&Object| number(&one.data["status"]["availableReplicas"]) > 0;
        (!all.is_empty() && !all.iter().any(is_up)).then(|| {
            let names: Vec<String> = all.iter().map(|one| ObjectRef::of(one).to_string()).collect();
            let what = format!("its operator does not run: {} has no available pod", names.join(", "));
            Insight::from(Finding::new(&NO_OPERATOR, what).stands()).and_for(all)
        })
    }

    /// The same, or that there is none.
    fn absent(&self, inquiry: &Inquiry<'_>, what: &str) -> Insight {
        match self.deployments(inquiry) {
            None => Insight::nothing(),
            Some(all) if all.is_empty() => {
                let what = format!("{} {what}: it is not installed", self.name);
                Finding::new(&NO_OPERATOR, what).stands().into()
            }
            Some(_) => self.down(inquiry).unwrap_or_default(),
        }
    }
}

/// The controller that should remove a finalizer, if it does not run.
pub(super) fn behind_finalizer(inquiry: &Inquiry<'_>, id: &ObjectRef, finalizer: &str) -> Insight {
    let domain = finalizer.split('/').next().unwrap_or_default();
    let domain = if domain == OF_FLUX { id.group() } else { domain };
    operator_of(domain)
        .map_or_else(Insight::nothing, |operator| operator.absent(inquiry, "has not removed it"))
}

/// Workloads of a storage driver: those whose pods name it.
pub(super) fn workloads_naming<'a>(inquiry: &Inquiry<'a>, name: &str) -> Vec<&'a Object> {
    let kinds = ["Deployment", "StatefulSet"];
    let all = kinds.into_iter().flat_map(|kind| inquiry.all(&Selection::of("apps/v1", kind)));
    all.filter(|workload| !readiness::verdict(workload).is_ready())
        .filter(|workload| {
            let pods = &workload.data["spec"]["template"];
            pods.to_string().contains(name)
        })
        .take(MOST)
        .collect()
}
