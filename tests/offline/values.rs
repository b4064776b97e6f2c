//! The values of releases against the original: `fluxcd/pkg/chartutil` answers the same questions.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::gitops::chart_values;
use bootstrapper::object::Object;
use bootstrapper::tools::{ChartAccess, ChartSource, Environment, Helm, HelmRequest, PostRendering};
use common::charts::Charts;
use common::oracle;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const CASES: usize = 5_000;

/// How many of them are rendered too.
const RENDERED: usize = 150;

/// By kind, name and key.
type Sources = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

#[derive(Debug, Clone, Serialize)]
struct Question {
    sources: Sources,
    from: Vec<Value>,
    values: Map<String, Value>,
    /// A chart that shows what its templates see; none if nobody asks.
    chart: String,
}

#[derive(Deserialize)]
struct Answer {
    values: Option<Value>,
    seen: String,
    error: String,
}

fn texts(of: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(of.to_vec()).prop_map(str::to_owned)
}

/// Names that meet each other often.
const NAMES: [&str; 6] = ["a", "b", "c", "d.e", "", "0"];

fn scalars() -> impl Strategy<Value = Value> {
    let of =
        [json!(null), json!(true), json!(0), json!(-7), json!(1.5), json!(1_000_000), json!("x"), json!("")];
    select(of.to_vec())
}

fn trees() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => maps(inner.clone()).prop_map(Value::Object),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

fn maps(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let entries = prop::collection::vec((texts(&NAMES[..4]), inner), 0..4);
    entries.prop_map(|entries| entries.into_iter().collect())
}

/// YAML as people write it, and as they should not.
fn written() -> impl Strategy<Value = String> {
    let scalar = texts(&[
        "1",
        "0",
        "-3",
        "0755",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "1.50",
        ".5",
        "1e3",
        "1.e+3",
        "+1",
        "-0",
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "true",
        "True",
        "TRUE",
        "null",
        "~",
        "",
        "Null",
        "\"1\"",
        "'yes'",
        "2001-01-01",
        "1:30",
        "12345678901234567890",
        "9007199254740993",
        "<<",
        "=",
        "x y",
        "!!str 1",
        "!!int \"1\"",
        "[1, yes, ~]",
        "{}",
        "[]",
        "|\n  two\n  lines",
        ">-\n  one\n  line",
        "\"\\u00e9\"",
        "${X}",
        "@x",
        "- 1",
        "a: b",
        "&x 1",
        "*x",
        "# none",
    ]);
    let key = texts(&["a", "b", "c", "d.e", "1", "yes", "null", "1.5", "? a", "0x10"]);
    prop_oneof![
        6 => trees().prop_map(|tree| tree.to_string()),
        6 => prop::collection::vec((key, scalar), 0..4).prop_map(|lines| {
            lines.iter().map(|(key, value)| [key, ": ", value, "\n"].concat()).collect::<Vec<_>>().concat()
        }),
        1 => texts(&[
            "", "# nothing\n", "---\n", "null", "- a\n", "text", "5", "{", "a: [\n", "a: 1\n---\nb: 2\n", "--- \na: 1\n...\n",
            "x: &x {a: 1, b: {c: 2}}\na: *x\nb: {<<: *x, a: 3}\n", "a: {<<: [{b: 1}, {b: 2, c: 3}]}\n", "\ta: 1\n",
            "a: 1\r\nb: 2\r\n", "%YAML 1.1\n---\na: 1\n", "\u{feff}a: 1\n", "a: {b: 1, }\n", "{a: 1, b}", "a:\n- 1\n- b: 2\n",
        ]),
    ]
}

/// What `--set` reads: mostly well formed, sometimes not.
fn set_texts() -> impl Strategy<Value = String> {
    let plain = texts(&[
        "",
        "5",
        "0",
        "-12",
        "+3",
        "012",
        "-05",
        "1.5",
        "true",
        "FALSE",
        "Null",
        "x",
        "x y",
        "é\n",
        "9223372036854775807",
        "9223372036854775808",
        "'5'",
        "\"true\"",
        "'",
        "'\"x\"'",
        "'x",
        "a=b",
        "a\\,b",
        "x\\",
        "\\\\",
        "[0]",
        "a.b",
        "{",
        "}",
        "{}",
        "{1,x,true}",
        "{a\\,b,}",
        "{x",
        "{x}y",
        "{x},b=1",
        "x,y",
        "x,b=1",
        "x,b.c=true,d={1,2}",
        "x,",
        "x,b",
        "x,a.b=",
        "x,a[0]=9",
        "{\"a\": 1}",
        "one\ntwo",
        "]",
        "x,b[0",
        "x,b[0].c=",
    ]);
    prop_oneof![4 => plain, 1 => "[a-c0-2.,=\\[\\]{}\\\\'\"]{0,12}".prop_map(String::from)]
}

fn paths() -> impl Strategy<Value = String> {
    let step = texts(&[
        "a", "b", "c", "d\\.e", "d", "", ".a", ".b", ".c", ".d\\.e", ".", "[0]", "[1]", "[2]", "[0].a",
        "[1].b", "[-1]", "[x]", "[65537]", "[", "[0", "]", "=", ",", "{", "\\", "[0]x", "[00]", "[+1]",
    ]);
    let sensible = (
        texts(&["a", "b", "c", "d\\.e"]),
        prop::collection::vec(texts(&[".a", ".b", ".c", "[0]", "[1]"]), 0..4),
    );
    prop_oneof![
        6 => sensible.prop_map(|(first, more)| format!("{first}{}", more.concat())),
        1 => prop::collection::vec(step, 0..5).prop_map(|steps| steps.concat()),
        1 => prop::collection::vec(texts(&["a", "b."]), 25..40).prop_map(|steps| steps.join(".")),
    ]
}

fn references() -> impl Strategy<Value = Value> {
    let whole = (texts(&["one", "two", "gone"]), texts(&["", "values.yaml", "more", "none"]));
    let within = (texts(&["one", "two", "two"]), texts(&["set", "text", "more"]));
    let kinds = || texts(&["ConfigMap", "Secret"]);
    prop_oneof![
        (kinds(), whole, any::<bool>()).prop_map(|(kind, (name, key), optional)| {
            json!({"kind": kind, "name": name, "valuesKey": key, "optional": optional})
        }),
        (kinds(), within, paths(), any::<bool>(), prop::bool::weighted(0.3)).prop_map(
            |(kind, (name, key), path, optional, literal)| {
                json!({"kind": kind, "name": name, "valuesKey": key, "targetPath": path, "optional": optional, "literal": literal})
            }
        ),
    ]
}

fn questions() -> impl Strategy<Value = Question> {
    let data = || {
        (written(), written(), set_texts(), set_texts()).prop_map(|(values, more, set, text)| {
            [("values.yaml", values), ("more", more), ("set", set), ("text", text)]
                .map(|(key, value)| (key.to_owned(), value))
                .into()
        })
    };
    let kind = || {
        (data(), data())
            .prop_map(|(one, two)| BTreeMap::from([("one".to_owned(), one), ("two".to_owned(), two)]))
    };
    let sources = (kind(), kind()).prop_map(|(maps, secrets)| {
        Sources::from([("ConfigMap".to_owned(), maps), ("Secret".to_owned(), secrets)])
    });
    let from = prop::collection::vec(references(), 0..5);
    (sources, from, maps(trees())).prop_map(|(sources, from, values)| Question {
        sources,
        from,
        values,
        chart: String::new(),
    })
}

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

/// What we make of a question: values, and which of them are integers.
fn ours(question: &Question) -> Result<(Value, Vec<String>), Vec<String>> {
    let release = object(json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "r", "namespace": "n"},
        "spec": {"valuesFrom": question.from, "values": question.values},
    }));
    let beside: Vec<Object> = question
        .sources
        .iter()
        .flat_map(|(kind, named)| named.iter().map(move |(name, data)| (kind, name, data)))
        .map(|(kind, name, data)| {
            let encoded = |text: &String| if kind == "Secret" { STANDARD.encode(text) } else { text.clone() };
            let data: BTreeMap<&String, String> = data.iter().map(|(key, text)| (key, encoded(text))).collect();
            object(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, "data": data}))
        })
        .collect();
    let (values, integers, problems) = chart_values(&release, &beside);
    if problems.is_empty() {
        Ok((values, integers))
    } else {
        Err(problems.iter().map(|one| one.failure.what.clone()).collect())
    }
}

/// Go has read every number as a float.
fn as_go_has_them(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_go_has_them).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_go_has_them(value))).collect(),
        other => other,
    }
}

#[test]
fn the_same_as_flux() {
    let mut runner = TestRunner::deterministic();
    let questions: Vec<Question> =
        (0..CASES).map(|_| questions().new_tree(&mut runner).unwrap().current()).collect();
    let answers: Vec<Answer> = oracle::ask("values", &questions);
    assert_eq!(answers.len(), CASES);
    let refused = answers.iter().filter(|answer| !answer.error.is_empty()).count();
    assert!((CASES / 10..CASES * 2 / 3).contains(&refused), "{refused} are refused");
    let mut different = Vec::new();
    for (question, answer) in questions.iter().zip(answers) {
        let ours = ours(question).map(|(values, _)| as_go_has_them(values));
        let theirs = answer.values.map(as_go_has_them);
        if ours.as_ref().ok() != theirs.as_ref() {
            let asked = serde_json::to_string(question).unwrap();
            different.push(format!("{asked}\n  ours {ours:?}\n  Flux's {theirs:?} {}", answer.error));
        }
    }
    oracle::assert_none_differs(different, CASES);
}

/// Values that are mostly numbers, at places that `--set` names.
fn numbers() -> impl Strategy<Value = Question> {
    let text = || {
        texts(&["1000000", "5", "-12345678901", "{1,2000000}", "0", "1.5", "1e6", "true", "null", "x", "007"])
    };
    let path = || texts(&["a", "a.b", "own", "l[1]", "l[0].x", "d\\\\.e", "c.d[2]"]);
    let reference = (texts(&["set", "text"]), path(), prop::bool::weighted(0.2)).prop_map(|(key, path, literal)| {
        json!({"kind": "ConfigMap", "name": "one", "valuesKey": key, "targetPath": path, "literal": literal})
    });
    let from = prop::collection::vec(reference, 0..4);
    (text(), text(), from, maps(trees())).prop_map(|(set, text, from, values)| {
        let data = [("set", set), ("text", text)].map(|(key, value)| (key.to_owned(), value));
        let maps = BTreeMap::from([("one".to_owned(), data.into())]);
        let sources = Sources::from([("ConfigMap".to_owned(), maps)]);
        Question { sources, from, values, chart: String::new() }
    })
}

/// Numbers, strings, lists and nulls are to the templates of a chart what they are under Flux: the
/// real Helm, asked as the bootstrap asks it, against Helm's library as helm-controller uses it.
#[tokio::test(flavor = "multi_thread")]
async fn templates_see_what_they_see_under_flux() {
    let mut runner = TestRunner::deterministic();
    let chart = common::root().join("tests/fixtures/charts/seen").display().to_string();
    let questions: Vec<Question> =
        std::iter::repeat_with(|| numbers().new_tree(&mut runner).unwrap().current())
            .filter(|question| ours(question).is_ok())
            .take(RENDERED)
            .map(|question| Question { chart: chart.clone(), ..question })
            .collect();
    let answers: Vec<Answer> = oracle::ask("values", &questions);
    let charts = Charts::serve();
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let helm = Helm::find(&environment).await.unwrap();
    let mut different = Vec::new();
    let mut integers_seen = 0;
    for (question, answer) in questions.iter().zip(answers) {
        let (values, integers) = ours(question).unwrap();
        integers_seen += integers.len();
        let request = HelmRequest {
            release: "seen".into(),
            namespace: "default".into(),
            chart: ChartSource::Repository {
                url: charts.url.clone(),
                chart: "seen".into(),
                version: "1.0.0".into(),
            },
            access: ChartAccess::default(),
            values,
            integers,
            post_rendering: PostRendering::default(),
            skip_crds: false,
            flags: Vec::new(),
            is_tracked: false,
        };
        let ours = helm.template(&request).await.map(|objects| objects[0].data["data"].clone());
        let theirs: Option<Value> =
            bootstrapper::yaml::from_str(&answer.seen, std::path::Path::new("seen")).ok();
        let theirs = theirs.map(|object: Value| object["data"].clone());
        if ours.as_ref().ok() != theirs.as_ref() {
            let asked = serde_json::to_string(question).unwrap();
            different.push(format!("{asked}\n  ours {ours:?}\n  Flux's {}", answer.seen));
        }
    }
    assert!(integers_seen > RENDERED / 10, "{integers_seen} integers");
    oracle::assert_none_differs(different, RENDERED);
}
