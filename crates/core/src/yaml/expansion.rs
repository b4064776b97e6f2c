//! How much a YAML text says once its aliases stand for what they name. A few hundred bytes can say
//! more than any memory holds, and merge keys copy it besides: such a text is refused before anything
//! reads it that follows aliases.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, Parser};

/// How much aliases may add. Nobody who writes manifests comes near it.
const ADDED: u64 = 200_000;

/// How much a text may say in all: some CRD bundles have a tenth of it.
const WRITTEN: u64 = 8_000_000;

/// How deep it may go.
const DEEPEST: usize = 128;

const TOO_DEEP: &str = "it is nested too deep";

/// What is too much about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What it is.
    pub what: &'static str,
}

/// A node that is not read to its end: its anchor, and how much it says so far.
struct Open {
    anchor: usize,
    weight: u64,
}

/// Where a text says too much; none if it does not. A text that is no YAML says as much as can be read
/// of it.
pub fn excess(text: &str) -> Option<Excess> {
    let mut anchors: HashMap<usize, u64> = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    let (mut added, mut written) = (0_u64, 0_u64);
    let refused_at =
        |place: &Marker, what| Some(Excess { line: place.line(), column: place.col() + 1, what });
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(read) => read,
            // The parser has a bound of its own, and comes to it before it tells of the first list.
            Err(error) if *error.kind() == ErrorKind::RecursionLimitExceeded => {
                return refused_at(error.marker(), TOO_DEEP);
            }
            Err(_) => return None,
        };
        let refused = |what| refused_at(&span.start, what);
        let (anchor, weight) = match event {
            Event::Scalar(text, _, anchor, _) => (anchor, 1 + text.len() as u64 / 32),
            Event::Alias(anchor) => {
                // An anchor that is not closed yet holds the alias itself.
                let Some(weight) = anchors.get(&anchor) else {
                    return refused("an alias stands for what it is itself a part of");
                };
                added = added.saturating_add(*weight);
                if added > ADDED {
                    return refused("its aliases stand for more than can be read");
                }
                (0, *weight)
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                if open.len() >= DEEPEST {
                    return refused(TOO_DEEP);
                }
                open.push(Open { anchor, weight: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open { anchor, weight }) => (anchor, weight),
                None => continue,
            },
            _ => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, weight);
        }
        match open.last_mut() {
            Some(parent) => parent.weight = parent.weight.saturating_add(weight),
            None => written = written.saturating_add(weight),
        }
        if written > WRITTEN || open.last().is_some_and(|parent| parent.weight > WRITTEN) {
            return refused("it is longer than can be read");
        }
    }
    None
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
        assert_eq!((found.line, found.what), (6, "its aliases stand for more than can be read"));
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
        assert_eq!(excess("a: &a [*a]\n").unwrap().what, "an alias stands for what it is itself a part of");
        assert_eq!(excess(&"[".repeat(1000)).unwrap().what, "it is nested too deep");
    }

    #[test]
    fn ordinary_aliases_pass() {
        let text =
            "base: &base {a: 1, b: [1, 2]}\none: {<<: *base, c: 3}\ntwo: {<<: *base}\n---\nx: &x y\nz: *x\n";
        assert_eq!(excess(text), None);
        assert_eq!(excess("a: [\n"), None);
    }

    #[test]
    fn anything_comes_to_an_end() {
        crate::fuzzing::texts(&["a: &a [x, {<<: *a}]\nb: *a\n", "- &b c\n- *b\n"], |text| {
            let _ = excess(text);
        });
    }
}
