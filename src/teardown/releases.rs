//! What goes with a Helm release, and what Helm leaves.

use crate::cluster::{Cluster, StoredRelease};
use crate::failure::Result;
use crate::object::{Object, ObjectRef, is_crd};

/// The objects of a release that go with it. What its chart says to keep, and CRDs, are not among them.
pub(crate) async fn objects(
    cluster: &Cluster,
    stored: &StoredRelease,
    namespace: &str,
) -> Result<Vec<ObjectRef>> {
    let mut objects = Vec::new();
    for object in stored.objects.iter().filter(|object| !is_kept(object) && !is_crd(object)) {
        objects.push(ObjectRef::of(&cluster.located(object.clone(), namespace).await?));
    }
    Ok(objects)
}

/// Whether Helm leaves an object as its chart says.
fn is_kept(object: &Object) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get("helm.sh/resource-policy")).is_some_and(|policy| policy == "keep")
}
