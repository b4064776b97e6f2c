//! The objects that the Flux operator creates from a ResourceSet, if its inputs are in the repository
//! (flux-operator v0.59: `builder.BuildResourceSetFromSpec`). Pure.

mod emit;
mod inputs;
mod template;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use self::inputs::Inputs;
use self::template::{Budget, TemplateError, render};
use super::common_metadata::add_common_metadata;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml;

/// The limit of objects of one ResourceSet: the same as for a build.
const OBJECTS: usize = 2_500;

/// The annotation that disables reconciliation of an object, or a whole set.
const RECONCILE: &str = "fluxcd.controlplane.io/reconcile";

/// An object of a ResourceSet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub(super) object: Object,
    /// The field of the ResourceSet that declares it.
    pub(super) field: String,
}

/// The objects of a ResourceSet, and why some of them are unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rendered {
    pub(super) made: Vec<Made>,
    /// What cannot be evaluated here: the field, and what it uses. Its objects are omitted.
    pub(super) unknown: Vec<(String, String)>,
    /// What the operator rejects, along with the whole set: the field, and why.
    pub(super) refused: Option<(String, String)>,
    /// The field with more objects than the limit.
    pub(super) excessive: Option<String>,
}

/// Renders a ResourceSet. `providers` are the declared ResourceSetInputProviders.
pub(super) fn rendered(set: &Object, providers: &[&Object]) -> Rendered {
    let mut rendered = Rendered::default();
    if is_disabled(set) {
        return rendered;
    }
    let inputs = match inputs::inputs(set, providers) {
        Ok(inputs) => inputs,
        Err(trouble) => {
            rendered.note("spec.inputsFrom", trouble);
            return rendered;
        }
    };
    let spec = &set.data["spec"];
    let mut run = Run { inputs, budget: Budget::default(), known: BTreeSet::new(), rendered };
    match spec["steps"].as_array() {
        Some(steps) => {
            for (at, step) in steps.iter().enumerate() {
                run.all(step, &format!("spec.steps[{at}]."));
            }
        }
        None => run.all(spec, "spec."),
    }
    let mut rendered = run.rendered;
    if rendered.refused.is_some() || rendered.excessive.is_some() {
        rendered.made.clear();
    }
    for made in &mut rendered.made {
        add_common_metadata(&mut made.object, &spec["commonMetadata"]);
    }
    rendered
}

impl Rendered {
    fn note(&mut self, field: &str, trouble: TemplateError) {
        match trouble {
            TemplateError::Unknown(what) => {
                let note = (field.to_owned(), what);
                if !self.unknown.contains(&note) {
                    self.unknown.push(note);
                }
            }
            TemplateError::Refused(why) => {
                self.refused.get_or_insert((field.to_owned(), why));
            }
            TemplateError::Excessive => {
                self.excessive.get_or_insert(field.to_owned());
            }
        }
    }
}

struct Run {
    inputs: Inputs,
    budget: Budget,
    /// The objects so far: the first of two with the same name is kept.
    known: BTreeSet<(String, String, Option<String>, String)>,
    rendered: Rendered,
}

impl Run {
    /// Renders `resources` and `resourcesTemplate` of a set, or of one of its steps.
    fn all(&mut self, spec: &Value, prefix: &str) {
        for (at, template) in spec["resources"].as_array().into_iter().flatten().enumerate() {
            self.template(&emit::yaml(template), &format!("{prefix}resources[{at}]"));
        }
        if let Some(template) = spec["resourcesTemplate"].as_str() {
            self.template(template, &format!("{prefix}resourcesTemplate"));
        }
    }

    fn template(&mut self, template: &str, field: &str) {
        let sets: Vec<Value> = match &self.inputs {
            Inputs::None => vec![Value::Null],
            // Without an input in it, a template gives the same result for all.
            Inputs::Sets(sets) if !template.contains("<<") => sets.first().cloned().into_iter().collect(),
            Inputs::Sets(sets) => sets.clone(),
        };
        for inputs in &sets {
            let objects = render(template, inputs, &mut self.budget).and_then(|text| objects(&text));
            match objects {
                Ok(objects) => objects.into_iter().for_each(|object| self.add(object, field)),
                Err(trouble) => {
                    let is_over = matches!(trouble, TemplateError::Excessive);
                    self.rendered.note(field, trouble);
                    if is_over {
                        return;
                    }
                }
            }
            if self.rendered.made.len() > OBJECTS {
                self.rendered.note(field, TemplateError::Excessive);
                return;
            }
        }
    }

    fn add(&mut self, object: Object, field: &str) {
        let id = ObjectRef::of(&object);
        let key = (id.group().to_owned(), id.kind, id.namespace, id.name);
        if !is_disabled(&object) && self.known.insert(key) {
            self.rendered.made.push(Made { object, field: field.to_owned() });
        }
    }
}

/// Parses the objects of a rendered text.
fn objects(text: &str) -> Result<Vec<Object>, TemplateError> {
    if let Some(excess) = yaml::excess(text) {
        return Err(TemplateError::Refused(excess.what.to_owned()));
    }
    let read = |value: Value| {
        serde_json::from_value::<Object>(value)
            .map_err(|error| TemplateError::Refused(format!("its output is not an object: {error}")))
    };
    let documents: Vec<Value> = yaml::from_multiple(text, Path::new("it")).map_err(|failure| {
        TemplateError::Refused(format!("its output is not YAML: {}", failure.because.join(": ")))
    })?;
    let all = documents.into_iter().filter(|document| !document.is_null()).flat_map(|document| {
        match (&document["kind"], &document["items"]) {
            (Value::String(kind), Value::Array(items)) if kind.ends_with("List") => items.clone(),
            _ => vec![document],
        }
    });
    let objects: Vec<Object> = all.map(read).collect::<Result<_, _>>()?;
    let is_named = |object: &&Object| object.types.is_some() && object.metadata.name.is_some();
    match objects.iter().find(|object| !is_named(object)) {
        Some(_) => {
            Err(TemplateError::Refused("its output has an object without a kind or a name".to_owned()))
        }
        None => Ok(objects),
    }
}

fn is_disabled(object: &Object) -> bool {
    let value = object.metadata.annotations.as_ref().and_then(|all| all.get(RECONCILE));
    value.is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &Value) -> Rendered {
        let set = json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "ResourceSet", "metadata": {"name": "s", "namespace": "n"}, "spec": spec});
        rendered(&serde_json::from_value(set).unwrap(), &[])
    }

    fn names(rendered: &Rendered) -> Vec<String> {
        rendered.made.iter().map(|made| ObjectRef::of(&made.object).to_string()).collect()
    }

    fn namespace(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    }

    #[test]
    fn resources_are_created_once_per_input() {
        let set = of(&json!({
            "commonMetadata": {"labels": {"by": "set"}},
            "inputs": [{"tenant": "a", "count": 2}, {"tenant": "b", "count": 3}],
            "resources": [
                namespace("<< inputs.tenant >>"),
                namespace("shared"),
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "<< inputs.tenant >>"}, "spec": {"replicas": "<< inputs.count >>", "note": "<< inputs.count | quote >>"}},
            ],
            "resourcesTemplate": "<< if eq inputs.tenant \"b\" >>\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: << inputs.tenant >>, namespace: x}\n<< end >>\n",
        }));
        assert_eq!(
            names(&set),
            [
                "Namespace a",
                "Namespace b",
                "Namespace shared",
                "Deployment a/web",
                "Deployment b/web",
                "ConfigMap x/b"
            ]
        );
        assert_eq!(set.made[4].object.data["spec"], json!({"replicas": 3, "note": "3"}));
        assert_eq!(set.made[4].field, "spec.resources[2]");
        assert_eq!(set.made[0].object.metadata.labels.as_ref().unwrap()["by"], "set");
    }

    #[test]
    fn without_inputs_resources_are_created_once() {
        assert_eq!(names(&of(&json!({"resources": [namespace("a")]}))), ["Namespace a"]);
        assert_eq!(
            names(&of(
                &json!({"steps": [{"name": "one", "resources": [namespace("a")]}, {"name": "two", "resourcesTemplate": "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n"}]})
            )),
            ["Namespace a", "Namespace b"]
        );
        let disabled = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c", "annotations": {RECONCILE: "disabled"}}});
        assert!(of(&json!({"resources": [disabled]})).made.is_empty());
    }

    #[test]
    fn what_is_not_known_is_left_out_and_named() {
        let set = of(
            &json!({"inputs": [{"a": "x"}], "resources": [namespace("<< inputs.a >>"), namespace("<< regexFind \"x\" inputs.a >>")]}),
        );
        assert_eq!(names(&set), ["Namespace x"]);
        assert_eq!(set.unknown, [("spec.resources[1]".to_owned(), "the function `regexFind`".to_owned())]);
        let set =
            of(&json!({"inputs": [{"a": "x"}], "resources": [namespace("y"), namespace("<< inputs.b >>")]}));
        assert!(set.made.is_empty() && set.refused.unwrap().0 == "spec.resources[1]");
        let endless = of(
            &json!({"inputs": (0..9_000).map(|at| json!({"a": at})).collect::<Vec<_>>(), "resources": [namespace("x-<< inputs.a >>")]}),
        );
        assert!(endless.excessive.is_some() && endless.made.is_empty());
    }
}
