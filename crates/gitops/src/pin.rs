//! Another repository at a pinned commit: a GitRepository whose files never change, so that its build can be
//! inspected, and applied before Flux runs.

use super::build;
use super::documents::Document;
use super::fetch::unfetched;
use super::problem::{Problem, ProblemKind};
use super::recipe::Recipe;
use super::sources::UNKNOWN;
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::{Fetched, Kustomize, Remote, Use, remote};

/// The annotation with the commit that a tag must refer to. With `ref.commit` Flux fetches the whole history at
/// every interval, which is too much for a large repository; with a tag it fetches one commit.
pub const COMMIT: &str = "bootstrapper/commit";

/// A repository, and a commit in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pin {
    pub(super) url: String,
    pub(super) commit: String,
}

impl Pin {
    /// The pin of a GitRepository; none if it is not pinned, or if only Flux can fetch it.
    pub(super) fn of(source: &Object) -> Option<Self> {
        if ObjectRef::of(source).kind != "GitRepository" {
            return None;
        }
        let spec = &source.data["spec"];
        let only_flux = ["secretRef", "proxySecretRef", "certSecretRef", "include", "recurseSubmodules"];
        if only_flux.iter().any(|field| !spec[*field].is_null() && spec[*field] != false) {
            return None;
        }
        let promised = source.metadata.annotations.as_ref().and_then(|all| all.get(COMMIT));
        let commit = match (spec["ref"]["commit"].as_str(), spec["ref"]["tag"].as_str()) {
            (Some(commit), _) => commit,
            (None, Some(_)) => promised?,
            (None, None) => return None,
        };
        let url = spec["url"].as_str().filter(|url| !url.contains(UNKNOWN))?;
        // The same URLs as for remote bases are allowed.
        let is_fetched = matches!(remote(url, Use::File), Ok(Some(_))) && url.starts_with("https://");
        (is_hex(commit, 40) && is_fetched).then(|| Self { url: url.to_owned(), commit: commit.to_owned() })
    }

    /// Fetches the commit and builds.
    pub(super) async fn build(
        &self,
        recipe: &Recipe,
        kustomize: &Kustomize,
    ) -> Result<Vec<Document>, Problem> {
        let base = bootstrapper_tools::Base {
            url: self.url.clone(),
            reference: Some(self.commit.clone()),
            path: recipe.folder.clone(),
        };
        let fetched = kustomize.remotes().get(&Remote::Base(base)).await;
        let Fetched::Repository(root) = fetched.map_err(|failure| unfetched(self.at_commit(failure)))? else {
            let failure = Failure::internal(format!("{} was fetched as a file", self.url));
            return Err(Problem::new(ProblemKind::UnbuildableKustomization, failure));
        };
        if !files::is_folder(&root, &recipe.folder) {
            let failure = Failure::input(format!(
                "{}: folder {} not found",
                self.url,
                recipe.folder.display()
            ))
            .because(format!("at commit {}", self.commit))
            .hint("correct spec.path, which is relative to the root of the repository of spec.sourceRef");
            return Err(Problem::new(ProblemKind::MissingPath, failure));
        }
        let built = build::run(recipe, &root, kustomize).await.map_err(|problem| {
            let what = format!("{}: {}", self.url, problem.failure.what);
            // Its files are not in this repository.
            Problem { failure: Failure { what, location: None, ..problem.failure }, ..problem }
        })?;
        Ok(built.into_iter().map(|document| Document { file: None, ..document }).collect())
    }

    fn at_commit(&self, failure: Failure) -> Failure {
        failure.because(format!("at commit {}", self.commit))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SHA: &str = "8bb74df00e56ec8f944d48c25e6c1c9c2f6848e3";

    fn pin(annotations: &Value, spec: &Value) -> Option<String> {
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "r", "namespace": "flux-system", "annotations": annotations}, "spec": spec,
        });
        Pin::of(&serde_json::from_value(source).unwrap()).map(|pin| pin.commit)
    }

    #[test]
    fn a_commit_pins_and_a_tag_only_with_its_commit() {
        let url = "https://x.test/org/repo";
        let none = json!({});
        let promised = json!({COMMIT: SHA});
        for (annotations, reference) in [
            (&none, json!({"commit": SHA})),
            (&none, json!({"commit": SHA, "branch": "main"})),
            (&promised, json!({"tag": "v1.0.0"})),
        ] {
            assert_eq!(pin(annotations, &json!({"url": url, "ref": reference})).as_deref(), Some(SHA));
        }
        for spec in [
            json!({"url": url}),
            json!({"url": url, "ref": {"branch": "main"}}),
            json!({"url": url, "ref": {"tag": "v1.0.0"}}),
            json!({"url": url, "ref": {"commit": "8bb74df"}}),
            json!({"url": "ssh://git@x.test/r", "ref": {"commit": SHA}}),
            json!({"url": "http://x.test/r", "ref": {"commit": SHA}}),
            json!({"url": "https://u:p@x.test/r", "ref": {"commit": SHA}}),
            json!({"url": format!("https://{UNKNOWN}/r"), "ref": {"commit": SHA}}),
            json!({"url": url, "ref": {"commit": SHA}, "secretRef": {"name": "s"}}),
            json!({"url": url, "ref": {"commit": SHA}, "recurseSubmodules": true}),
        ] {
            assert_eq!(pin(&none, &spec), None, "{spec}");
        }
    }
}
