//! Fuzzes parsers with valid texts and objects that are mutated at random. The mutations depend only on a
//! seed, so failures are reproducible.
//!
//! `FUZZ=20000 cargo test --lib anything` runs more mutations than the test suite does.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::object::Object;

/// The number of mutations per parser in the test suite.
const USUAL: u64 = 400;

/// A parser that takes longer has no limits.
const MOST_MEMORY_KIB: u64 = 4 * 1024 * 1024;

/// Fragments that parsers often handle badly.
const WORDS: [&str; 22] = [
    "null",
    "~",
    "{}",
    "[]",
    "-1",
    "1e999",
    "18446744073709551616",
    "0x",
    "true",
    "\u{0}",
    "\u{feff}",
    "ß",
    "${",
    "${a:=",
    "}",
    "&a [*a]",
    "!!binary x",
    "---\n",
    "\t",
    ": ",
    "%",
    "\"",
];

/// Parses all texts mutated from `seeds`, as bytes.
pub fn texts(seeds: &[&str], read: impl Fn(&str)) {
    let mut chance = Chance::default();
    for _ in 0..rounds() {
        let mut bytes = chance.one_of(seeds).as_bytes().to_vec();
        for _ in 0..=chance.below(4) {
            change_bytes(&mut bytes, &mut chance);
        }
        read(&String::from_utf8_lossy(&bytes));
    }
    for deep in ["[", "{\"a\":", "- ", "${a:=", "&a [*a, "] {
        read(&deep.repeat(20_000));
    }
    // Every line refers twice to the previous one.
    let lines =
        (1..40).map(|line| [format!("a{line}: &a{line} "), format!("[*a{0}, *a{0}]\n", line - 1)].concat());
    let bomb: String = lines.collect();
    read(&format!("a0: &a0 [x]\n{bomb}"));
    check_memory(rounds());
}

/// Evaluates all objects mutated from `seeds`, with changed fields.
pub fn objects(seeds: &[Value], judge: impl Fn(&Object)) {
    let mut chance = Chance::default();
    for _ in 0..rounds() {
        let mut value = chance.one_of(seeds).clone();
        for _ in 0..=chance.below(4) {
            change_value(&mut value, &mut chance);
        }
        // Skips objects without valid metadata: the API server never returns them.
        if let Ok(object) = serde_json::from_value(value) {
            judge(&object);
        }
    }
    check_memory(rounds());
}

fn rounds() -> u64 {
    std::env::var("FUZZ").ok().and_then(|asked| asked.parse().ok()).unwrap_or(USUAL)
}

#[allow(clippy::print_stderr, reason = "counts, for whoever asks")]
fn check_memory(rounds: u64) {
    static ALL: AtomicU64 = AtomicU64::new(0);
    let all = ALL.fetch_add(rounds, Ordering::Relaxed) + rounds;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or_default();
    eprintln!("{all} inputs so far, {} MiB at most", peak / 1024);
    assert!(peak < MOST_MEMORY_KIB, "{peak} KiB");
}

fn change_bytes(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let to = (at + chance.below(24)).min(bytes.len());
    match chance.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => bytes.splice(at..at, chance.one_of(&WORDS).bytes()).for_each(drop),
        3 => bytes.splice(at..to, chance.one_of(&WORDS).bytes()).for_each(drop),
        4 => bytes.extend_from_within(at..to),
        _ => {
            let byte = u8::try_from(chance.below(256)).unwrap_or_default();
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
        }
    }
}

/// Descends into a random element, and mutates it.
fn change_value(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(fields) if !fields.is_empty() && chance.below(5) > 0 => {
            let at = chance.below(fields.len());
            let Some(name) = fields.keys().nth(at).cloned() else { return };
            if chance.below(12) == 0 {
                fields.remove(&name);
            } else if let Some(field) = fields.get_mut(&name) {
                change_value(field, chance);
            }
        }
        Value::Array(items) if !items.is_empty() && chance.below(5) > 0 => {
            let at = chance.below(items.len());
            if chance.below(6) == 0 {
                items.push(items[at].clone());
            } else {
                change_value(&mut items[at], chance);
            }
        }
        other => *other = odd_value(chance),
    }
}

fn odd_value(chance: &mut Chance) -> Value {
    match chance.below(9) {
        0 => Value::Null,
        1 => json!(i64::MIN),
        2 => json!(u64::MAX),
        3 => json!(0.1),
        4 => json!([]),
        5 => json!({}),
        6 => json!(true),
        7 => json!("9".repeat(400)),
        _ => json!(chance.one_of(&WORDS)),
    }
}

/// A deterministic random number generator: splitmix64.
#[derive(Default)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap_or_default()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
