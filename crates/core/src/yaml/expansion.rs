//! The size of a YAML text with its aliases expanded. A few hundred bytes can expand to more than any memory
//! holds, merge keys multiply it, and kustomize compares each key of a map with every other. Such a text is
//! rejected before anything that expands aliases parses it.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, Parser};

/// The maximum size that aliases may add. Hand-written manifests are far below it.
const ADDED: u64 = 200_000;

/// The maximum total size: the largest CRD bundles are a tenth of it.
const WRITTEN: u64 = 8_000_000;

/// The maximum depth.
const DEEPEST: usize = 128;

/// The maximum number of keys in a single map. Twice as many take kustomize 16 s instead of 3.
const KEYS: u64 = 20_000;

/// The maximum number of key pairs in all maps together. A CRD bundle of 5 MB has a hundredth of it.
const PAIRS: u64 = KEYS * KEYS;

const TOO_DEEP: &str = "it is nested too deeply";

/// Which limit a text exceeds, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The limit.
    pub what: &'static str,
}

/// The size of a text within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// Top-level maps, or maps in top-level `items`: the objects of a manifest.
    pub objects: usize,
}

/// A node that is not complete yet.
struct Open {
    anchor: usize,
    /// Its size so far.
    weight: u64,
    is_map: bool,
    /// The number of keys and values, or items, so far.
    children: u64,
    /// Whether the last scalar is `items`.
    names_items: bool,
}

/// Where a text exceeds a limit; none if it does not.
pub fn excess(text: &str) -> Option<Excess> {
    measure(text).err()
}

/// The size of a text, or where it exceeds a limit. Of invalid YAML, the size of the part before the error.
pub fn measure(text: &str) -> Result<Measure, Excess> {
    let mut anchors: HashMap<usize, u64> = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut measure = Measure::default();
    let (mut added, mut written, mut pairs) = (0_u64, 0_u64, 0_u64);
    let refused_at = |place: &Marker, what| Err(Excess { line: place.line(), column: place.col() + 1, what });
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(read) => read,
            // The parser has its own depth limit, and reports it before the first list.
            Err(error) if *error.kind() == ErrorKind::RecursionLimitExceeded => {
                return refused_at(error.marker(), TOO_DEEP);
            }
            Err(_) => return Ok(measure),
        };
        let refused = |what| refused_at(&span.start, what);
        let (anchor, weight) = match event {
            Event::Scalar(text, _, anchor, _) => {
                if let Some(parent) = open.last_mut() {
                    parent.names_items = text == "items";
                }
                (anchor, 1 + text.len() as u64 / 32)
            }
            Event::Alias(anchor) => {
                // An anchor that is still open contains the alias itself.
                let Some(weight) = anchors.get(&anchor) else {
                    return refused("an alias refers to a node that contains it");
                };
                added = added.saturating_add(*weight);
                if added > ADDED {
                    return refused("its aliases expand beyond the limit");
                }
                (0, *weight)
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                if open.len() >= DEEPEST {
                    return refused(TOO_DEEP);
                }
                let is_map = matches!(event, Event::MappingStart(..));
                let is_item = matches!(&open[..], [list, items] if list.names_items && !items.is_map);
                measure.objects += usize::from(is_map && (open.is_empty() || is_item));
                open.push(Open { anchor, weight: 1, is_map, children: 0, names_items: false });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open { anchor, weight, is_map, children, .. }) => {
                    let keys = if is_map { children / 2 } else { 0 };
                    pairs = pairs.saturating_add(keys.saturating_mul(keys));
                    (anchor, weight)
                }
                None => continue,
            },
            _ => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, weight);
        }
        match open.last_mut() {
            Some(parent) => {
                parent.weight = parent.weight.saturating_add(weight);
                parent.children += 1;
            }
            None => written = written.saturating_add(weight),
        }
        if written > WRITTEN || open.last().is_some_and(|parent| parent.weight > WRITTEN) {
            return refused("it is too long");
        }
        if pairs > PAIRS || open.last().is_some_and(|parent| parent.is_map && parent.children / 2 > KEYS) {
            return refused("its maps have too many keys (kustomize compares all pairs)");
        }
    }
    Ok(measure)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_aliases_stand_for_is_counted() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} [{}]", [before.as_str(); 9].join(", ")).unwrap();
        }
        assert!(bomb.len() < 500);
        let found = excess(&bomb).unwrap();
        assert_eq!((found.line, found.what), (6, "its aliases expand beyond the limit"));
        let merges =
            bomb.replace("[x, x, x, x, x, x, x, x, x]", "{x: x}").replace("&a", "&b").replace("*a", "*b");
        let merges: String = merges
            .lines()
            .map(|line| match line.split_once(" [") {
                Some((head, rest)) => format!("{head} {{<<: [{rest}, k: v}}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        assert!(excess(&merges).is_some(), "{merges}");
        assert_eq!(excess("a: &a [*a]\n").unwrap().what, "an alias refers to a node that contains it");
        assert_eq!(excess(&"[".repeat(1000)).unwrap().what, "it is nested too deeply");
    }

    #[test]
    fn ordinary_aliases_pass() {
        let text =
            "base: &base {a: 1, b: [1, 2]}\none: {<<: *base, c: 3}\ntwo: {<<: *base}\n---\nx: &x y\nz: *x\n";
        assert_eq!(excess(text), None);
        assert_eq!(excess("a: [\n"), None);
    }

    #[test]
    fn keys_are_counted_where_they_are_compared() {
        let what = "its maps have too many keys (kustomize compares all pairs)";
        let keys = |count: usize| (0..count).map(|at| format!("  k{at}: v\n")).collect::<Vec<_>>().concat();
        let map = |name: &str, count: usize| format!("{name}:\n{}", keys(count));
        assert_eq!(excess(&map("data", 19_999)), None);
        let found = excess(&map("data", 20_002)).unwrap();
        assert_eq!((found.line, found.what), (20_002, what));
        let maps = map("a", 15_000) + &map("b", 15_000);
        assert_eq!(excess(&maps).unwrap().what, what);
        let many_small: String = (0..5000).map(|at| map(&format!("m{at}"), 10)).collect();
        assert_eq!(excess(&many_small), None);
        assert_eq!(excess(&format!("[{}]", "x, ".repeat(50_000))), None);
    }

    #[test]
    fn objects_are_documents_and_items() {
        let table = [
            ("", 0),
            ("text\n", 0),
            ("a: {b: c}\n---\nd: e\n---\n", 2),
            ("kind: List\nitems: [{a: b}, {a: {b: [{c: d}]}}]\n", 3),
            ("kind: Role\nrules: [{a: b}, {a: b}]\n", 1),
            ("items: {a: {b: c}}\n", 1),
        ];
        for (text, objects) in table {
            assert_eq!(measure(text), Ok(Measure { objects }), "{text}");
        }
    }

    #[test]
    fn anything_comes_to_an_end() {
        crate::fuzzing::texts(&["a: &a [x, {<<: *a}]\nb: *a\n", "- &b c\n- *b\n"], |text| {
            let _ = excess(text);
        });
    }
}
