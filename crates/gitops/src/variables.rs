//! The variables of a Kustomization. As in Flux, the entries of `substituteFrom` apply in order, `substitute`
//! has precedence, and newlines are removed from values.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, ProblemKind};
use super::sources::{Sources, UNKNOWN};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef};

/// A ConfigMap or Secret that a Kustomization substitutes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubstituteSource {
    /// Its reference.
    pub id: ObjectRef,
    /// Whether it may be missing.
    pub optional: bool,
    /// Its variables; none if it is not found, or if its values exist only in the cluster.
    pub variables: Option<BTreeSet<String>>,
}

/// The variables of a Kustomization.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Whether the cluster may have further ones.
    is_open: bool,
    /// The variables whose values come from a secret.
    secret: BTreeSet<String>,
    /// Why some of them are unknown.
    why: BTreeMap<String, Failure>,
}

impl Variables {
    #[cfg(test)]
    pub(super) fn of(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: values.into_iter().collect(), ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn hide(&mut self, names: impl IntoIterator<Item = String>) {
        self.secret.extend(names);
    }

    /// Whether the value of a variable comes from a secret.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.secret.contains(name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(String::as_str);
        value.or(self.is_open.then_some(UNKNOWN))
    }

    /// Why a value that the bootstrap should read is unknown.
    pub(super) fn why(&self, name: &str) -> Option<&Failure> {
        self.why.get(name)
    }
}

/// The sources of a Kustomization's variables, in order.
pub(super) fn references(object: &Object) -> Vec<SubstituteSource> {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let entries = object.data["spec"]["postBuild"]["substituteFrom"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|entry| SubstituteSource {
            id: ObjectRef::namespaced("v1", text(&entry["kind"]), &namespace, text(&entry["name"])),
            optional: entry["optional"] == true,
            variables: None,
        })
        .collect()
}

/// A Kustomization's variables and their sources.
pub(super) struct ResolvedVariables {
    /// None if it does not substitute.
    pub(super) variables: Option<Variables>,
    pub(super) substitute_sources: Vec<SubstituteSource>,
    /// The problems, each with its field.
    pub(super) problems: Vec<(Problem, String)>,
}

/// Resolves the variables of a Kustomization. `secret` are those in its own `substitute` with secret values.
pub(super) fn resolve_variables(
    object: &Object,
    sources: &Sources,
    secret: &BTreeSet<String>,
) -> ResolvedVariables {
    let id = ObjectRef::of(object);
    let post_build = &object.data["spec"]["postBuild"];
    let mut drawn =
        ResolvedVariables { variables: None, substitute_sources: references(object), problems: Vec::new() };
    if post_build.is_null() {
        return drawn;
    }
    let mut variables = Variables::default();
    for (at, reference) in drawn.substitute_sources.iter_mut().enumerate() {
        let namespace = reference.id.namespace.as_deref().unwrap_or_default();
        match sources.get(&reference.id.kind, namespace, &reference.id.name) {
            Some(source) => {
                reference.variables = (!source.is_open).then(|| source.data.keys().cloned().collect());
                for key in source.data.keys() {
                    if source.is_secret(key) {
                        variables.secret.insert(key.clone());
                    } else {
                        variables.secret.remove(key);
                    }
                }
                variables.why.retain(|name, _| !source.data.contains_key(name));
                variables.why.extend(source.why.clone());
                variables.values.extend(source.data.clone());
                variables.is_open |= source.is_open;
            }
            None if reference.optional => {}
            None => {
                let problem = Problem::new(ProblemKind::MissingSubstituteFrom, missing(&id, &reference.id));
                drawn.problems.push((problem, format!("spec.postBuild.substituteFrom[{at}].name")));
                // A missing source is reported once, not again for every variable.
                variables.is_open = true;
            }
        }
    }
    for (name, value) in post_build["substitute"].as_object().into_iter().flatten() {
        variables.why.remove(name);
        variables.values.insert(name.clone(), text(value).to_owned());
        if secret.contains(name) {
            variables.secret.insert(name.clone());
        } else {
            variables.secret.remove(name);
        }
    }
    for name in variables.values.keys().filter(|name| !is_name(name)) {
        let failure =
            Failure::input(format!("{id} substitutes `{name}`, which is not a valid variable name"))
                .because("Flux fails to build it")
                .hint("use letters, digits and underscores, not starting with a digit");
        let field = format!("spec.postBuild.substitute[\"{name}\"]");
        drawn.problems.push((Problem::new(ProblemKind::VariableName, failure), field));
    }
    for value in variables.values.values_mut() {
        value.retain(|c| c != '\n');
    }
    let always = post_build["substituteStrategy"] == "Always";
    drawn.variables = (always || variables.is_open || !variables.values.is_empty()).then_some(variables);
    drawn
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

fn missing(id: &ObjectRef, wanted: &ObjectRef) -> Failure {
    let failure = Failure::input(format!("{id}: {wanted} of substituteFrom not found"));
    match wanted.kind.as_str() {
        "Secret" => failure.hint(format!(
            "declare it under `secrets` in bootstrapper.yaml: {{name: {}, namespace: {}, data: …}}",
            wanted.name,
            wanted.namespace.as_deref().unwrap_or_default()
        )),
        _ => failure.hint("declare it in the cluster's folder, or mark the reference `optional`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn drawn(post_build: &Value) -> ResolvedVariables {
        let mut sources = Sources::default();
        for (name, data) in
            [("one", json!({"A": "1", "B": "x\ny"})), ("two", json!({"A": "2", "no-name": ""}))]
        {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": data});
            sources.add(&serde_json::from_value(map).unwrap());
        }
        let open = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "open", "namespace": "n"}, "spec": {"dataFrom": [{}]}});
        sources.add(&serde_json::from_value(open).unwrap());
        let kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "k", "namespace": "n"}, "spec": {"postBuild": post_build}});
        resolve_variables(&serde_json::from_value(kustomization).unwrap(), &sources, &BTreeSet::new())
    }

    fn from(names: &[&str]) -> Value {
        names
            .iter()
            .map(|name| json!({"kind": if *name == "open" { "Secret" } else { "ConfigMap" }, "name": name}))
            .collect()
    }

    #[test]
    fn what_comes_later_counts() {
        let all = drawn(&json!({"substituteFrom": from(&["one", "open"]), "substitute": {"C": "3"}}));
        let variables = all.variables.unwrap();
        assert_eq!(
            ["A", "B", "C", "D"].map(|name| variables.value(name)),
            [Some("1"), Some("xy"), Some("3"), Some(UNKNOWN)]
        );
        assert_eq!(all.substitute_sources[0].variables.as_ref().unwrap().len(), 2);
        assert_eq!(all.substitute_sources[1].variables, None);
        assert!(all.problems.is_empty());
        let closed = drawn(&json!({"substituteFrom": from(&["one"])})).variables.unwrap();
        assert_eq!(closed.value("D"), None);
    }

    #[test]
    fn nothing_to_substitute_with_is_no_substitution() {
        assert!(drawn(&Value::Null).variables.is_none());
        assert!(drawn(&json!({"substitute": {}})).variables.is_none());
        assert!(drawn(&json!({"substituteStrategy": "Always"})).variables.is_some());
    }

    #[test]
    fn problems_are_reported_with_their_field() {
        let found = drawn(&json!({"substituteFrom": from(&["two", "three"])})).problems;
        let told: Vec<_> = found.iter().map(|(problem, field)| (problem.kind, field.as_str())).collect();
        assert_eq!(
            told,
            [
                (ProblemKind::MissingSubstituteFrom, "spec.postBuild.substituteFrom[1].name"),
                (ProblemKind::VariableName, "spec.postBuild.substitute[\"no-name\"]"),
            ]
        );
    }
}
