//! Asks Flux to reconcile an object now, as `flux reconcile` does: by an annotation.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Cluster;
use super::calls::if_there;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;

/// Flux reconciles an object when the value of this annotation changes, and notes it in
/// `status.lastHandledReconcileAt` once that is done.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Of a HelmRelease: its failures are forgotten, if the value is that of the request.
const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";

/// Who owns these annotations. kustomize-controller takes the fields of managers called `kubectl…` for its
/// own, and flux-operator those of `flux`: with its next apply it would remove a request that is not handled yet.
pub const RECONCILE_MANAGER: &str = "bootstrapper-reconcile";

impl Cluster {
    /// Asks for a reconciliation. `token` is the time, as RFC 3339. With `reset`, a HelmRelease whose retries
    /// are exhausted is tried again. False if the object is not there.
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
