//! What kustomize says when it cannot build, told to a person.

use std::path::Path;

use super::build::Recipe;
use super::closure;
use super::problem::{Problem, ProblemKind};
use crate::failure::{Failure, FailureKind};

/// What kustomize says, by way of Go and git, when an address does not answer.
const NO_ANSWER: [&str; 6] = [
    "no such host",
    "Could not resolve host",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "TLS handshake timeout",
];

/// Says what cannot be built, and where, if a file of it is no YAML; or which address it is that
/// does not answer.
pub(super) fn unbuildable(failure: Failure, recipe: &Recipe, root: &Path) -> Problem {
    let what = format!("{} cannot be built", recipe.folder.display());
    match unfetched(&failure) {
        Some(address) => Problem::new(
            ProblemKind::Unfetchable,
            Failure::input(what).because(format!("{address} does not answer")).hint(
                "try again when the internet is there: what was built once is kept, and needs it no more",
            ),
        ),
        None => {
            let location = closure::unreadable(recipe, root);
            let failure = Failure { what, kind: FailureKind::Input, location, ..failure };
            Problem::new(ProblemKind::UnbuildableKustomization, failure)
        }
    }
}

/// The address that kustomize could not fetch.
fn unfetched(failure: &Failure) -> Option<String> {
    let said = failure.because.join(" ");
    NO_ANSWER.iter().any(|text| said.contains(text)).then_some(())?;
    let (scheme, rest) =
        ["https://", "http://"].iter().find_map(|scheme| Some((scheme, said.split_once(scheme)?.1)))?;
    let address = rest.split(['"', '\'', ' ']).next().unwrap_or_default();
    Some(format!("{scheme}{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_does_not_answer_is_no_mistake_of_the_repository() {
        let recipe = Recipe::plain(Path::new("crds"));
        let of = |said: &str| {
            unbuildable(Failure::step("kustomize build failed").because(said), &recipe, Path::new("/nowhere"))
        };
        let away = of(
            "accumulating resources from 'https://x.test/v1.0.0/a.yaml': Get \"https://x.test/v1.0.0/a.yaml\": dial tcp: lookup x.test: no such host",
        );
        assert_eq!(away.kind, ProblemKind::Unfetchable);
        assert_eq!(away.failure.because, ["https://x.test/v1.0.0/a.yaml does not answer"]);
        let broken = of("no such file: a.yaml");
        assert_eq!(broken.kind, ProblemKind::UnbuildableKustomization);
        assert_eq!((broken.failure.what.as_str(), broken.failure.because.len()), ("crds cannot be built", 1));
    }
}
