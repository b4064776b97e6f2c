//! Volumes of a running pod follow their ConfigMaps and Secrets, as a kubelet sees to. That takes up to
//! a minute where a kubelet does it, and a moment here.

use std::convert::Infallible;

use futures::StreamExt as _;

use super::volumes::{Files, Volumes};
use crate::network::Place;
use crate::site::Site;
use bootstrapper_cluster::seen;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// Follows until it is dropped.
pub(super) async fn follow(site: &Site, pod: &Object, place: &Place) -> Infallible {
    let volumes = Volumes::of(pod);
    let mut written = None;
    let mut changes = seen(site.cluster.follow(volumes.objects()));
    while changes.next().await.is_some() {
        match rewrite(site, place, &volumes, written.as_ref()).await {
            Ok(files) => written = Some(files),
            // What is mounted stays, as long as what it was made of cannot be read.
            Err(failure) => {
                tracing::warn!(pod = %ObjectRef::of(pod), %failure, "cannot update its volumes");
            }
        }
    }
    std::future::pending().await
}

/// Writes what has changed, and removes what is gone; what is there by then. Files count as changed
/// as long as nothing is known of them.
async fn rewrite(site: &Site, place: &Place, volumes: &Volumes, written: Option<&Files>) -> Result<Files> {
    let files = volumes.read(site).await?;
    let known = |path| written.and_then(|written| written.get(path));
    let changed = files.iter().filter(|(path, content)| known(*path) != Some(*content));
    place.write(changed).await?;
    let gone = written.into_iter().flat_map(Files::keys).filter(|path| !files.contains_key(*path));
    for path in gone {
        place.remove(path).await?;
    }
    Ok(files)
}
