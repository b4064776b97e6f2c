//! What the bootstrap makes of a HelmRelease, against what Flux 2.9 has of one.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::process::Command;

use bootstrapper::gitops::{FIELDS, Treatment};
use bootstrapper::tools::ChartSource;
use common::{oracle, root};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde_json::Value;

/// The CRD of HelmReleases, of the helm-controller that the sandbox runs.
fn crd() -> Value {
    let modules = root().join("crates/sandbox/src/programs/modules");
    let build_list = std::fs::read_to_string(modules.join("go.mod")).unwrap();
    let module = "github.com/fluxcd/helm-controller";
    let line = build_list.lines().find(|line| line.trim().starts_with(module)).unwrap();
    let pinned = line.trim().replace(' ', "@");
    let output = Command::new("go")
        .args(["mod", "download", "-json", &pinned])
        .current_dir(tempfile::tempdir().unwrap().path())
        .env("GOFLAGS", "-mod=mod")
        .output()
        .unwrap();
    let downloaded: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = std::path::Path::new(downloaded["Dir"].as_str().unwrap()).join("config/crd/bases");
    let file = folder.join("helm.toolkit.fluxcd.io_helmreleases.yaml");
    bootstrapper::yaml::from_str(&std::fs::read_to_string(&file).unwrap(), &file).unwrap()
}

/// Every field, and which of them hold others.
fn fields(schema: &Value, path: &str, found: &mut Vec<(String, bool)>) {
    let of_items = schema["items"]["properties"].as_object();
    for (name, schema) in schema["properties"].as_object().or(of_items).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let holds_others = schema["properties"].is_object() || schema["items"]["properties"].is_object();
        found.push((path.clone(), holds_others));
        fields(schema, &path, found);
    }
}

/// What is read of a field that counts and holds others.
const PARTS: [(&str, &[&str]); 5] = [
    ("chart.spec.verify", &["provider", "secretRef", "name"]),
    ("chart.spec.sourceRef", &["apiVersion", "kind", "name", "namespace"]),
    ("chartRef", &["apiVersion", "kind", "name", "namespace"]),
    ("valuesFrom", &["kind", "name", "valuesKey", "optional", "targetPath", "literal"]),
    (
        "postRenderers",
        &[
            "kustomize",
            "patches",
            "patch",
            "target",
            "images",
            "name",
            "newName",
            "newTag",
            "digest",
            "group",
            "version",
            "kind",
            "namespace",
            "labelSelector",
            "annotationSelector",
        ],
    ),
];

#[test]
fn every_field_of_a_helm_release_counts_is_harmless_or_stops() {
    let crd = crd();
    let version = crd["spec"]["versions"].as_array().unwrap().iter().find(|one| one["name"] == "v2").unwrap();
    let mut all = Vec::new();
    fields(&version["schema"]["openAPIV3Schema"]["properties"]["spec"], "", &mut all);
    assert!(all.len() > 80, "{all:?}");
    let is_listed = |path: &str| FIELDS.iter().any(|(listed, _)| *listed == path);
    // What is harmless or stops as a whole needs no lines for its parts.
    let is_within =
        |path: &str, whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'));
    let is_covered = |path: &str| {
        let is_whole = |one: &Treatment| matches!(one, Treatment::LeftToFlux(_) | Treatment::Stops(_));
        FIELDS.iter().any(|(listed, treatment)| is_whole(treatment) && is_within(path, listed))
            || PARTS.iter().any(|(listed, parts)| {
                is_within(path, listed) && parts.contains(&path.rsplit('.').next().unwrap())
            })
    };
    for (path, holds_others) in &all {
        let parts = path.matches('.').count();
        assert!(is_listed(path) || is_covered(path) || (*holds_others && parts < 2), "{path} is new");
    }
    for (listed, _) in FIELDS {
        assert!(all.iter().any(|(path, _)| path == listed), "{listed} is gone");
    }
}

#[test]
fn the_table_of_fields_is_in_the_documentation() {
    let document = std::fs::read_to_string(root().join("docs/design/desired-state.md")).unwrap();
    for (field, treatment) in FIELDS {
        let line = match treatment {
            Treatment::Counts(how) => format!("| `{field}` | counts | {how} |"),
            Treatment::Flag(flag) => format!("| `{field}` | counts | `{flag}` |"),
            Treatment::LeftToFlux(why) => format!("| `{field}` | harmless | {why} |"),
            Treatment::Stops(why) => format!("| `{field}` | stops | {why} |"),
        };
        assert!(document.contains(&line), "{line}");
    }
}

const PAIRS: usize = 20_000;

#[derive(Debug, Clone, Serialize)]
struct Pair {
    range: String,
    version: String,
}

fn pairs() -> impl Strategy<Value = Pair> {
    let texts = |of: &[&'static str]| select(of.to_vec()).prop_map(str::to_owned);
    let early = || texts(&["", "", "", "-0", "-rc.1", "-rc.10", "-alpha", "-1.x"]);
    let build = || texts(&["", "", "+abc", "+4.f"]);
    let written = move |number: fn() -> proptest::sample::Select<&'static str>| {
        (select(vec!["", "v"]), prop::collection::vec(number(), 1..4), early(), build())
            .prop_map(|(v, numbers, early, build)| format!("{v}{}{early}{build}", numbers.join(".")))
    };
    let of_range: fn() -> proptest::sample::Select<&'static str> =
        || select(vec!["0", "1", "2", "10", "03", "x", "X", "*"]);
    let of_version: fn() -> proptest::sample::Select<&'static str> =
        || select(vec!["0", "1", "2", "3", "10"]);
    let operator =
        || select(vec!["", "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^", "^^", ">= "]);
    let bound =
        (operator(), written(of_range)).prop_map(|(operator, version)| format!("{operator}{version}"));
    let span = (written(of_range), written(of_range)).prop_map(|(from, to)| format!("{from} - {to}"));
    let part = prop_oneof![5 => bound, 1 => span, 1 => texts(&["", "one", "1..2", ">"])];
    let group = (prop::collection::vec(part, 1..3), select(vec![" ", ", ", ",", "  "]))
        .prop_map(|(parts, between)| parts.join(between));
    let range = prop::collection::vec(group, 1..3).prop_map(|groups| groups.join(" || "));
    (range, written(of_version)).prop_map(|(range, version)| Pair { range, version })
}

#[test]
fn ranges_hold_what_they_hold_for_helm_and_flux() {
    let mut runner = TestRunner::deterministic();
    let chart = |range: &str| ChartSource::Oci { url: "oci://x.test/y".into(), version: range.into() };
    // What is exact is compared with less care: Flux adds a digest to it.
    let questions: Vec<Pair> = std::iter::repeat_with(|| pairs().new_tree(&mut runner).unwrap().current())
        .filter(|pair| chart(&pair.range).exact_version().is_none() && pair.range != pair.version)
        .take(PAIRS)
        .collect();
    let answers: Vec<Option<bool>> = oracle::ask("versions", &questions);
    let (held, unread) = (
        answers.iter().filter(|answer| **answer == Some(true)).count(),
        answers.iter().filter(|answer| answer.is_none()).count(),
    );
    assert!(held > PAIRS / 20 && unread < PAIRS * 2 / 3, "{held} hold, {unread} cannot be read");
    let pairs = questions.iter().zip(answers);
    let different = pairs.filter_map(|(pair, theirs)| {
        let ours = chart(&pair.range).is_met_by(&pair.version);
        (ours != (theirs == Some(true))).then(|| format!("{pair:?}: ours {ours}, theirs {theirs:?}"))
    });
    oracle::assert_none_differs(different.collect(), PAIRS);
}
