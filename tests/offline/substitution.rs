//! Substitution against the original: `fluxcd/pkg/envsubst` answers the same questions.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;

use bootstrapper::gitops::substitute;
use common::oracle;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Answer {
    text: String,
    error: bool,
}

/// Texts in the neighbourhood of the dialect: mostly well formed, sometimes not.
fn texts() -> impl Strategy<Value = String> {
    let name =
        prop_oneof![Just("A"), Just("B"), Just("EMPTY"), Just("UNSET"), Just("P"), Just("1A"), Just("")];
    let word = prop_oneof![
        "[a-c/.*?-]{0,4}".prop_map(String::from),
        Just("${A}".to_owned()),
        Just("${UNSET:-x}".to_owned()),
        Just("$$".to_owned()),
        Just("\\/".to_owned()),
        Just(" b ".to_owned()),
    ];
    let operator = prop_oneof![
        Just(""),
        Just(":-"),
        Just(":="),
        Just("="),
        Just(":?"),
        Just(":+"),
        Just("-"),
        Just("?"),
        Just("^"),
        Just("^^"),
        Just(","),
        Just(",,"),
        Just("#"),
        Just("##"),
        Just("%"),
        Just("%%"),
        Just("/"),
        Just("//"),
        Just("/#"),
        Just("/%"),
        Just(":"),
    ];
    let number =
        prop_oneof![Just("0"), Just("1"), Just("3"), Just("9"), Just("-1"), Just(" -2"), Just("x"), Just("")];
    let expression = prop_oneof![
        6 => (name.clone(), operator, word.clone(), prop::option::of(word.clone())).prop_map(|(name, operator, word, second)| {
            let second = second.map(|second| format!("/{second}")).unwrap_or_default();
            format!("${{{name}{operator}{word}{second}}}")
        }),
        2 => (name.clone(), number.clone(), prop::option::of(number)).prop_map(|(name, from, length)| {
            let length = length.map(|length| format!(":{length}")).unwrap_or_default();
            format!("${{{name}:{from}{length}}}")
        }),
        1 => name.prop_map(|name| format!("${{#{name}}}")),
        1 => Just("${".to_owned()),
        1 => Just("$$A $A $(A) }".to_owned()),
    ];
    (word.clone(), expression, word)
        .prop_map(|(before, expression, after)| format!("{before}{expression}{after}"))
}

#[test]
fn the_same_as_flux() {
    let variables: BTreeMap<String, String> =
        [("A", "alpha"), ("B", "Beta b"), ("EMPTY", ""), ("P", "/a/b/c.tar.gz"), ("1A", "one")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let mut runner = TestRunner::deterministic();
    let texts: Vec<String> = (0..20_000).map(|_| texts().new_tree(&mut runner).unwrap().current()).collect();
    let answers: Vec<Answer> = oracle::ask("envsubst", &json!({"texts": texts, "variables": variables}));
    let mut different = Vec::new();
    for (text, answer) in texts.iter().zip(&answers) {
        let ours = substitute(text, &variables);
        if ours.is_err() != answer.error || ours.as_ref().is_ok_and(|ours| *ours != answer.text) {
            different
                .push(format!("{text:?}: ours {ours:?}, Flux's {:?} (error: {})", answer.text, answer.error));
        }
    }
    oracle::assert_none_differs(different, texts.len());
}
