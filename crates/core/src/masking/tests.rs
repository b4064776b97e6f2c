//! No value survives, whatever the value, the surrounding text and the encoding.

#![allow(clippy::format_collect, reason = "tests: short texts")]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::matcher::{DEPTH, Matcher};
use super::{MASK, mark_object, masked, parts};

fn matcher(values: &[&str]) -> Matcher {
    let all: BTreeSet<String> = values.iter().flat_map(|value| parts::of(value)).collect();
    Matcher::of(&all)
}

const SECRET: &str = "s\"w0rd'f/i\\sh+ü §%&\u{7}x";

fn percent(value: &str, plain: bool) -> String {
    let is_plain = |byte: u8| plain && byte.is_ascii_alphanumeric();
    value
        .bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn hex(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn go_quoted(value: &str) -> String {
    let escaped = |one: char| match one {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        one if one.is_ascii_graphic() || one == ' ' => one.to_string(),
        one if u32::from(one) < 0x80 => format!("\\x{:02x}", u32::from(one)),
        one if u32::from(one) < 0x1_0000 => format!("\\u{:04x}", u32::from(one)),
        one => format!("\\U{:08x}", u32::from(one)),
    };
    format!("\"{}\"", value.chars().map(escaped).collect::<String>())
}

fn json_ascii(value: &str) -> String {
    let all: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{all}\"")
}

fn octal(value: &str) -> String {
    value.bytes().map(|byte| format!("\\{byte:03o}")).collect()
}

fn folded(text: &str, width: usize, by: &str) -> String {
    let bytes: Vec<&str> =
        text.as_bytes().chunks(width).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    bytes.join(by)
}

fn json(value: &str) -> String {
    serde_json::to_string(value).unwrap()
}

/// Self-contained encodings of a value.
fn encodings(value: &str) -> Vec<String> {
    let base64 = STANDARD.encode(value);
    vec![
        value.to_owned(),
        value.to_ascii_uppercase(),
        json(value),
        json(&json(value)),
        json(&json(&json(value))),
        json_ascii(value),
        go_quoted(value),
        format!("{value:?}"),
        format!("{:?}", value.as_bytes()),
        format!("{:?}", value.as_bytes()).replace(',', ""),
        octal(value),
        format!("'{}'", value.replace('\'', "''")),
        value
            .chars()
            .flat_map(|one| ['\\', one])
            .filter(|_| value.chars().all(|c| !c.is_alphanumeric()))
            .collect(),
        percent(value, false),
        percent(value, true),
        percent(&percent(value, true), true),
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        base64.clone(),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE.encode(value),
        URL_SAFE_NO_PAD.encode(value),
        STANDARD.encode(&base64),
        STANDARD.encode(format!("{{\"data\":{{\"x\":\"{base64}\"}}}}")),
        percent(&base64, true),
        STANDARD.encode(json(value)),
        json(&format!("{{\"x\": {}}}", json(&base64))),
        hex(value),
        hex(value).to_uppercase(),
        hex(&base64),
        value.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;"),
    ]
}

/// Marking public ciphertext would exclude every encrypted build from the cache.
#[test]
fn what_sops_has_encrypted_is_no_value() {
    let encrypted = "ENC[AES256_GCM,data:dG9wLXNlY3JldC0x,iv:AAAA,tag:AAAA,type:str]";
    let file = STANDARD
        .encode(format!("{{\"data\": \"{encrypted}\", \"sops\": {{\"mac\": \"of-an-encrypted-file\"}}}}"));
    super::mark_object(&serde_json::json!({"kind": "Secret", "data": {"a": file}, "stringData": {
        "b": encrypted, "c": "beside-what-is-encrypted"}}));
    let shown = format!("{encrypted} of-an-encrypted-file beside-what-is-encrypted");
    assert_eq!(super::masked(&shown), format!("{encrypted} of-an-encrypted-file ***"));
}

#[test]
fn no_encoding_of_a_value_is_left() {
    let matcher = matcher(&[SECRET]);
    for encoded in encodings(SECRET).into_iter().filter(|encoded| !encoded.is_empty()) {
        for (before, after) in [("", ""), ("x: ", " y"), ("(", ")"), ("=", "&z"), ("…", "…"), ("\n", "\n")]
        {
            let shown = matcher.masked(&format!("{before}{encoded}{after}"), DEPTH).into_owned();
            assert!(shown.contains(MASK), "{encoded} → {shown}");
            let half: String = encoded.chars().skip(encoded.chars().count() / 2).collect();
            assert!(!shown.contains("w0rd") && !shown.contains(&half), "{encoded} → {shown}");
        }
    }
}

#[test]
fn base64_is_found_at_every_alignment_and_across_folded_lines() {
    let value = "correct horse battery staple, and then some more of the same kind of words, to fill lines";
    let matcher = matcher(&[value]);
    for pad in 0..5 {
        for engine in [&STANDARD, &URL_SAFE] {
            let around = format!("{}{value}{}", "a".repeat(pad), "z".repeat(pad));
            let encoded = engine.encode(around);
            for text in [
                encoded.clone(),
                folded(&encoded, 76, "\n"),
                folded(&encoded, 64, "\r\n    "),
                json(&folded(&encoded, 76, "\n")),
            ] {
                let shown = matcher.masked(&text, DEPTH).into_owned();
                assert!(shown.contains(MASK) && shown.len() < 30, "{text} → {shown}");
            }
        }
    }
}

#[test]
fn a_value_that_was_cut_off_is_found_by_what_is_left() {
    let matcher = matcher(&["hunter2-swordfish-4711", "https://host.example/hook/x"]);
    for (text, expected) in [
        ("it said hunter2-sw", "it said ***"),
        ("hunter2-sw\nthen", "***\nthen"),
        ("hunter2-sw...", "***..."),
        ("hunter2-sw…", "***…"),
        ("value \"hunter2-sw\" is", "value \"***\" is"),
        ("hunter2-sw [truncated]", "*** [truncated]"),
        ("hunter2-swordfish (and", "*** (and"),
        ("…rdfish-4711 x", "…*** x"),
        ("...rdfish-4711", "...***"),
        ("dfish-4711\nx", "***\nx"),
        ("aHVudGVyMi1zd29y", "***"),
        // Texts that share only the beginning.
        ("hunter2-swamp", "hunter2-swamp"),
        ("https://host.example/other", "https://host.example/other"),
        ("hunter2", "hunter2"),
    ] {
        assert_eq!(matcher.masked(text, DEPTH), expected, "{text}");
    }
}

#[test]
fn a_short_value_is_found_as_a_whole_word_only() {
    let matcher = matcher(&["4711", "1", "true", "abc", "", "  ", "####"]);
    for (text, expected) in [
        ("the pin 4711 is wrong", "the pin *** is wrong"),
        ("pin=4711&x", "pin=***&x"),
        ("\"4711\"", "\"***\""),
        ("NDcxMQ==", "***=="),
        ("{\"pin\":\"NDcxMQ==\"}", "{\"pin\":\"***==\"}"),
        ("34373131", "***"),
        ("47110 and 14711", "47110 and 14711"),
        ("1 of 1, true, abc, ####", "1 of 1, true, abc, ####"),
    ] {
        assert_eq!(matcher.masked(text, DEPTH), expected, "{text}");
    }
}

#[test]
fn text_joined_by_a_mask_is_masked_again() {
    let matcher = matcher(&["abcdefgh", "left***right"]);
    assert_eq!(matcher.masked("leftabcdefghright", DEPTH), MASK);
}

#[test]
fn a_long_value_needs_little_and_is_masked_whole() {
    let value: String =
        (0..10_000_u64).map(|number| format!("{:x}", number * 7_919_317 % 2_147_483_647)).collect();
    let matcher = matcher(&[&value]);
    assert_eq!(matcher.masked(&format!("a {value} b"), DEPTH), "a *** b");
    assert_eq!(matcher.masked(&format!("a {}…", &value[..5000]), DEPTH), "a ***");
    assert_eq!(matcher.masked(&format!("…{} b", &value[20_000..]), DEPTH), "*** b");
}

#[test]
fn a_text_that_would_take_for_ever_is_withheld() {
    let value = format!("{}b", "a".repeat(900));
    let more: Vec<String> = (0..500).map(|number| format!("{}{number}", "a".repeat(900))).collect();
    let mut values: Vec<&str> = more.iter().map(String::as_str).collect();
    values.push(&value);
    let shown = matcher(&values).masked(&"a".repeat(1 << 20), DEPTH).into_owned();
    assert!(shown.contains("withheld"), "{}", shown.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_value_and_the_text_around_it_no_encoding_of_it_survives(
        value in "[a-zA-Z0-9 \"'\\\\/+=%&<>§ü\u{1F600}\t_.:@-]{8,60}",
        before in "[a-z0-9 :\"=,(\n]{0,20}",
        after in "[a-z0-9 :\"=,)\n]{0,20}",
        which in 0_usize..30,
    ) {
        let value = value.trim();
        let marked = parts::of(value);
        prop_assume!(marked.contains(value) && value.chars().count() >= 8);
        let encoded = encodings(value).swap_remove(which);
        let core = encoded.trim_matches(['"', '\'', '=']);
        prop_assume!(core.len() >= 8);
        let matcher = Matcher::of(&marked);
        // Separates the value from the text: the text before it must not become a part of an escape.
        let shown = matcher.masked(&format!("{before} {encoded} {after}"), DEPTH).into_owned();
        prop_assert!(shown.contains(MASK), "{encoded} → {shown}");
        prop_assert!(!shown.contains(value), "{encoded} → {shown}");
        prop_assert!(!shown.contains(core), "{encoded} → {shown}");
    }

    #[test]
    fn within_a_larger_base64_text_nothing_survives(
        value in "[a-zA-Z0-9§ü\"_-]{8,40}", before in ".{0,30}", after in ".{0,30}", url in any::<bool>(),
    ) {
        let marked = parts::of(&value);
        prop_assume!(marked.contains(&value));
        let engine = if url { URL_SAFE } else { STANDARD };
        let text = format!("x{} y", engine.encode(format!("{before}{value}{after}")));
        let shown = Matcher::of(&marked).masked(&text, DEPTH).into_owned();
        let decoded: Vec<u8> = shown.split(['*', ' ', 'x', '=']).flat_map(|run| URL_SAFE_NO_PAD.decode(run)).flatten().collect();
        prop_assert!(shown.contains(MASK), "{text} → {shown}");
        prop_assert!(!String::from_utf8_lossy(&decoded).contains(&value));
    }

    #[test]
    fn text_without_a_value_stays_as_it_is(text in "[a-z \n]{0,200}") {
        let matcher = matcher(&["HUNTER2-SWORDFISH", "4711", "Zz0123456789"]);
        prop_assert_eq!(matcher.masked(&text, DEPTH), text.as_str());
    }

    #[test]
    fn any_text_can_be_searched(text in any::<String>(), value in any::<String>()) {
        let _ = matcher(&[&value, "4711"]).masked(&text, DEPTH);
    }
}

#[test]
fn who_sold_the_flux_operator_is_no_secret() {
    let entitlement = |labels: serde_json::Value| serde_json::json!({"kind": "Secret", "metadata": {"labels": labels}, "data": {"vendor": STANDARD.encode("soldbysomebody")}});
    mark_object(&entitlement(serde_json::json!({"app.kubernetes.io/component": "entitlement"})));
    assert_eq!(masked("resourcesets.fluxcd.soldbysomebody.io"), "resourcesets.fluxcd.soldbysomebody.io");
    mark_object(&entitlement(serde_json::json!({})));
    assert_eq!(masked("soldbysomebody"), MASK);
}
