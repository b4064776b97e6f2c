//! The markers, and how they are found in whatever encoding.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// By the name of its source. What servers, programs and charts like to quote is in it.
pub(super) const MARKERS: [(&str, &str); 12] = [
    ("op", "Vq7x2Lm9Zk \"op/4+r\\1e§"),
    ("env", "Hs4k8Tq1Wn \"env/7+c\\2d§"),
    ("another env", "Bd9f3Rz6Yp \"env/5+a\\8b§"),
    ("cluster", "Kc2m7Xv5Jt \"live/9+e\\3f§"),
    ("substitution", "Gn6w1Pb8Ls-substituted"),
    ("values", "Fz3q9Dh4Mk-values/2+b"),
    ("registry", "Tj8v5Cx2Rw-registry/6+d"),
    ("address", "Wy1p7Ns4Qg-address"),
    ("kubeconfig", "Lr5t3Kz9Hb-token"),
    ("plugin", "Qe4x8Vf6Jn-plugin"),
    ("op session", "Zm2d6Gk1Sc-session"),
    ("cloud", "Px9b4Wt7Fy-cloud"),
];

/// The key that decrypts; its value is made for the test.
pub(super) const AGE: &str = "age key";

/// So short that all there are can be tried.
pub(super) const PIN: (&str, &str) = ("pin", "804173");

pub(super) fn marker(name: &str) -> &'static str {
    MARKERS.iter().find(|(of, _)| *of == name).unwrap().1
}

/// A value as servers, charts, programs and files may repeat it.
pub(super) fn forms(value: &str) -> BTreeSet<String> {
    let json = serde_json::to_string(value).unwrap();
    let twice = serde_json::to_string(&json).unwrap();
    let mut percent = String::new();
    let mut hex = String::new();
    for byte in value.bytes() {
        let _ = write!(percent, "%{byte:02X}");
        let _ = write!(hex, "{byte:02x}");
    }
    let inner = |text: &str, ends: usize| text[ends..text.len() - ends].to_owned();
    let mut forms = BTreeSet::from([
        value.to_owned(),
        value.chars().take(10).collect(),
        inner(&json, 1),
        inner(&twice, 3),
        percent.to_lowercase(),
        percent,
        hex.to_uppercase(),
        hex,
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        STANDARD.encode(STANDARD.encode(value)).trim_end_matches('=').to_owned(),
    ]);
    for before in 0..3 {
        for encoded in
            [STANDARD.encode(" ".repeat(before) + value), URL_SAFE.encode(" ".repeat(before) + value)]
        {
            // What depends on nothing but the value.
            forms.insert(encoded[4 * usize::from(before > 0)..encoded.len() - 4].to_owned());
        }
    }
    forms
}

/// What to look for, by the name of the source.
pub(super) struct Needles {
    of_markers: Vec<(String, BTreeSet<String>)>,
}

impl Needles {
    pub(super) fn new(age: &str) -> Self {
        let all = MARKERS.into_iter().chain([(AGE, age)]);
        Self { of_markers: all.map(|(name, value)| (name.to_owned(), forms(value))).collect() }
    }

    /// The sources of which something is in a text.
    pub(super) fn within(&self, text: &str) -> BTreeSet<&str> {
        let has = |forms: &BTreeSet<String>| forms.iter().any(|form| text.contains(form));
        let mut found: BTreeSet<&str> =
            self.of_markers.iter().filter(|(_, forms)| has(forms)).map(|(name, _)| name.as_str()).collect();
        let is_word = |at: usize| {
            let around = [text[..at].chars().next_back(), text[at + PIN.1.len()..].chars().next()];
            // Digits of a time are none.
            around.into_iter().flatten().all(|one| !one.is_alphanumeric() && one != '.')
        };
        if text.match_indices(PIN.1).any(|(at, _)| is_word(at)) || text.contains(&STANDARD.encode(PIN.1)) {
            found.insert(PIN.0);
        }
        found
    }
}
