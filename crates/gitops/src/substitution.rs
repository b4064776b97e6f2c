//! Substitutes the variables of a Kustomization in a document of its build.

use std::collections::{BTreeMap, BTreeSet};

use super::documents::{Document, object};
use super::gaps::{Gap, gaps};
use super::place::Files;
use super::problem::{Problem, ProblemKind};
use super::provenance::Shadows;
use super::substitute::{self, SubstituteError};
use super::variables::Variables;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef};

const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// The result of substitution in a document.
pub(super) struct Substituted {
    pub(super) object: Object,
    pub(super) shadows: Shadows,
    pub(super) used: BTreeSet<String>,
    /// Its variables with unknown values.
    pub(super) gaps: Vec<Gap>,
    pub(super) problems: Vec<Problem>,
}

/// Substitutes in a document; an object that cannot be parsed afterwards stays unchanged. Only if Flux
/// `is_strict`, it rejects a variable without a value; otherwise it is empty.
pub(super) fn substituted(
    document: &Document,
    variables: Option<&Variables>,
    by: &ObjectRef,
    files: &Files,
    is_strict: bool,
) -> Substituted {
    let plain = &document.object;
    let mut result = Substituted {
        object: plain.clone(),
        shadows: Shadows::None,
        used: BTreeSet::new(),
        gaps: Vec::new(),
        problems: Vec::new(),
    };
    let Some(variables) = variables.filter(|_| document.text.contains('$') && !is_exempt(plain)) else {
        result.shadows = Shadows::of(document, None, &result.used);
        return result;
    };
    let outcome = substitute::substitute_all(&document.text, |name| variables.value(name));
    result.gaps = gaps(document, &outcome.used, variables, files);
    result.used = outcome.used;
    result.shadows = Shadows::of(document, Some(variables), &result.used);
    let is_told = |error: &&SubstituteError| is_strict || !matches!(error, SubstituteError::Undefined(_));
    let told = outcome.errors.iter().filter(is_told);
    result.problems.extend(told.map(|error| refusal(error, document, by, files)));
    match object(&outcome.text) {
        Ok(object) => result.object = object,
        Err(_) if !result.problems.is_empty() => {}
        Err(failure) => result.problems.push(not_an_object(&failure, document, by, files)),
    }
    result
}

fn not_an_object(failure: &Failure, document: &Document, by: &ObjectRef, files: &Files) -> Problem {
    let id = ObjectRef::of(&document.object);
    let told =
        Failure::input(format!("{by} builds {id}, which is not a Kubernetes object after substitution"))
            .because(failure.because.join(": "))
            .hint("put quotes around its ${…} if a value contains a colon, a quote or a number");
    Problem::new(ProblemKind::NotAnObject, placed(told, document, files, ""))
}

fn is_exempt(object: &Object) -> bool {
    let is_disabled = |map: &Option<BTreeMap<String, String>>| {
        map.as_ref().and_then(|map| map.get(SUBSTITUTE)).is_some_and(|value| value == "disabled")
    };
    is_disabled(&object.metadata.labels) || is_disabled(&object.metadata.annotations)
}

fn refusal(error: &SubstituteError, document: &Document, by: &ObjectRef, files: &Files) -> Problem {
    let (kind, wanted, hint) = match error {
        SubstituteError::Undefined(name) => (
            ProblemKind::UndefinedVariable,
            format!("${{{name}"),
            format!(
                "define {name} in the cluster's settings.yaml (or secrets), or give it a default: ${{{name}:=…}}"
            ),
        ),
        SubstituteError::Excessive => (
            ProblemKind::ExcessiveInput,
            "${".to_owned(),
            "reduce it: the API server rejects objects larger than a few megabytes".to_owned(),
        ),
        SubstituteError::Malformed(text) => (
            ProblemKind::MalformedSubstitution,
            text.clone(),
            "write `$$` for a literal dollar sign".to_owned(),
        ),
    };
    let failure =
        Failure::input(format!("{error} in {} of {by}", ObjectRef::of(&document.object))).hint(hint);
    Problem::new(kind, placed(failure, document, files, &wanted))
}

/// Sets the location of `wanted` in the object, otherwise that of the object.
fn placed(failure: Failure, document: &Document, files: &Files, wanted: &str) -> Failure {
    let place = document.written().and_then(|written| {
        let found = if wanted.is_empty() { None } else { written.find(files, wanted) };
        found.or_else(|| written.place(files, ""))
    });
    match place {
        Some(location) => failure.at(location),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::documents::documents;
    use super::*;

    #[test]
    fn each_object_is_substituted_unless_it_is_exempt() {
        let built = "apiVersion: v1\nkind: A\nmetadata:\n  name: a\nspec:\n  port: ${PORT}\n  not: ${X}${Y}\n---\napiVersion: v1\nkind: B\nmetadata:\n  annotations:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\n  name: b\nspec: ${PORT}\n";
        let id = ObjectRef::cluster_scoped("v1", "K", "k");
        let variables = Variables::of([("PORT".to_owned(), "80".to_owned())]);
        let documents = documents(built, Path::new("/o"), Path::new("/r"), false).unwrap();
        let files = Files::of(Path::new("/r"));
        let first = substituted(&documents[0], Some(&variables), &id, &files, true);
        assert_eq!(first.object.data["spec"]["port"], 80);
        assert_eq!(first.used.iter().map(String::as_str).collect::<Vec<_>>(), ["PORT", "X", "Y"]);
        assert_eq!(first.problems.len(), 2);
        let lenient = substituted(&documents[0], Some(&variables), &id, &files, false);
        assert!(lenient.problems.is_empty() && lenient.object.data["spec"]["not"].is_null());
        let second = substituted(&documents[1], Some(&variables), &id, &files, true);
        assert_eq!(second.object.data["spec"], "${PORT}");
    }
}
