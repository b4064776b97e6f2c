//! Where Flux finds the repository, if its declared address is one that the stand-in for the internet
//! cannot answer: ssh, or anything that asks for credentials, which a rehearsal has not.
//!
//! The sandbox's API server puts another address in its place, whoever writes the GitRepository: an
//! admission policy, so that the object stays as it is declared for everybody who compares it.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::failure::{Failure, Result};
use crate::object::{Complete, Object};
use crate::sandbox::options::GitSpec;

const NAME: &str = "sandbox-git-address";

/// Sees to it that Flux finds the repository.
pub(in crate::sandbox) async fn redirect(cluster: &Cluster, git: &GitSpec) -> Result<()> {
    let served = git.served()?;
    if served == git.url && !git.has_credentials {
        return Ok(());
    }
    for object in policy(&git.url, &served) {
        let object: Object = serde_json::from_value(object).map_err(|error| {
            Failure::internal("the policy about the git address is no object").caused_by(&error)
        })?;
        cluster.apply(&Complete::of_own(object), true).await?;
    }
    Ok(())
}

/// Puts `served` in the place of `declared`, and takes the credentials out.
fn policy(declared: &str, served: &str) -> [Value; 2] {
    let (declared, served) = (json!(declared), json!(served));
    let expression = format!(
        "[JSONPatch{{op: \"replace\", path: \"/spec/url\", value: {served}}}] + \
         (has(object.spec.secretRef) ? [JSONPatch{{op: \"remove\", path: \"/spec/secretRef\"}}] : [])"
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["source.toolkit.fluxcd.io"], "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"], "resources": ["gitrepositories"],
            }]},
            "matchConditions": [{"name": "is-it", "expression": format!("object.spec.url == {declared}")}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    });
    [policy, binding]
}
