//! Texts that are hard to read, in every place where YAML is read.

use crate::input::{APP, CONFIG, Input, MANIFEST, PARTS, SETTINGS, TASKS};

const PLACES: [&str; 6] = [APP, MANIFEST, CONFIG, TASKS, SETTINGS, PARTS];

/// Ten lines that stand for ten thousand millions.
fn bomb() -> String {
    let line = |at: usize| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(", "));
    format!("a0: &a0 [x]\n{}", (1..11).map(line).collect::<String>())
}

fn merges() -> String {
    let line = |at: usize| format!("m{at}: &m{at}\n  <<: [*m{0}, *m{0}]\n  k{at}: v\n", at - 1);
    format!("m0: &m0 {{k: v}}\n{}", (1..30).map(line).collect::<String>())
}

fn texts() -> Vec<(&'static str, String)> {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n";
    vec![
        ("aliases that multiply", format!("{head}data:\n{}", indented(&bomb()))),
        ("aliases that multiply at the top", bomb()),
        ("merges that multiply", format!("{head}{}", merges())),
        ("an alias of itself", "a: &a [*a]\n".into()),
        ("a merge of itself", "a: &a\n  <<: *a\n".into()),
        ("deep lists", "[".repeat(50_000)),
        ("deep maps", "{a: ".repeat(50_000)),
        ("deep blocks", (0..2000).map(|at| format!("{}a:\n", " ".repeat(at))).collect()),
        ("many documents", "---\na: b\n".repeat(50_000)),
        ("many keys", (0..100_000).map(|at| format!("k{at}: v\n")).collect()),
        ("many objects", (0..20_000).map(|at| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x{at}}}\n")).collect()),
        ("many objects in a list", format!("apiVersion: v1\nkind: List\nitems:\n{}", (0..20_000).map(|at| format!("- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: x{at}}}}}\n")).collect::<String>())),
        ("many generators", format!("configMapGenerator:\n{}", (0..20_000).map(|at| format!("- {{name: x{at}, literals: [a=b]}}\n")).collect::<String>())),
        ("many maps of many keys", (0..20).map(|at| format!("m{at}:\n{}", (0..10_000).map(|at| format!("  k{at}: v\n")).collect::<String>())).collect()),
        ("the same key", "a: b\n".repeat(20_000)),
        ("a tag that makes objects", "!!python/object/apply:os.system [touch x]\n".into()),
        ("an unknown tag", "!x {a: b}\n".into()),
        ("binary", "!!binary |\n  AAAA\n".into()),
        ("a huge number", format!("replicas: {}\n", "9".repeat(10_000))),
        ("a huge exponent", "a: 1e999999999\n".into()),
        ("only an anchor", "&a\n".into()),
        ("a directive", "%YAML 9.9\n---\na: b\n".into()),
        ("many directives", "%TAG ! x\n".repeat(10_000)),
        ("a byte order mark", "\u{feff}a: b\n".into()),
        ("control characters", "a: \"\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}b\"\n".into()),
        ("control characters in a key", "\"\u{1b}[31m\u{9b}x\": b\n".into()),
        ("escapes in a name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"x\\e[2J\\r\\n::error::owned\", namespace: \"\\u202edefault\"}\n".into()),
        ("escapes in a kind", "apiVersion: \"v1\\e[2J\"\nkind: \"Config\\x9bMap\"\nmetadata: {name: x}\n".into()),
        ("a list where a map is meant", "[a, b, c]\n".into()),
        ("a number", "42\n".into()),
        ("nothing", String::new()),
        ("only comments", "# x\n".repeat(100_000)),
        ("a long string", format!("a: {}\n", "x".repeat(2_000_000))),
        ("a list of lists", format!("apiVersion: v1\nkind: List\nitems: [{}]\n", "{apiVersion: v1, kind: List, items: []}, ".repeat(2000))),
        ("a List within a List", format!("{}{}", "{apiVersion: v1, kind: List, items: [".repeat(300), "]}".repeat(300))),
        ("block scalars", "a: |\n".repeat(20_000)),
        ("quotes that do not end", "a: \"".repeat(10_000)),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

pub(crate) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for place in PLACES {
        for (what, text) in texts() {
            inputs.push(Input::text(format!("{what} in {place}"), place, text).verbs(&[&["validate"]]));
        }
    }
    inputs
}
