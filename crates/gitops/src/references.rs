//! The references of a kustomization that kustomize reads: every field that it knows (api v0.21.1), and
//! those of the configurations of its own generators and transformers.

use serde_json::{Map, Value};

use bootstrapper_tools::Use;

/// The role of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Objects: a file, or the folder of a kustomization.
    Resource,
    /// The folder of a kustomization.
    Component,
    /// A YAML file, parsed by kustomize.
    Yaml,
    /// The same, or inline YAML.
    YamlOrText,
    /// A file that is used unchanged.
    Content,
    /// Configurations of generators and the like: a file, the folder of a kustomization, or inline YAML.
    Plugin,
}

impl Role {
    /// How kustomize interprets the text.
    pub(super) fn interpretation(self) -> Use {
        match self {
            Self::Resource | Self::Plugin => Use::Any,
            Self::Component => Use::Folder,
            Self::Yaml | Self::YamlOrText | Self::Content => Use::File,
        }
    }
}

/// The visitor of references, which may replace them.
pub(super) type Visit<'a, E> = &'a mut dyn FnMut(&mut String, Role) -> Result<(), E>;

/// Visits all references of a kustomization.
pub(super) fn of_kustomization<E>(kustomization: &mut Value, visit: Visit<'_, E>) -> Result<(), E> {
    let Some(fields) = kustomization.as_object_mut() else { return Ok(()) };
    for (key, value) in fields {
        match fold(key).as_str() {
            "resources" | "bases" => texts(value, Role::Resource, visit)?,
            "components" => texts(value, Role::Component, visit)?,
            "crds" | "configurations" => texts(value, Role::Yaml, visit)?,
            "patchesstrategicmerge" => texts(value, Role::YamlOrText, visit)?,
            "generators" | "transformers" | "validators" => texts(value, Role::Plugin, visit)?,
            "openapi" => named(value, &["path"], Role::Yaml, visit)?,
            "patches" | "patchesjson6902" | "replacements" => {
                each(value, |one| named(one, &["path"], Role::Yaml, visit))?;
            }
            "configmapgenerator" | "secretgenerator" => each(value, |one| generator(one, visit))?,
            _ => {}
        }
    }
    Ok(())
}

/// Visits all references of a configuration of a generator, a transformer or a validator.
pub(super) fn of_plugin<E>(config: &mut Value, visit: Visit<'_, E>) -> Result<(), E> {
    named(config, &["path", "targetfilepath", "valuesfile", "argsfromfile"], Role::Yaml, visit)?;
    named(config, &["paths", "additionalvaluesfiles"], Role::YamlOrText, visit)?;
    generator(config, visit)?;
    let Some(fields) = config.as_object_mut() else { return Ok(()) };
    for (key, value) in fields {
        match fold(key).as_str() {
            "replacements" | "patches" => each(value, |one| named(one, &["path"], Role::Yaml, visit))?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether a kustomization has no fields but those that a list of configurations may have.
pub(super) fn is_plain(kustomization: &Value) -> bool {
    const PLAIN: [&str; 4] = ["apiversion", "kind", "metadata", "resources"];
    let mut fields = kustomization.as_object().into_iter().flatten();
    fields.all(|(key, _)| PLAIN.contains(&fold(key).as_str()))
}

/// The fields that make kustomize inflate a Helm chart. Flux disables that.
pub(super) fn charts(kustomization: &Value) -> Option<&str> {
    let mut fields = kustomization.as_object().into_iter().flatten();
    let field = fields.find(|(key, value)| {
        let is_one = matches!(fold(key).as_str(), "helmcharts" | "helmchartinflationgenerator");
        is_one && value.as_array().is_some_and(|all| !all.is_empty())
    });
    field.map(|(key, _)| key.as_str())
}

/// How many objects a kustomization generates.
pub(super) fn generators(kustomization: &Value) -> usize {
    let fields = kustomization.as_object().into_iter().flatten();
    let lists = fields
        .filter(|(key, _)| matches!(fold(key).as_str(), "configmapgenerator" | "secretgenerator"))
        .filter_map(|(_, value)| value.as_array());
    lists.map(Vec::len).sum()
}

/// Every text in it that may be inline YAML.
pub(super) fn inline<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.contains('*') && text.contains('&') => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| inline(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| inline(value, found)),
        _ => {}
    }
}

fn generator<E>(config: &mut Value, visit: Visit<'_, E>) -> Result<(), E> {
    named(config, &["envs", "env"], Role::Content, visit)?;
    let Some(fields) = config.as_object_mut() else { return Ok(()) };
    for files in of(fields, "files") {
        each(files, |file| {
            let Value::String(text) = file else { return Ok(()) };
            // `key=path`; without a key, the file's name is the key, and must not change.
            let (key, path) = match text.split_once('=') {
                Some((key, path)) => (key.to_owned(), path.to_owned()),
                None => (text.rsplit('/').next().unwrap_or_default().to_owned(), text.clone()),
            };
            let mut named = path.clone();
            visit(&mut named, Role::Content)?;
            if named != path {
                *text = format!("{key}={named}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn named<E>(object: &mut Value, names: &[&str], role: Role, visit: Visit<'_, E>) -> Result<(), E> {
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    for (key, value) in fields {
        if names.contains(&fold(key).as_str()) {
            texts(value, role, visit)?;
        }
    }
    Ok(())
}

/// A text, or a list of them.
fn texts<E>(value: &mut Value, role: Role, visit: Visit<'_, E>) -> Result<(), E> {
    match value {
        Value::String(text) => visit(text, role),
        Value::Array(values) => values.iter_mut().try_for_each(|value| match value {
            Value::String(text) => visit(text, role),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn each<E>(value: &mut Value, visit: impl FnMut(&mut Value) -> Result<(), E>) -> Result<(), E> {
    value.as_array_mut().into_iter().flatten().try_for_each(visit)
}

fn of<'a>(fields: &'a mut Map<String, Value>, name: &str) -> impl Iterator<Item = &'a mut Value> {
    fields.iter_mut().filter(move |(key, _)| fold(key) == name).map(|(_, value)| value)
}

/// The name of a field as Go's JSON decoder compares it: case-insensitive, in its sense.
fn fold(key: &str) -> String {
    key.chars()
        .map(|one| match one {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(value: &Value, visit: fn(&mut Value, Visit<'_, ()>) -> Result<(), ()>) -> Vec<(String, Role)> {
        let mut found = Vec::new();
        let mut value = value.clone();
        visit(&mut value, &mut |text: &mut String, role| {
            found.push((text.clone(), role));
            Ok(())
        })
        .unwrap();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    #[test]
    fn every_field_that_names_something_is_visited() {
        let kustomization = json!({
            "resources": ["a"], "Bases": ["b"], "components": ["c"], "crds": ["d"], "configurations": ["e"],
            "openapi": {"path": "f"}, "patches": [{"path": "g", "target": {"name": "x"}}, {"patch": "x"}],
            "patchesJson6902": [{"path": "h"}], "patchesStrategicMerge": ["i"], "replacements": [{"PATH": "j"}],
            "generators": ["k"], "transformer\u{17f}": ["l"], "validators": ["m"],
            "configMapGenerator": [{"name": "x", "files": ["n", "key=o"], "envs": ["p"], "literals": ["x=y"]}],
            "secretGenerator": [{"name": "x", "FILES": ["q"], "env": "r"}],
            "namespace": "x", "commonLabels": {"path": "x"}, "images": [{"name": "x"}],
        });
        let names: Vec<String> =
            all(&kustomization, of_kustomization).into_iter().map(|(text, _)| text).collect();
        assert_eq!(names, ('a'..='r').map(String::from).collect::<Vec<_>>());
        let plugin = json!({"kind": "PatchTransformer", "path": "a", "fieldSpecs": [{"path": "/x"}], "paths": ["b"],
            "files": ["k=c"], "envs": ["d"], "replacements": [{"path": "e"}]});
        let names: Vec<String> = all(&plugin, of_plugin).into_iter().map(|(text, _)| text).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_file_keeps_the_key_that_its_name_gave_it() {
        let mut kustomization =
            json!({"configMapGenerator": [{"files": ["https://x.test/a/b.yaml", "k=c.yaml", "d.yaml"]}]});
        let mut put = |text: &mut String, _: Role| -> Result<(), ()> {
            if text != "d.yaml" {
                *text = "../1".to_owned();
            }
            Ok(())
        };
        of_kustomization(&mut kustomization, &mut put).unwrap();
        assert_eq!(
            kustomization["configMapGenerator"][0]["files"],
            json!(["b.yaml=../1", "k=../1", "d.yaml"])
        );
    }
}
