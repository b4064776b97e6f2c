//! The unknown values of an object: which variables, where they are used, and why.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::documents::Document;
use super::place::Files;
use super::sources::UNKNOWN;
use super::substitute;
use super::variables::Variables;
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::object::{Object, ObjectRef};

/// A variable without a known value, in an object.
#[derive(Debug, Clone)]
pub struct Gap {
    /// The variable.
    pub variable: String,
    /// Its location.
    pub at: Option<Location>,
    /// Why the bootstrap does not know it; none if only the cluster knows it.
    pub why: Option<Failure>,
}

/// The gaps of a document that uses these variables.
pub(super) fn gaps<'a>(
    document: &Document,
    used: impl IntoIterator<Item = &'a String>,
    variables: &Variables,
    files: &Files,
) -> Vec<Gap> {
    let unknown = used.into_iter().filter(|name| variables.value(name) == Some(UNKNOWN));
    unknown
        .map(|name| Gap {
            variable: name.clone(),
            at: document.written().and_then(|written| written.find(files, &format!("${{{name}"))),
            why: variables.why(name).cloned(),
        })
        .collect()
}

/// The failure to apply an object with gaps.
pub(super) fn refusal(id: &ObjectRef, gaps: &[Gap]) -> Option<Failure> {
    let first = gaps.first()?;
    let mut names: Vec<String> = gaps.iter().map(|gap| format!("${{{}}}", gap.variable)).collect();
    names.sort();
    names.dedup();
    let names = names.join(", ");
    let failure = match gaps.iter().find_map(|gap| gap.why.as_ref()) {
        Some(why) => {
            let what = format!("{id} uses {names}, whose value is unknown: none of its objects is applied");
            let failure = Failure::new(why.kind, what).because(&why.what);
            let failure = why.because.iter().fold(failure, Failure::because);
            why.hints.iter().fold(failure, Failure::hint)
        }
        None => Failure::input(format!("{id} uses {names}, whose value exists only in the cluster"))
            .because("it comes from a Secret that is encrypted in the repository, or created in the cluster after the bootstrap")
            .hint("declare that Secret under `secrets` in bootstrapper.yaml (`sops:` reads an encrypted file)"),
    };
    Some(match gaps.iter().find_map(|gap| gap.at.clone()).or_else(|| first.at.clone()) {
        Some(at) => failure.at(at),
        None => failure,
    })
}

/// The object as a source of values: a key whose text has a gap is known only in the cluster, regardless of the
/// rest of its text.
pub(super) fn as_source(object: &Object, plain: &Object, variables: Option<&Variables>, all: bool) -> Object {
    let mut object = object.clone();
    let is_secret = object.types.as_ref().is_some_and(|types| types.kind == "Secret");
    let has_gap = |text: &str| {
        variables.is_some_and(|variables| {
            let outcome = substitute::substitute_all(text, |name| variables.value(name));
            outcome.used.iter().any(|name| variables.value(name) == Some(UNKNOWN))
        })
    };
    for field in ["data", "stringData"] {
        let unknown =
            if is_secret && field == "data" { STANDARD.encode(UNKNOWN) } else { UNKNOWN.to_owned() };
        let Some(entries) = object.data.get_mut(field).and_then(Value::as_object_mut) else { continue };
        for (key, value) in entries {
            let raw = plain.data[field][key.as_str()].as_str();
            if all || raw.is_none_or(has_gap) {
                *value = unknown.clone().into();
            }
        }
    }
    object
}
