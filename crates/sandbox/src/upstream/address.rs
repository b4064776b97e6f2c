//! Redirects Flux to the sandbox's repository where the mirror of the internet cannot serve the declared
//! source: ssh, or anything that requires credentials, which a rehearsal lacks; a commit of a repository whose
//! files it serves under another commit; an artifact by digest, or with a signature.
//!
//! A mutating admission policy of the sandbox replaces it, whoever writes the source. The declared object stays
//! the same for everyone who compares it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::options::SourceSpec;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object};
use bootstrapper_gitops::COMMIT;

/// Its field manager: `clean` removes what the bootstrap created, and this belongs to the sandbox.
const MANAGER: &str = "bootstrapper-sandbox";

const ADDRESS: &str = "sandbox-source-address";

const GIT: &str = "gitrepositories";

/// Redirects Flux to the repository, and to the commits of pinned sources.
pub(crate) async fn redirect(
    cluster: &Cluster,
    source: &SourceSpec,
    commits: &BTreeMap<String, String>,
) -> Result<()> {
    let mut policies: Vec<Value> =
        commits.iter().flat_map(|(declared, served)| of_commit(declared, served)).collect();
    match source {
        SourceSpec::Git(git) => {
            let served = git.served()?;
            if served != git.url || git.has_credentials {
                policies.extend(of_address(&git.url, &served));
            }
        }
        SourceSpec::Artifact(artifact) => policies.extend(of_artifact(&artifact.url, artifact.tag())),
    }
    for object in policies {
        let object: Object = serde_json::from_value(object)
            .map_err(|error| Failure::internal("a source policy is not an object").caused_by(&error))?;
        cluster.apply_as(MANAGER, &Complete::of_own(object), true).await?;
    }
    Ok(())
}

/// Replaces the URL `declared` by `served`, and removes the credentials.
fn of_address(declared: &str, served: &str) -> [Value; 2] {
    let (declared, served) = (json!(declared), json!(served));
    let expression = format!(
        "[JSONPatch{{op: \"replace\", path: \"/spec/url\", value: {served}}}] + \
         (has(object.spec.secretRef) ? [JSONPatch{{op: \"remove\", path: \"/spec/secretRef\"}}] : [])"
    );
    policy(ADDRESS, GIT, &format!("object.spec.url == {declared}"), &expression)
}

/// Removes from an artifact what only its registry can provide: credentials, signatures, and a digest, which is
/// replaced by the tag.
fn of_artifact(declared: &str, tag: &str) -> [Value; 2] {
    let (declared, tag) = (json!(declared), json!(tag));
    let without = ["secretRef", "certSecretRef", "provider", "verify", "insecure"].map(|field| {
        format!("(has(object.spec.{field}) ? [JSONPatch{{op: \"remove\", path: \"/spec/{field}\"}}] : [])")
    });
    let by_tag = format!(
        "(has(object.spec.ref) && has(object.spec.ref.digest) ? \
         [JSONPatch{{op: \"remove\", path: \"/spec/ref/digest\"}}, \
         JSONPatch{{op: \"add\", path: \"/spec/ref/tag\", value: {tag}}}] : [])"
    );
    let expression = format!("{} + {by_tag}", without.join(" + "));
    policy(ADDRESS, "ocirepositories", &format!("object.spec.url == {declared}"), &expression)
}

/// Replaces the commit `declared` by `served`: where it is fetched, and where a tag must refer to it.
fn of_commit(declared: &str, served: &str) -> [Value; 2] {
    let is_fetched = format!(
        "has(object.spec.ref) && has(object.spec.ref.commit) && object.spec.ref.commit == \"{declared}\""
    );
    let is_promised = format!(
        "has(object.metadata.annotations) && \"{COMMIT}\" in object.metadata.annotations && \
         object.metadata.annotations[\"{COMMIT}\"] == \"{declared}\""
    );
    let replaced =
        |path: &str| format!("[JSONPatch{{op: \"replace\", path: \"{path}\", value: \"{served}\"}}]");
    let expression = format!(
        "({is_fetched} ? {} : []) + ({is_promised} ? {} : [])",
        replaced("/spec/ref/commit"),
        replaced(&format!("/metadata/annotations/{}", COMMIT.replace('/', "~1"))),
    );
    let name = format!("sandbox-git-commit-{}", declared.get(..12).unwrap_or(declared));
    policy(&name, GIT, &format!("({is_fetched}) || ({is_promised})"), &expression)
}

/// A policy that changes sources, and its binding.
fn policy(name: &str, resource: &str, condition: &str, expression: &str) -> [Value; 2] {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["source.toolkit.fluxcd.io"], "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"], "resources": [resource],
            }]},
            "matchConditions": [{"name": "is-it", "expression": condition}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    });
    [policy, binding]
}
