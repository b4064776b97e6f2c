//! Requests reconciliation of a Flux object, as `flux reconcile` does: with an annotation.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Cluster;
use super::calls::if_there;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;

/// Flux reconciles an object when the value of this annotation changes, and then copies it to
/// `status.lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// For a HelmRelease: resets its failures, if the value is that of the request.
const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";

/// The field manager of these annotations. kustomize-controller takes over the fields of managers with the
/// prefix `kubectl`, and flux-operator those with the prefix `flux`: their next apply would remove an
/// unhandled request.
pub const RECONCILE_MANAGER: &str = "bootstrapper-reconcile";

impl Cluster {
    /// Requests reconciliation. `token` is the time, as RFC 3339. With `reset`, a HelmRelease with exhausted
    /// retries is retried. False if the object is not found.
    pub async fn request_reconciliation(&self, id: &ObjectRef, token: &str, reset: bool) -> Result<bool> {
        let Some(api) = self.api(&id.api_version, &id.kind, id.namespace.as_deref()).await? else {
            return Ok(false);
        };
        let mut annotations = json!({REQUESTED_AT: token});
        if reset {
            annotations[RESET_AT] = token.into();
        }
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let parameters =
            PatchParams { field_manager: Some(RECONCILE_MANAGER.to_owned()), ..PatchParams::default() };
        let what = format!("cannot request reconciliation of {id}");
        Ok(if_there(&what, api.patch(&id.name, &parameters, &patch)).await?.is_some())
    }
}
