//! The root Kustomization of a cluster and its source.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::recipe::path_of;
use bootstrapper_core::object::Object;

/// The name of the objects that `flux bootstrap` creates.
pub(super) const FLUX_SYSTEM: &str = "flux-system";

/// How probable it is that this is a root. A vendor's source next to a Kustomization looks similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A Kustomization next to its source, with arbitrary names.
    Pair,
    /// One with the same name as its source, and a folder of its own.
    Named,
    /// The objects of `flux bootstrap`: both are named `flux-system`.
    Bootstrap,
    /// A FluxInstance, or the values of its chart.
    Instance,
}

/// The source and the root Kustomization of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    pub(super) source: Object,
    pub(super) sync: Object,
    pub(super) rank: Rank,
    /// The `spec` of the FluxInstance that they come from, if any.
    pub(super) instance: Option<Value>,
}

impl Root {
    /// Whether the source is an artifact: the repository does not show which folder it contains.
    pub(super) fn is_artifact(&self) -> bool {
        self.source.types.as_ref().is_some_and(|types| types.kind != "GitRepository")
    }

    /// The folder in the artifact, if the root Kustomization builds `folder`: the part before its path.
    pub(super) fn base(&self, folder: &Path) -> PathBuf {
        let path = path_of(&self.sync);
        let (mut base, wanted) = (folder.to_owned(), path.components().count());
        if !self.is_artifact() || !folder.ends_with(&path) {
            return PathBuf::new();
        }
        for _ in 0..wanted {
            base.pop();
        }
        base
    }
}

/// What `flux bootstrap` will write for a cluster in `folder`, if it has not run yet: only its user knows the
/// URL of the repository.
pub(super) fn not_written_yet(folder: &Path) -> Option<Root> {
    let names = json!({"name": FLUX_SYSTEM, "namespace": FLUX_SYSTEM});
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": names,
        "spec": {"interval": "1m", "ref": {"branch": "main"}},
    });
    let sync = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": names,
        "spec": {
            "interval": "10m", "path": format!("./{}", folder.display()), "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": FLUX_SYSTEM},
        },
    });
    Some(Root {
        source: serde_json::from_value(source).ok()?,
        sync: serde_json::from_value(sync).ok()?,
        rank: Rank::Bootstrap,
        instance: None,
    })
}
