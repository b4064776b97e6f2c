//! Server-side apply: reads first, does a dry run if necessary, and writes only if something differs.

use kube::api::{DeleteParams, Patch, PatchParams};

use super::Cluster;
use super::calls::{if_there, within_limit};
use super::compare::{Comparison, covers, differences};
use super::failures::failure;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};

/// kustomize-controller merges the entries of managers whose name begins with `kubectl` into its
/// own when it takes over; any other name would co-own the fields permanently.
pub const FIELD_MANAGER: &str = "kubectl-bootstrapper";

/// helm-controller does not take over fields of other managers. Objects that it will apply server-side use
/// its field manager from the start: otherwise a field that a chart drops later would stay for ever.
pub const HELM_CONTROLLER: &str = "helm-controller";

impl Cluster {
    /// How a declared object differs from the live one. Writes nothing.
    pub async fn compare(&self, declared: &Complete<Object>) -> Result<Comparison> {
        self.compare_as(FIELD_MANAGER, declared).await
    }

    /// The same, for a field manager.
    pub async fn compare_as(&self, manager: &str, declared: &Complete<Object>) -> Result<Comparison> {
        let id = ObjectRef::of(declared);
        let Some(live) = self.get(&id).await? else { return Ok(Comparison::Created) };
        if covers(&live, declared) {
            return Ok(Comparison::Unchanged);
        }
        match self.patch(&id, declared, &parameters(manager).dry_run()).await? {
            Patched::Done(after) => {
                let differences = differences(&live, &after);
                Ok(if differences.is_empty() {
                    Comparison::Unchanged
                } else {
                    Comparison::Configured(differences)
                })
            }
            Patched::Conflict(owners) => Ok(Comparison::Conflict(owners)),
        }
    }

    /// Applies an object as declared. Takes over fields of other managers only with `force`; without it, a
    /// conflict is returned and nothing is written.
    pub async fn apply(&self, declared: &Complete<Object>, force: bool) -> Result<Comparison> {
        self.apply_as(FIELD_MANAGER, declared, force).await
    }

    /// The same, as a field manager.
    pub async fn apply_as(
        &self,
        manager: &str,
        declared: &Complete<Object>,
        force: bool,
    ) -> Result<Comparison> {
        let compared = self.compare_as(manager, declared).await?;
        let is_due = match &compared {
            Comparison::Unchanged => false,
            Comparison::Created | Comparison::Configured(_) => true,
            Comparison::Conflict(_) => force,
        };
        if !is_due {
            return Ok(compared);
        }
        let id = ObjectRef::of(declared);
        let parameters = if force { parameters(manager).force() } else { parameters(manager) };
        match self.patch(&id, declared, &parameters).await? {
            Patched::Done(_) => Ok(match compared {
                Comparison::Conflict(taken) => Comparison::Configured(taken),
                other => other,
            }),
            Patched::Conflict(owners) => Ok(Comparison::Conflict(owners)),
        }
    }

    /// Deletes an object, if it exists.
    pub async fn delete(&self, id: &ObjectRef) -> Result<()> {
        let api = self.require_api(&id.api_version, &id.kind, id.namespace.as_deref()).await?;
        if_there(&format!("cannot delete {id}"), api.delete(&id.name, &DeleteParams::default()))
            .await
            .map(drop)
    }

    async fn patch(
        &self,
        id: &ObjectRef,
        declared: &Complete<Object>,
        parameters: &PatchParams,
    ) -> Result<Patched> {
        let api = self.require_api(&id.api_version, &id.kind, id.namespace.as_deref()).await?;
        let what = format!("cannot apply {id}");
        let call = async {
            match api.patch(&id.name, parameters, &Patch::Apply(&**declared)).await {
                Ok(object) => Ok(Ok(Patched::Done(Box::new(object)))),
                Err(kube::Error::Api(status)) if is_conflict(&status) => {
                    Ok(Ok(Patched::Conflict(owners(&status))))
                }
                // The server's message may contain a secret value.
                Err(kube::Error::Api(status)) if id.kind == "Secret" && status.code == 422 => {
                    Ok(Err(Failure::step(what.clone()).because("the API server rejects it as invalid")))
                }
                Err(error) => Ok(Err(failure(what.clone(), &error))),
            }
        };
        within_limit(&what, call).await?
    }
}

enum Patched {
    Done(Box<Object>),
    Conflict(Vec<String>),
}

fn parameters(manager: &str) -> PatchParams {
    PatchParams::apply(manager).validation_strict()
}

fn is_conflict(status: &kube::core::Status) -> bool {
    status.code == 409
        && status
            .details
            .as_ref()
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "FieldManagerConflict"))
}

/// `.spec.replicas: conflict with "kubectl-edit"`.
fn owners(status: &kube::core::Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let owner = cause.message.strip_prefix("conflict with ").unwrap_or(&cause.message);
            format!("{} is owned by {}", cause.field, owner.replace('"', ""))
        })
        .collect()
}
