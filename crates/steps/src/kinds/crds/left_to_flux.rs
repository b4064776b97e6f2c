//! Objects of a manifest that Flux has taken over: two appliers of one object would revert each other's
//! changes. The Flux operator takes over the namespace in its own manifest, and Flux's CRDs.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::teardown::marks::{KUSTOMIZE, OPERATOR, owner};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, Object, ObjectRef};

/// How many objects are read concurrently.
const AT_ONCE: usize = 16;

/// The objects that Flux has not taken over.
pub(super) async fn without_flux_owned(
    cluster: &Cluster,
    objects: Vec<Complete<Object>>,
) -> Result<Vec<Complete<Object>>> {
    let read = objects.into_iter().map(|object| async move {
        let live = cluster.get(&ObjectRef::of(&object)).await?;
        Ok((object, live.is_some_and(|live| is_flux_owned(&live))))
    });
    let read: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    Ok(read.into_iter().filter_map(|(object, is_flux_owned)| (!is_flux_owned).then_some(object)).collect())
}

/// Whether a Kustomization, a FluxInstance or a ResourceSet owns it.
fn is_flux_owned(live: &Object) -> bool {
    [KUSTOMIZE, OPERATOR].into_iter().any(|group| owner(live, group).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flux_marks_what_it_owns() {
        for (label, expected) in [
            ("fluxcd.controlplane.io", true),
            ("kustomize.toolkit.fluxcd.io", true),
            ("app.kubernetes.io", false),
        ] {
            let labels = serde_json::json!({format!("{label}/name"): "flux", format!("{label}/namespace"): "flux-system"});
            let object = serde_json::json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "flux-system", "labels": labels},
            });
            assert_eq!(is_flux_owned(&serde_json::from_value(object).unwrap()), expected, "{label}");
        }
    }
}
