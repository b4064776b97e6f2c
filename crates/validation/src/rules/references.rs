//! References to missing objects.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fleet::Placed;
use crate::paths::values_at;
use crate::schema::is_unknown;
use crate::{Finding, Fleet, Rule, Severity, known, listeners, operator_secrets, pods};
use bootstrapper_gitops::UNKNOWN;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "missing-secret",
        severity: Severity::Error,
        summary: "an object of Flux, Cilium or another operator, or a listener of a Gateway, references a Secret that is not found",
        why: "the object waits for it and is never ready",
        fix: "declare it in the repository (encrypted, or as an ExternalSecret), or under `secrets` in bootstrapper.yaml",
        check: missing_secret,
    },
    Rule {
        name: "missing-pod-dependency",
        severity: Severity::Error,
        summary: "pods need a Secret, ConfigMap or claim that is not found",
        why: "the pods do not start (CreateContainerConfigError, FailedMount), and whatever waits for the workload is never ready",
        fix: "declare it in that namespace (a Secret: encrypted, as an ExternalSecret, or under `secrets` in bootstrapper.yaml), correct its name, or mark the reference `optional`",
        check: missing_of_pods,
    },
    Rule {
        name: "missing-service-account",
        severity: Severity::Error,
        summary: "a referenced ServiceAccount is not found",
        why: "the API server rejects a Kustomization or release that impersonates it; a workload starts no pods",
        fix: "declare the ServiceAccount in that namespace, or correct its name",
        check: missing_service_account,
    },
    Rule {
        name: "missing-issuer",
        severity: Severity::Error,
        summary: "a certificate's Issuer or ClusterIssuer is not found",
        why: "cert-manager waits for it, and pods that mount the certificate's Secret do not start",
        fix: "declare the issuer, or correct its kind and name",
        check: missing_issuer,
    },
    Rule {
        name: "missing-secret-store",
        severity: Severity::Error,
        summary: "an ExternalSecret's store is not found",
        why: "its Secret is never created, and pods that use it do not start",
        fix: "declare the SecretStore or ClusterSecretStore, or correct its kind and name",
        check: missing_secret_store,
    },
];

/// Fields of Flux's objects that reference Secrets in their own namespace.
const SECRET_REFERENCES: [(&str, &[&str]); 7] = [
    ("fluxcd.controlplane.io", &["spec.sync.pullSecret", "spec.secretRef.name", "spec.certSecretRef.name"]),
    (
        "image.toolkit.fluxcd.io",
        &[
            "spec.secretRef.name",
            "spec.certSecretRef.name",
            "spec.proxySecretRef.name",
            "spec.git.commit.signingKey.secretRef.name",
        ],
    ),
    (
        "notification.toolkit.fluxcd.io",
        &["spec.secretRef.name", "spec.certSecretRef.name", "spec.proxySecretRef.name"],
    ),
    (
        "source.toolkit.fluxcd.io",
        &[
            "spec.secretRef.name",
            "spec.certSecretRef.name",
            "spec.proxySecretRef.name",
            "spec.verify.secretRef.name",
        ],
    ),
    ("kustomize.toolkit.fluxcd.io", &["spec.decryption.secretRef.name", "spec.kubeConfig.secretRef.name"]),
    ("helm.toolkit.fluxcd.io", &["spec.kubeConfig.secretRef.name", "spec.chart.spec.verify.secretRef.name"]),
    (
        "postgresql.cnpg.io",
        &[
            "spec.certificates.serverCASecret",
            "spec.certificates.serverTLSSecret",
            "spec.certificates.clientCASecret",
            "spec.certificates.replicationTLSSecret",
        ],
    ),
];

fn missing_secret(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let missing = named_secrets(placed)
            .into_iter()
            .filter(|(_, namespace, name)| !known::has_secret(placed.declared, namespace, name));
        let of_certificates =
            listeners_without_certificates(placed).into_iter().map(|(path, message, name)| {
                let (namespace, name) = name;
                let made = known::possible_creator_in(placed.declared, namespace, name);
                graded(fleet, placed, placed.finding(rule, &path, message).unless_created_by(made))
            });
        let of_operators = operator_secrets::named(placed).into_iter().filter_map(|one| {
            let is_made = known::has_secret(placed.declared, one.namespace, one.name)
                || known::possible_creator_for(&placed.id(), placed.declared, (one.namespace, one.name))
                    .is_some();
            let message = format!(
                "{} references Secret {}/{}, which is not found",
                placed.id(),
                one.namespace,
                one.name
            );
            (!is_made && !is_unknown(one.name) && !is_unknown(one.namespace))
                .then(|| graded(fleet, placed, placed.finding(rule, &one.path, message)))
        });
        missing
            .map(|(path, namespace, name)| {
                let message =
                    format!("{} references Secret {namespace}/{name}, which is not found", placed.id());
                let finding = placed.finding(rule, &path, message);
                let naming = known::possible_creator(placed.declared, &name)
                    .filter(|by| by.contains("values name it"));
                graded(fleet, placed, finding.unless_created_by(naming))
            })
            .chain(of_certificates)
            .chain(of_operators)
            .collect()
    })
}

/// If no secrets are declared, people create them manually.
fn graded(fleet: &Fleet, placed: Placed<'_>, finding: Finding) -> Finding {
    let has_secrets = !fleet.config.secrets_of(&placed.declared.cluster).is_empty();
    if has_secrets || finding.severity != Severity::Error {
        finding
    } else {
        finding.with_severity(Severity::Warning)
    }
}

type Missing<'a> = (String, String, (&'a str, &'a str));

/// The Secrets of listeners that nobody makes: the path of the name, what is wrong, namespace and name.
fn listeners_without_certificates(placed: Placed<'_>) -> Vec<Missing<'_>> {
    let id = placed.id();
    if id.group() != listeners::GROUP || !listeners::WITH_LISTENERS.contains(&id.kind.as_str()) {
        return Vec::new();
    }
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    let mut missing = Vec::new();
    for (path, listener) in listeners::listeners(placed) {
        let host = listener["hostname"].as_str().unwrap_or_default();
        for (field, one) in values_at(listener, "tls.certificateRefs[]") {
            let is_secret = one["kind"].as_str().is_none_or(|kind| kind == "Secret");
            let name = one["name"].as_str().filter(|name| is_secret && !name.contains(UNKNOWN));
            let namespace = one["namespace"].as_str().unwrap_or(own);
            let Some(name) = name.filter(|name| !known::has_secret(placed.declared, namespace, name)) else {
                continue;
            };
            if let Some(why) = without_certificate(placed, namespace == own, host) {
                let message = format!("{id} references Secret {namespace}/{name}, {why}");
                missing.push((format!("{path}.{field}.name"), message, (namespace, name)));
            }
        }
    }
    missing
}

/// Why cert-manager makes no Secret for a listener; none if it does, as an annotation asks it to.
fn without_certificate(placed: Placed<'_>, is_own: bool, host: &str) -> Option<String> {
    let annotations = placed.object.metadata.annotations.as_ref();
    let is_asked = ISSUER_ANNOTATIONS
        .iter()
        .any(|(annotation, _)| annotations.is_some_and(|all| all.contains_key(*annotation)));
    if !is_asked || !is_own {
        return Some("which is not found".to_owned());
    }
    if host.is_empty() {
        return Some("which cert-manager does not create for a listener without `hostname`".to_owned());
    }
    let mut managers =
        placed.declared.releases.iter().filter(|release| release.chart.name() == "cert-manager").peekable();
    let watches = |release: &bootstrapper_gitops::Release| {
        let text = release.values.to_string().to_ascii_lowercase();
        ["gatewayapi", "gateway-api"].iter().any(|word| text.contains(word))
    };
    let is_deaf = managers.peek().is_some() && !managers.any(watches);
    is_deaf.then(|| {
        "which cert-manager does not create: it watches Gateways only with `config.enableGatewayAPI: true`".to_owned()
    })
}

fn missing_of_pods(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let Some((path, pod)) = pods::pod_of(placed) else { return Vec::new() };
        let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
        let missing = pods::needed(&path, pod).into_iter().filter(|one| {
            !is_unknown(one.name)
                && !has_data(placed, one.kind, own, one.name)
                && known::possible_creator_in(placed.declared, own, one.name).is_none()
        });
        let mut reported = BTreeSet::new();
        missing
            .filter(|one| reported.insert((one.kind, one.name)))
            .map(|one| {
                let message =
                    format!("{} needs {} {own}/{}, which is not found", placed.id(), one.kind, one.name);
                let finding = placed.finding(rule, &one.path, message);
                if one.kind == "Secret" { graded(fleet, placed, finding) } else { finding }
            })
            .collect()
    })
}

/// What API servers and controllers of Kubernetes make in every namespace.
const OF_EVERY_NAMESPACE: &str = "kube-root-ca.crt";

fn has_data(placed: Placed<'_>, kind: &str, namespace: &str, name: &str) -> bool {
    let declared = placed.declared;
    // What is seeded or made may be of the platform there.
    let is_of_platform = namespace == "kube-system" && kind != "PersistentVolumeClaim";
    match kind {
        "Secret" => {
            is_of_platform
                || known::has_secret(declared, namespace, name)
                || Some(namespace) == declared.sync.metadata.namespace.as_deref()
        }
        "ConfigMap" => {
            is_of_platform
                || name == OF_EVERY_NAMESPACE
                || known::has_config_map(declared, namespace, name)
                || Some(namespace) == declared.sync.metadata.namespace.as_deref()
        }
        kind => known::find(declared, "", kind, Some(namespace), name).is_some(),
    }
}

/// The Secrets that an object names: the path of the name, the namespace and the name.
pub(crate) fn named_secrets(placed: Placed<'_>) -> Vec<(String, String, String)> {
    if placed.is("cilium.io", "CiliumBGPPeerConfig") {
        let namespace = known::cilium(placed.declared)
            .and_then(|cilium| cilium.values["bgpControlPlane"]["secretsNamespace"]["name"].as_str());
        return texts_at(placed, "spec.authSecretRef", namespace.unwrap_or("kube-system"));
    }
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    let id = placed.id();
    let of_group = SECRET_REFERENCES.iter().filter(|(group, _)| *group == id.group());
    of_group.flat_map(|(_, paths)| *paths).flat_map(|path| texts_at(placed, path, own)).collect()
}

/// The strings at a path: each with its path, and the namespace to look in.
fn texts_at(placed: Placed<'_>, path: &str, namespace: &str) -> Vec<(String, String, String)> {
    let values = values_at(&placed.object.data, path).into_iter();
    values
        .filter_map(|(path, value)| Some((path, namespace.to_owned(), value.as_str()?.to_owned())))
        .collect()
}

/// Fields that name the ServiceAccount to impersonate.
const ACCOUNT_REFERENCES: [(&str, &str, &str); 7] = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "spec.serviceAccountName"),
    ("helm.toolkit.fluxcd.io", "HelmRelease", "spec.serviceAccountName"),
    ("apps", "Deployment", "spec.template.spec.serviceAccountName"),
    ("apps", "DaemonSet", "spec.template.spec.serviceAccountName"),
    ("apps", "StatefulSet", "spec.template.spec.serviceAccountName"),
    ("batch", "Job", "spec.template.spec.serviceAccountName"),
    ("batch", "CronJob", "spec.jobTemplate.spec.template.spec.serviceAccountName"),
];

fn missing_service_account(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let references = ACCOUNT_REFERENCES.iter().filter(|(group, kind, _)| placed.is(group, kind));
        let named = references.flat_map(|(_, _, path)| values_at(&placed.object.data, path));
        let own = placed.object.metadata.namespace.as_deref();
        named
            .filter_map(|(path, name)| {
                let name = name.as_str().filter(|name| *name != "default")?;
                if known::find(placed.declared, "", "ServiceAccount", own, name).is_some()
                    || known::is_account_of_flux(placed.declared, own, name)
                {
                    return None;
                }
                let message = format!(
                    "{} uses ServiceAccount {}/{name}, which is not found",
                    placed.id(),
                    own.unwrap_or_default()
                );
                let made = known::possible_creator(placed.declared, name);
                Some(placed.finding(rule, &path, message).unless_created_by(made))
            })
            .collect()
    })
}

/// Annotations that request a certificate from cert-manager.
const ISSUER_ANNOTATIONS: [(&str, &str); 2] =
    [("cert-manager.io/cluster-issuer", "ClusterIssuer"), ("cert-manager.io/issuer", "Issuer")];

fn missing_issuer(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let mut named: Vec<(String, &str, &str)> = Vec::new();
        if placed.is("cert-manager.io", "Certificate") {
            let reference = placed.field(&["spec", "issuerRef"]);
            let is_own = reference["group"].as_str().is_none_or(|group| group == "cert-manager.io");
            if let (Some(name), true) = (reference["name"].as_str(), is_own) {
                named.push((
                    "spec.issuerRef.name".to_owned(),
                    reference["kind"].as_str().unwrap_or("Issuer"),
                    name,
                ));
            }
        }
        for (annotation, kind) in ISSUER_ANNOTATIONS {
            let value = placed.object.metadata.annotations.as_ref().and_then(|all| all.get(annotation));
            named.extend(
                value.map(|name| (format!("metadata.annotations[\"{annotation}\"]"), kind, name.as_str())),
            );
        }
        let missing =
            named.into_iter().filter(|(_, kind, name)| !is_there(placed, "cert-manager.io", kind, name));
        missing
            .map(|(path, kind, name)| {
                let message = format!("{} references {kind} {name}, which is not found", placed.id());
                placed
                    .finding(rule, &path, message)
                    .unless_created_by(known::possible_creator(placed.declared, name))
            })
            .collect()
    })
}

fn missing_secret_store(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let reference: &Value = placed.field(&["spec", "secretStoreRef"]);
        let Some(name) =
            reference["name"].as_str().filter(|_| placed.is("external-secrets.io", "ExternalSecret"))
        else {
            return Vec::new();
        };
        let kind = reference["kind"].as_str().unwrap_or("SecretStore");
        if is_there(placed, "external-secrets.io", kind, name) {
            return Vec::new();
        }
        let message = format!("{} references {kind} {name}, which is not found", placed.id());
        let finding = placed.finding(rule, "spec.secretStoreRef.name", message);
        vec![finding.unless_created_by(known::possible_creator(placed.declared, name))]
    })
}

/// Whether an object of this kind exists: cluster-wide if the kind is named `Cluster…`, otherwise in the
/// namespace of the reference.
fn is_there(placed: Placed<'_>, group: &str, kind: &str, name: &str) -> bool {
    let own = placed.object.metadata.namespace.as_deref();
    let namespace = if kind.starts_with("Cluster") { None } else { own };
    known::find(placed.declared, group, kind, namespace, name).is_some()
}
