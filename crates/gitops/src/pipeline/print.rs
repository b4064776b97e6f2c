//! Merges the stages of several files into one task file.

use std::path::PathBuf;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::yaml;

/// Renders these stages as one task file, each with its dependencies.
pub(super) fn task_file<'a>(
    stages: impl IntoIterator<Item = (&'a str, &'a [String])>,
    files: impl IntoIterator<Item = &'a (PathBuf, String)>,
) -> Result<String> {
    let (mut written, mut readiness) = (Vec::new(), Vec::new());
    for (file, text) in files {
        let raw: Value = yaml::from_str(text, file)?;
        let list = |name: &str| raw[name].as_array().cloned().unwrap_or_default();
        written.extend(list("stages"));
        readiness.extend(list("readiness"));
    }
    let stages = stages.into_iter().map(|(name, needs)| {
        // A name may be written as a number.
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_it = |one: &&Value| text(&one["name"]) == name;
        let mut stage = written.iter().find(is_it).cloned().unwrap_or_default();
        if let Some(fields) = stage.as_object_mut() {
            fields.remove("before");
            fields.remove("after");
            fields.insert("needs".to_owned(), json!(needs));
        }
        stage
    });
    let mut file = json!({"stages": stages.collect::<Vec<_>>()});
    if !readiness.is_empty() {
        file["readiness"] = readiness.into();
    }
    serde_saphyr::to_string(&NameFirst(&file))
        .map_err(|error| Failure::internal("cannot print the task file").caused_by(&error))
}

/// Renders maps with their name first, as people write them.
struct NameFirst<'a>(&'a Value);

impl Serialize for NameFirst<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in ordered(fields) {
                    map.serialize_entry(key, &NameFirst(value))?;
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(NameFirst)),
            scalar => scalar.serialize(serializer),
        }
    }
}

fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |key: &str| match key {
        "name" => 0,
        "steps" | "timeout" | "inactivity" | "why" => 2,
        _ => 1,
    };
    let mut all: Vec<_> = fields.iter().collect();
    all.sort_by_key(|(key, _)| place(key));
    all
}
