//! The schemas that `validate` comes with are those of the projects themselves.
//!
//! `UPDATE=1 cargo test --test offline schemas::` makes them: after another Kubernetes or Flux is pinned.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bootstrapper::yaml;
use common::root;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use regex::Regex;
use serde_json::{Map, Value, json};

/// A release of each supported version, the newest first: Flux 2.9 asks for 1.33, Cilium 1.20 is
/// tested with no newer one than 1.36.
const KUBERNETES: [&str; 4] = ["v1.36.3", "v1.35.4", "v1.34.4", "v1.33.13"];

/// Says nothing about what may stand in an object.
const NEEDLESS: [&str; 7] = [
    "description",
    "x-kubernetes-action",
    "x-kubernetes-group-version-kind",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-unions",
];

#[test]
fn of_kubernetes() {
    let mut before = json!({});
    let patches = KUBERNETES.map(|version| {
        let schemas = of_version(version);
        let patch = merge_patch(&before, &schemas);
        before = schemas;
        patch
    });
    compare("kubernetes", &json!(patches));
}

#[test]
fn of_flux() {
    let settings = text(&root().join("kubernetes/clusters/infra/settings.yaml"));
    let version = after(&settings, "FLUX_VERSION: ");
    let operator = after(&text(&root().join("kubernetes/bases/flux/operator-source.yaml")), "tag: ");
    let module = module(&format!("github.com/controlplaneio-fluxcd/flux-operator@v{operator}"));
    let files = files(&module.join(format!("config/data/flux/v{version}")), "yaml");
    let objects = files.iter().flat_map(|file| yaml::from_multiple::<Value>(&text(file), file).unwrap());
    let crds = objects.filter(|object| object["kind"] == "CustomResourceDefinition");
    compare("flux", &json!({"version": version, "crds": crds.map(|crd| short(&crd)).collect::<Vec<_>>()}));
}

/// What of a CRD says which objects there may be.
fn short(crd: &Value) -> Value {
    let spec = &crd["spec"];
    let versions = spec["versions"].as_array().unwrap().iter().map(|version| {
        let mut schema = simple(&version["schema"]["openAPIV3Schema"]);
        without_status(&mut schema);
        json!({"name": version["name"], "served": version["served"], "schema": {"openAPIV3Schema": schema}})
    });
    json!({
        "apiVersion": crd["apiVersion"], "kind": crd["kind"], "metadata": {"name": crd["metadata"]["name"]},
        "spec": {
            "group": spec["group"], "scope": spec["scope"], "names": {"kind": spec["names"]["kind"]},
            "versions": versions.collect::<Vec<_>>(),
        },
    })
}

/// The kinds that can be made in one version of Kubernetes, and all that their schemas refer to.
fn of_version(version: &str) -> Value {
    let module = module(&format!("k8s.io/kubernetes@{version}"));
    let (mut all, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for file in files(&module.join("api/openapi-spec/v3"), "json") {
        let page: Value = serde_json::from_str(&text(&file)).unwrap();
        for (name, schema) in page["components"]["schemas"].as_object().into_iter().flatten() {
            all.insert(name.clone(), simple(schema));
        }
        for (path, operations) in page["paths"].as_object().unwrap() {
            let creation = &operations["post"];
            let schema = creation["requestBody"]["content"]["*/*"]["schema"]["$ref"].as_str();
            let Some(schema) = schema.filter(|_| !path.contains("{name}")) else { continue };
            let kind = &creation["x-kubernetes-group-version-kind"];
            let [group, version, kind] =
                ["group", "version", "kind"].map(|part| kind[part].as_str().unwrap());
            let name = format!("{group}/{version}/{kind}").trim_start_matches('/').to_owned();
            let scope = if path.contains("{namespace}") { "Namespaced" } else { "Cluster" };
            kinds.insert(name, json!({"schema": last(schema), "scope": scope}));
        }
    }
    add_enums(&mut all, &module);
    for kind in kinds.values() {
        without_status(all.get_mut(kind["schema"].as_str().unwrap()).unwrap());
    }
    let mut needed = BTreeSet::new();
    let mut next: Vec<String> =
        kinds.values().map(|kind| kind["schema"].as_str().unwrap().to_owned()).collect();
    let reference = Regex::new(r#""\$ref":"([^"]+)""#).unwrap();
    while let Some(name) = next.pop() {
        let schema = all[&name].to_string();
        if needed.insert(name) {
            next.extend(reference.captures_iter(&schema).map(|found| found[1].to_owned()));
        }
    }
    all.retain(|name, _| needed.contains(name));
    let minor = version[1..].rsplit_once('.').unwrap().0;
    json!({"version": minor, "kinds": kinds, "definitions": all})
}

/// The published documents have no enumerations. What an API server answers has them: they are made
/// from the Go types, as the code is which builds them.
fn add_enums(all: &mut BTreeMap<String, Value>, module: &Path) {
    let code = text(&module.join("pkg/generated/openapi/zz_generated.openapi.go"));
    let function = Regex::new(r"^func schema_\w*?_([a-z0-9]+_v[a-z0-9]+_\w+)\(").unwrap();
    let property = Regex::new(r#"^\t{5}"(\w+)": \{$"#).unwrap();
    let values = Regex::new(r"^(\t+)Enum: +\[\]interface\{\}\{(.+)\},$").unwrap();
    let (mut of, mut field, mut found) = (String::new(), String::new(), 0);
    for line in code.lines() {
        if let Some(function) = function.captures(line) {
            of = format!(".{}", function[1].replacen('_', ".", 2));
        } else if let Some(property) = property.captures(line) {
            property[1].clone_into(&mut field);
        } else if let Some(values) = values.captures(line) {
            found += 1;
            let mut allowed: Vec<Value> = serde_json::from_str(&format!("[{}]", &values[2])).unwrap();
            let Some((_, schema)) = all.iter_mut().find(|(name, _)| name.ends_with(&of)) else { continue };
            let is_required = schema["required"].as_array().is_some_and(|all| all.contains(&json!(field)));
            let mut at = &mut schema["properties"][&field];
            if values[1].len() > 7 {
                let inner = if at["items"].is_object() { "items" } else { "additionalProperties" };
                at = &mut at[inner];
            } else if !is_required && !allowed.contains(&json!("")) {
                // Nothing is said where the empty text stands: defaults are filled in for it.
                allowed.push(json!(""));
            }
            assert!(at.is_object(), "{of} has no {field}");
            at["enum"] = allowed.into();
        }
    }
    assert!(found > 100, "the code is written in another way: {found} enumerations");
}

fn without_status(schema: &mut Value) {
    schema["properties"].as_object_mut().unwrap().remove("status");
}

/// A schema without what says nothing.
fn simple(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut kept = Map::new();
    for (name, value) in fields {
        let is_needless = match name.as_str() {
            // What Go has where nothing is said.
            "default" => [json!({}), json!([]), json!(""), json!(0), json!(false)].contains(value),
            "format" => {
                value.as_str().is_some_and(|format| format.starts_with("int") && format != "int-or-string")
            }
            "x-kubernetes-list-type" => value == "atomic",
            name => NEEDLESS.contains(&name),
        };
        if is_needless {
            continue;
        }
        let value = match name.as_str() {
            "properties" => {
                value.as_object().unwrap().iter().map(|(name, one)| (name.clone(), simple(one))).collect()
            }
            "items" | "additionalProperties" | "not" => simple(value),
            "allOf" | "anyOf" | "oneOf" => value.as_array().unwrap().iter().map(simple).collect(),
            "$ref" => last(value.as_str().unwrap()).into(),
            _ => value.clone(),
        };
        kept.insert(name.clone(), value);
    }
    if let Some([one]) = kept.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return one.clone();
    }
    // `oneOf: [{type: string}, {type: number}]`
    let types = kept.get("oneOf").and_then(Value::as_array).and_then(|of| {
        of.iter()
            .map(|one| one["type"].as_str().filter(|_| one.as_object().unwrap().len() == 1))
            .collect::<Option<Vec<_>>>()
    });
    if let Some(types) = types {
        kept.insert("type".to_owned(), json!(types));
        kept.remove("oneOf");
    }
    Value::Object(kept)
}

/// What makes `to` of `from`: RFC 7396.
fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let gone = from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let other = to.iter().filter(|(name, value)| from.get(*name) != Some(*value)).map(|(name, value)| {
        let patch = from.get(name).map_or_else(|| value.clone(), |before| merge_patch(before, value));
        (name.clone(), patch)
    });
    gone.chain(other).collect()
}

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap()
}

fn compare(name: &str, made: &Value) {
    let file = root().join("crates/validation/src/schema/upstream").join(format!("{name}.json.gz"));
    if std::env::var_os("UPDATE").is_some() {
        let mut encoder = GzEncoder::new(std::fs::File::create(&file).unwrap(), Compression::best());
        encoder.write_all(made.to_string().as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
    let kept: Value = serde_json::from_reader(GzDecoder::new(std::fs::File::open(&file).unwrap())).unwrap();
    assert!(kept == *made, "{name} is another one now: UPDATE=1 cargo test --test offline schemas::");
}

/// The folder of a Go module, fetched.
fn module(module: &str) -> PathBuf {
    let nowhere = tempfile::tempdir().unwrap();
    let mut go = Command::new("go");
    let output = go.args(["mod", "download", "-json", module]).current_dir(nowhere.path()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["Error"].is_null(), "{answer}");
    answer["Dir"].as_str().unwrap().into()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|own| own == extension));
    files.sort();
    files
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The word after a mark.
fn after(text: &str, mark: &str) -> String {
    let rest = text.split_once(mark).unwrap().1;
    rest.split_whitespace().next().unwrap().trim_matches(['"', 'v']).to_owned()
}
