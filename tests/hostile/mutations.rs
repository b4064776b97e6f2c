//! Files that were well, with bytes changed: always the same ones.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::input::{BASE, Content, Input};

const COUNT: usize = 120;

const WORDS: [&str; 24] = [
    "null",
    "{}",
    "[]",
    "-1",
    "1e999",
    "0x",
    "true",
    "\u{feff}",
    "${",
    "${a:=",
    "}",
    "&a [*a]",
    "!!binary x",
    "\n---\n",
    "\t",
    ": ",
    "%",
    "\"",
    "'",
    "\u{202e}",
    "../",
    "/",
    "*",
    "|",
];

pub(crate) fn inputs() -> Vec<Input> {
    let mut runner = TestRunner::deterministic();
    let change =
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8);
    let changes = prop::collection::vec(change, 1..5);
    let which = any::<prop::sample::Index>();
    (0..COUNT)
        .map(|number| {
            let (which, changes) = (&which, &changes).new_tree(&mut runner).unwrap().current();
            let (place, text) = BASE[which.index(BASE.len())];
            let mut bytes = text.as_bytes().to_vec();
            for (at, word, length, kind) in changes {
                let at = at.index(bytes.len().max(1)).min(bytes.len());
                let end = (at + length.index(12)).min(bytes.len());
                let word = WORDS[word.index(WORDS.len())].bytes();
                match kind {
                    0 => drop(bytes.splice(at..at, word)),
                    1 => drop(bytes.splice(at..end, word)),
                    _ => drop(bytes.drain(at..end)),
                }
            }
            Input::new(format!("changed {number}: {place}"), place, Content::Bytes(bytes))
                .verbs(&[&["validate"]])
        })
        .collect()
}
