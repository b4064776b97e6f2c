//! Names and namespaces that an API server accepts.

use std::collections::BTreeSet;

use crate::fleet::{Placed, objects_of};
use crate::schema::{Schemas, Scope, is_unknown};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::{Applies, Named, Pipeline};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "invalid-name",
        severity: Severity::Error,
        summary: "an invalid object name",
        why: "the API server rejects the object, and Flux the whole Kustomization",
        fix: "use lower-case letters, digits and `-` (and `.`, except in names of namespaces, Services and labels), starting and ending with a letter or digit",
        check: invalid_name,
    },
    Rule {
        name: "unset-namespace",
        severity: Severity::Error,
        summary: "a namespaced object has no namespace",
        why: "Flux has no default namespace: it rejects the whole Kustomization (`namespace not specified`)",
        fix: "set `metadata.namespace`, or `targetNamespace` in its Kustomization",
        check: unset_namespace,
    },
    Rule {
        name: "missing-namespace",
        severity: Severity::Error,
        summary: "the namespace of an object or release is not found",
        why: "the API server rejects the object until the namespace exists",
        fix: "declare the Namespace, or let the bootstrap create it with the step `namespaces: declared`",
        check: missing_namespace,
    },
    Rule {
        name: "renamed-namespace",
        severity: Severity::Error,
        summary: "`targetNamespace` or a kustomization's `namespace` renames a Namespace",
        why: "kustomize gives every object of the build that namespace, and Namespaces that name: the Namespace that is written there never exists, and its labels go to the other one",
        fix: "move the Namespace to a Kustomization without targetNamespace, or remove targetNamespace",
        check: renamed_namespace,
    },
];

/// Kinds whose names are DNS labels: no dots, 63 characters.
const LABELS: [(&str, &str); 2] = [("", "Namespace"), ("", "Service")];

/// The group of kinds whose names may contain nearly any character.
const FREE: &str = "rbac.authorization.k8s.io";

fn invalid_name(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_object(|placed| {
        let id = placed.id();
        let is_label = LABELS.contains(&(id.group(), id.kind.as_str()));
        let is_valid = match id.group() {
            FREE => !id.name.is_empty() && !id.name.contains(['/', '%']),
            _ if is_label => id.name.len() <= 63 && is_dns(&id.name),
            _ => id.name.len() <= 253 && id.name.split('.').all(is_dns),
        };
        if is_valid {
            return Vec::new();
        }
        vec![placed.finding(
            rule,
            "metadata.name",
            format!("`{}` is not a valid name for a {}", id.name, id.kind),
        )]
    })
}

fn is_dns(label: &str) -> bool {
    let is_end =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = label.as_bytes();
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

fn unset_namespace(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let schemas = Schemas::of(declared, fleet.config.kubernetes_of(&declared.cluster));
        let lost = objects_of(declared).filter(|placed| {
            placed.object.metadata.namespace.is_none()
                && schemas.scope(&placed.id()) == Some(Scope::Namespaced)
        });
        lost.map(|placed| placed.finding(rule, "metadata", format!("{} has no namespace", placed.id())))
            .collect()
    })
}

/// Namespaces that exist in every cluster.
const BUILT_IN: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

fn missing_namespace(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let Some(there) = namespaces(declared, fleet) else { return Vec::new() };
        let lost = objects_of(declared).filter_map(|placed| {
            let namespace = placed.object.metadata.namespace.as_deref()?;
            if there.contains(namespace) {
                return None;
            }
            let message = format!("{} is in namespace {namespace}, which is not found", placed.id());
            // Charts create namespaces only if their values say so; what could not be evaluated may create any.
            let made = known::possible_creator(declared, namespace);
            let made = made.filter(|by| by.contains("values name it") || !declared.notes.is_empty());
            Some(placed.finding(rule, "metadata.namespace", message).unless_created_by(made))
        });
        let of_releases = declared.releases.iter().filter_map(|release| {
            let namespace = release.release_namespace.as_str();
            let is_own = release.id.namespace.as_deref() == Some(namespace);
            if is_own || there.contains(namespace) || is_unknown(namespace) {
                return None;
            }
            let message = format!("{} installs into namespace {namespace}, which is not found", release.id);
            let made = known::possible_creator(declared, namespace);
            let made = made.filter(|by| by.contains("values name it") || !declared.notes.is_empty());
            let finding = Finding::of(rule, message).in_cluster(&declared.cluster).about(&release.id);
            let finding = finding.at(declared.place(&release.id, "spec.targetNamespace"));
            let finding = finding.fix("declare the Namespace, or set `install.createNamespace: true`");
            Some(
                finding
                    .because("Helm creates it only if asked to: the install fails")
                    .unless_created_by(made),
            )
        });
        lost.chain(of_releases).collect()
    })
}

/// The existing namespaces; none if the bootstrap creates all missing ones.
fn namespaces(declared: &Declared, fleet: &Fleet) -> Option<BTreeSet<String>> {
    let mut there: BTreeSet<String> = BUILT_IN.map(str::to_owned).into();
    for step in fleet.pipelines.get(&declared.cluster).into_iter().flat_map(Pipeline::steps) {
        match step.kind.applies() {
            Applies::Namespaces(Named::Declared) => return None,
            Applies::Namespaces(Named::These(names)) => there.extend(names.iter().cloned()),
            _ => {}
        }
    }
    // Flux's own namespace exists before Flux.
    there.extend(declared.sync.metadata.namespace.clone());
    let is_namespace = |placed: &Placed<'_>| placed.is("", "Namespace");
    there.extend(objects_of(declared).filter(is_namespace).map(|placed| placed.id().name));
    let created = declared
        .releases
        .iter()
        .filter(|release| release.object.data["spec"]["install"]["createNamespace"] == true);
    there.extend(created.map(|release| release.release_namespace.clone()));
    Some(there)
}

/// An error where something needs the Namespace that is written. Without `targetNamespace`, a name that nothing
/// uses is a placeholder, as shared components have it.
fn renamed_namespace(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole(|declared| {
        let used = declared.namespaces();
        let there: BTreeSet<String> = objects_of(declared)
            .filter(|placed| placed.is("", "Namespace"))
            .map(|one| one.id().name)
            .collect();
        let found = objects_of(declared).filter(|placed| placed.is("", "Namespace")).filter_map(|placed| {
            let id = placed.id();
            let written = declared.name_in_file(placed.written?)?;
            if written == id.name || !is_dns(&written) || there.contains(&written) {
                return None;
            }
            let spec = &placed.kustomization.object.data["spec"];
            let is_target = spec["targetNamespace"] == id.name.as_str();
            let is_used = used.contains(&written);
            if !is_used && (!is_target || is_placeholder(&written)) {
                return None;
            }
            let by = if is_target {
                format!("targetNamespace of Kustomization {}", placed.kustomization.id.name)
            } else {
                "`namespace` of its kustomization".to_owned()
            };
            let message = format!("Namespace {written} becomes {}, by {by}", id.name);
            let finding = placed.finding(rule, "metadata.name", message);
            Some(if is_used { finding } else { finding.with_severity(Severity::Warning) })
        });
        found.collect()
    })
}

/// Names that say that they are replaced.
fn is_placeholder(name: &str) -> bool {
    ["change", "dummy", "ignore", "not-used", "overrid", "overwrit", "placeholder", "replace", "unused"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_dns() {
        for (label, is_one) in
            [("a-1", true), ("A", false), ("-a", false), ("a-", false), ("a_b", false), ("", false)]
        {
            assert_eq!(is_dns(label), is_one, "{label}");
        }
    }
}
