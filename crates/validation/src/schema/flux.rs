//! The CRDs of Flux, for clusters that do not declare them: Flux installs them itself.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

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

/// The same as the Flux operator installs them: with its own kinds as event sources and webhook receivers.
static BY_OPERATOR: LazyLock<Vec<Object>> = LazyLock::new(|| FLUX.crds.iter().map(extended).collect());

/// Kinds that the operator adds (flux-operator v0.59: `notificationPatchTmpl`).
const ADDED: [&str; 3] = ["FluxInstance", "ResourceSet", "ResourceSetInputProvider"];

/// The enums that it adds them to.
const EXTENDED: [(&str, &str); 2] = [("Alert", "eventSources"), ("Receiver", "resources")];

/// All of them, with or without the operator's additions.
pub(super) fn crds(by_operator: bool) -> impl Iterator<Item = Crd<'static>> {
    let crds: &'static [Object] = if by_operator { &BY_OPERATOR } else { &FLUX.crds };
    crds.iter().filter_map(|crd| Some(Crd { of: Some(&FLUX.version), ..Crd::read(crd)? }))
}

fn extended(crd: &Object) -> Object {
    let mut crd = crd.clone();
    let kind = crd.data["spec"]["names"]["kind"].clone();
    let Some((_, field)) = EXTENDED.iter().find(|(extended, _)| kind == *extended) else { return crd };
    let versions = crd.data["spec"]["versions"].as_array_mut();
    for version in versions.into_iter().flatten() {
        let path =
            format!("/schema/openAPIV3Schema/properties/spec/properties/{field}/items/properties/kind/enum");
        if let Some(Value::Array(kinds)) = version.pointer_mut(&path) {
            kinds.extend(ADDED.map(Value::from));
        }
    }
    crd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Known;

    #[test]
    fn every_kind_is_read() {
        let kinds: Vec<&str> = crds(true).map(|crd| crd.kind).collect();
        for kind in ["Kustomization", "HelmRelease", "GitRepository", "Receiver", "ArtifactGenerator"] {
            assert!(kinds.contains(&kind), "{kinds:?}");
        }
        let release = crds(false).find(|crd| crd.kind == "HelmRelease").unwrap();
        let Known::Schema(schema) = release.known("v2") else { panic!("not served") };
        assert!(schema.source.contains(" of Flux 2."), "{}", schema.source);
        assert!(
            matches!(release.known("v2beta2"), Known::OtherVersions(others) if others == ["helm.toolkit.fluxcd.io/v2"])
        );
    }
}
