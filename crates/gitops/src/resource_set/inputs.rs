//! The inputs of a ResourceSet: its own, and those of providers with values in the repository.

use serde_json::{Map, Value, json};

use super::template::{TemplateError, adler32};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector;

/// The operator's limit on sets of inputs.
const SETS: usize = 10_000;

/// The placeholder for the id of a provider, which contains its UID.
use super::super::sources::UNKNOWN;

/// The sets of inputs, each for all of the templates; none if there are no inputs.
pub(super) enum Inputs {
    /// Templates are rendered once, without inputs.
    None,
    Sets(Vec<Value>),
}

/// All inputs of a ResourceSet. `providers` are the declared ResourceSetInputProviders.
pub(super) fn inputs(set: &Object, providers: &[&Object]) -> Result<Inputs, TemplateError> {
    let spec = &set.data["spec"];
    let own = spec["inputs"].as_array().into_iter().flatten().cloned();
    let own = own.map(|input| from_provider(input, set)).collect();
    let mut all = vec![(ObjectRef::of(set).name, own)];
    let mut found = chosen(set, providers)?;
    found.sort_by_key(|provider| ObjectRef::of(provider));
    found.dedup_by_key(|provider| ObjectRef::of(provider));
    for provider in found {
        let id = ObjectRef::of(provider);
        let provided = &provider.data["spec"];
        if provided["type"] != "Static" {
            return Err(TemplateError::Unknown(format!("{id}, whose values come from elsewhere")));
        }
        let mut values = provided["defaultValues"].as_object().cloned().unwrap_or_default();
        values.insert("id".to_owned(), UNKNOWN.into());
        all.push((id.name, vec![from_provider(values.into(), provider)]));
    }
    let sets = match spec["inputStrategy"]["name"].as_str() {
        None | Some("" | "Flatten") => all.into_iter().flat_map(|(_, sets)| sets).collect(),
        Some("Permute") => permuted(&all, spec["inputStrategy"]["includeEmptyProviders"] == true)?,
        Some(other) => return Err(TemplateError::Refused(format!("there is no input strategy `{other}`"))),
    };
    if sets.len() > SETS {
        return Err(TemplateError::Excessive);
    }
    let draws = spec["inputsFrom"].as_array().is_some_and(|from| !from.is_empty());
    Ok(if sets.is_empty() && !draws { Inputs::None } else { Inputs::Sets(sets) })
}

fn from_provider(mut input: Value, provider: &Object) -> Value {
    let id = ObjectRef::of(provider);
    if let Some(fields) = input.as_object_mut() {
        let about = json!({"apiVersion": id.api_version, "kind": id.kind, "name": id.name, "namespace": id.namespace.unwrap_or_default()});
        fields.insert("provider".to_owned(), about);
    }
    input
}

/// The providers that `inputsFrom` selects.
fn chosen<'a>(set: &Object, providers: &[&'a Object]) -> Result<Vec<&'a Object>, TemplateError> {
    let here = set.metadata.namespace.as_deref();
    let near = || providers.iter().copied().filter(|one| one.metadata.namespace.as_deref() == here);
    let mut found = Vec::new();
    for from in set.data["spec"]["inputsFrom"].as_array().into_iter().flatten() {
        if let Some(name) = from["name"].as_str() {
            let one = near().find(|one| one.metadata.name.as_deref() == Some(name));
            let one = one.ok_or_else(|| {
                TemplateError::Unknown(format!("ResourceSetInputProvider {name}, which is not declared"))
            })?;
            found.push(one);
        } else if !from["selector"].is_null() {
            let fits = |one: &&Object| {
                selector::selects(&from["selector"], &one.metadata.labels.clone().unwrap_or_default())
            };
            found.extend(near().filter(fits));
        }
    }
    Ok(found)
}

/// Every combination of one set from each provider, under the names of the providers.
fn permuted(all: &[(String, Vec<Value>)], with_empty: bool) -> Result<Vec<Value>, TemplateError> {
    let all: Vec<_> = all.iter().filter(|(_, sets)| with_empty || !sets.is_empty()).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut combined: Vec<(Map<String, Value>, Vec<String>)> = vec![(Map::new(), Vec::new())];
    for (name, sets) in all {
        let name = normalized(name);
        if name.is_empty() {
            return Err(TemplateError::Refused("the name of a provider has no letter in it".to_owned()));
        }
        if combined.len().saturating_mul(sets.len()) > SETS {
            return Err(TemplateError::Excessive);
        }
        combined = combined
            .iter()
            .flat_map(|(map, words)| {
                sets.iter().enumerate().map(|(at, set)| {
                    let (mut map, mut words) = (map.clone(), words.clone());
                    map.insert(name.clone(), set.clone());
                    words.push(format!("{name}={at}"));
                    (map, words)
                })
            })
            .collect();
    }
    let with_id = |(mut map, words): (Map<String, Value>, Vec<String>)| {
        map.insert("id".to_owned(), adler32(&words.join("/")).to_string().into());
        Value::Object(map)
    };
    Ok(combined.into_iter().map(with_id).collect())
}

/// A name as a key in templates: `My-Set` is `my_set`.
fn normalized(name: &str) -> String {
    let mapped = name.chars().filter_map(|c| match c {
        c if c.is_ascii_alphanumeric() => Some(c.to_ascii_lowercase()),
        c if c.is_whitespace() || c.is_ascii_punctuation() => Some('_'),
        _ => None,
    });
    let mapped: String = mapped.collect();
    mapped.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, spec: &Value) -> Object {
        serde_json::from_value(json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": kind, "metadata": {"name": name, "namespace": "n", "labels": {"of": name}}, "spec": spec})).unwrap()
    }

    fn sets(spec: &Value, providers: &[&Object]) -> Vec<Value> {
        match inputs(&object("ResourceSet", "My-Set", spec), providers).ok().unwrap() {
            Inputs::Sets(sets) => sets,
            Inputs::None => Vec::new(),
        }
    }

    #[test]
    fn inputs_are_flattened_or_permuted() {
        let one =
            object("ResourceSetInputProvider", "one", &json!({"type": "Static", "defaultValues": {"a": 1}}));
        let two =
            object("ResourceSetInputProvider", "two", &json!({"type": "Static", "defaultValues": {"a": 2}}));
        let other = object("ResourceSetInputProvider", "other", &json!({"type": "GitHubBranch"}));
        let all = [&two, &one, &other];
        let own = json!([{"a": 8}, {"a": 9}]);
        let from = json!([{"name": "two"}, {"selector": {"matchLabels": {"of": "one"}}}]);
        let flat = sets(&json!({"inputs": own, "inputsFrom": from}), &all);
        let values: Vec<&Value> = flat.iter().map(|set| &set["a"]).collect();
        assert_eq!(values, [&json!(8), &json!(9), &json!(1), &json!(2)]);
        assert_eq!(flat[0]["provider"]["name"], "My-Set");

        let permuted =
            sets(&json!({"inputs": own, "inputsFrom": from, "inputStrategy": {"name": "Permute"}}), &all);
        assert_eq!(permuted.len(), 2);
        assert_eq!((&permuted[1]["my_set"]["a"], &permuted[1]["two"]["a"]), (&json!(9), &json!(2)));
        assert_eq!(permuted[0]["id"], adler32("my_set=0/one=0/two=0").to_string());

        let unknown = inputs(&object("ResourceSet", "s", &json!({"inputsFrom": [{"name": "other"}]})), &all);
        assert!(matches!(unknown, Err(TemplateError::Unknown(_))));
        assert!(matches!(inputs(&object("ResourceSet", "s", &json!({})), &[]), Ok(Inputs::None)));
    }

    #[test]
    fn combinations_have_a_limit() {
        let many: Vec<Value> = (0..200).map(|at| json!({"a": at})).collect();
        let all = vec![("a".to_owned(), many.clone()), ("b".to_owned(), many)];
        assert!(matches!(permuted(&all, false), Err(TemplateError::Excessive)));
    }
}
