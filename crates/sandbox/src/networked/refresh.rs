//! Updates volumes of a running pod from their ConfigMaps and Secrets. A kubelet takes up to a minute for that,
//! this takes a moment.

use std::convert::Infallible;

use futures::StreamExt as _;

use super::volumes::{Files, Volumes};
use crate::network::Place;
use crate::site::Site;
use bootstrapper_cluster::seen;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// Updates until dropped.
pub(super) async fn follow(site: &Site, pod: &Object, place: &Place) -> Infallible {
    let volumes = Volumes::of(pod);
    let mut written = None;
    let mut changes = seen(site.cluster.follow(volumes.objects()));
    while changes.next().await.is_some() {
        match rewrite(site, place, &volumes, written.as_ref()).await {
            Ok(files) => written = Some(files),
            // Mounted files stay while their source cannot be read.
            Err(failure) => {
                tracing::warn!(pod = %ObjectRef::of(pod), %failure, "cannot update its volumes");
            }
        }
    }
    std::future::pending().await
}

/// Writes changed files, and removes deleted ones; returns the current files. Without known files, all count as
/// changed.
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
