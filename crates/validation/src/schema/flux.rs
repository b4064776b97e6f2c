//! The CRDs of Flux, which installs them itself: for clusters that do not declare them.

use std::sync::LazyLock;

use serde::Deserialize;

use super::crd::Crd;
use super::upstream::unpacked;
use bootstrapper_core::object::Object;

#[derive(Debug, Default, Deserialize)]
struct Flux {
    version: String,
    crds: Vec<Object>,
}

static FLUX: LazyLock<Flux> =
    LazyLock::new(|| unpacked(include_bytes!("upstream/flux.json.gz")).unwrap_or_default());

/// All of them.
pub(super) fn crds() -> impl Iterator<Item = Crd<'static>> {
    FLUX.crds.iter().filter_map(|crd| Some(Crd { of: Some(&FLUX.version), ..Crd::read(crd)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Known;

    #[test]
    fn every_kind_is_read() {
        let kinds: Vec<&str> = crds().map(|crd| crd.kind).collect();
        for kind in ["Kustomization", "HelmRelease", "GitRepository", "Receiver", "ArtifactGenerator"] {
            assert!(kinds.contains(&kind), "{kinds:?}");
        }
        let release = crds().find(|crd| crd.kind == "HelmRelease").unwrap();
        let Known::Schema(schema) = release.known("v2") else { panic!("not served") };
        assert!(schema.source.contains(" of Flux 2."), "{}", schema.source);
        assert!(
            matches!(release.known("v2beta2"), Known::OtherVersions(others) if others == ["helm.toolkit.fluxcd.io/v2"])
        );
    }
}
