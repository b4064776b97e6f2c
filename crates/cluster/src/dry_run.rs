//! Dry runs of other managers' writes, which write nothing.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::Value;

use super::Cluster;
use super::calls::within_limit;
use super::failures::failure;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// How to write.
#[derive(Debug)]
pub enum Write<'a> {
    /// Server-side apply that takes over fields of other managers.
    Apply(&'a Object),
    /// A JSON merge patch.
    Merge(&'a Value),
    /// Replaces the whole object.
    Replace(&'a Object),
}

/// The API server's response.
#[derive(Debug)]
pub enum Answer {
    /// The resulting object.
    Taken(Box<Object>),
    /// A field is immutable; the server's message.
    Immutable(String),
    /// It is rejected; the server's message, except for Secrets.
    Refused(String),
}

impl Cluster {
    /// Asks the API server for the result if `manager` wrote an existing object.
    pub async fn dry_run(&self, id: &ObjectRef, write: Write<'_>, manager: &str) -> Result<Answer> {
        let api = self.require_api(&id.api_version, &id.kind, id.namespace.as_deref()).await?;
        let what = format!("cannot dry-run {manager}'s write to {id}");
        let parameters = PatchParams {
            dry_run: true,
            force: matches!(write, Write::Apply(_)),
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let call = async {
            let answer = match write {
                Write::Apply(object) => api.patch(&id.name, &parameters, &Patch::Apply(object)).await,
                Write::Merge(patch) => api.patch(&id.name, &parameters, &Patch::Merge(patch)).await,
                Write::Replace(object) => {
                    let parameters = PostParams { dry_run: true, field_manager: Some(manager.to_owned()) };
                    api.replace(&id.name, &parameters, object).await
                }
            };
            match answer {
                Ok(object) => Ok(Ok(Answer::Taken(Box::new(object)))),
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 409 | 422) => {
                    Ok(Ok(refusal(id, &status)))
                }
                Err(error) => Ok(Err::<_, Failure>(failure(what.clone(), &error))),
            }
        };
        within_limit(&what, call).await?
    }
}

fn refusal(id: &ObjectRef, status: &kube::core::Status) -> Answer {
    // The server's message may contain a secret value.
    let said = if id.kind == "Secret" { "it is invalid".to_owned() } else { status.message.clone() };
    // The messages that Flux matches (`fluxcd/pkg/ssa/errors`).
    if status.code == 422
        && (status.message.contains("immutable") || status.message.contains("may not be changed"))
    {
        Answer::Immutable(said)
    } else {
        Answer::Refused(said)
    }
}
