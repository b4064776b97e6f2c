//! Takes programs out of an image: from its index the manifest of the platform, then layers from the top one
//! down, until every program is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::download::{Downloaded, Missed, retried, save, wrong};
use super::layers::{Wanted, require_found, search};
use super::progress::Meter;
use super::sources::Platform;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::{ChartAccess, Environment, Registry};

/// No layer is larger.
const LARGEST: u64 = 2 * 1024 * 1024 * 1024;

/// Writes the programs into `folder`, and returns the digest of the image. `reference` is a tag or a digest.
pub(super) async fn unpack(
    image: &str,
    reference: &str,
    platform: Platform,
    wanted: Vec<Wanted>,
    folder: &Path,
    environment: &Environment,
    meter: &Meter<'_>,
) -> Result<String, Missed> {
    let access = ChartAccess::default();
    let mut registry = Registry::of(image, &access, environment).anonymous();
    let (root, digest) = manifest(&mut registry, image, reference).await?;
    let manifest = match of_platform(&root, platform) {
        Of::This => root,
        Of::Digest(digest) => manifest(&mut registry, image, &digest).await?.0,
        Of::None => {
            return Err(wrong(
                Failure::step(format!("image {image} has no manifest for {}/{}", platform.os, platform.arch))
                    .because(format!("its digest is {digest}")),
            ));
        }
    };
    let layers: Vec<&Value> = manifest["layers"].as_array().into_iter().flatten().rev().collect();
    let mut wanted = wanted;
    let mut files: BTreeMap<usize, PathBuf> = BTreeMap::new();
    while let Some(index) = wanted.iter().filter_map(Wanted::next_layer).min() {
        let Some(layer) = layers.get(index) else { break };
        let file = match files.get(&index) {
            Some(file) => file.clone(),
            None => {
                let file =
                    layer_file(&mut registry, image, layer, &folder.join(format!("layer-{index}")), meter)
                        .await?;
                files.entry(index).or_insert(file).clone()
            }
        };
        let into = folder.to_owned();
        let searched =
            tokio::task::spawn_blocking(move || search(&file, index, &mut wanted, &into).map(|()| wanted));
        wanted = searched
            .await
            .map_err(|error| Failure::internal("a layer was not searched").caused_by(&error))?
            .map_err(|error| {
                wrong(Failure::step(format!("cannot unpack a layer of image {image}")).caused_by(&error))
            })?;
    }
    require_found(&wanted, &format!("image {image}:{reference}"))?;
    Ok(digest)
}

async fn manifest(
    registry: &mut Registry<'_>,
    image: &str,
    reference: &str,
) -> Result<(Value, String), Missed> {
    let found = retried(async || registry.manifest_and_digest(reference).await).await?;
    let (manifest, digest) = found.ok_or_else(|| {
        Missed::Unavailable(Failure::step(format!("image {image} has no manifest {reference}")))
    })?;
    if reference.starts_with("sha256:") && reference != digest {
        return Err(wrong(
            Failure::step(format!("a manifest of image {image} is not the declared one"))
                .because(format!("declared:   {reference}"))
                .because(format!("downloaded: {digest}")),
        ));
    }
    Ok((manifest, digest))
}

/// Which manifest is that of a platform.
enum Of {
    This,
    Digest(String),
    None,
}

fn of_platform(manifest: &Value, platform: Platform) -> Of {
    let Some(manifests) = manifest["manifests"].as_array() else { return Of::This };
    let own = manifests
        .iter()
        .find(|one| one["platform"]["os"] == platform.os && one["platform"]["architecture"] == platform.arch);
    own.and_then(|one| one["digest"].as_str()).map_or(Of::None, |digest| Of::Digest(digest.to_owned()))
}

async fn layer_file(
    registry: &mut Registry<'_>,
    image: &str,
    layer: &Value,
    file: &Path,
    meter: &Meter<'_>,
) -> Result<PathBuf, Missed> {
    let digest = layer["digest"].as_str().unwrap_or_default();
    let open = async || {
        let blob = registry.open_blob(digest).await?;
        blob.ok_or_else(|| Failure::step(format!("image {image} has no layer {digest}")))
    };
    let Downloaded { path, sha256 } = save(open, file, LARGEST, Some(meter)).await?;
    if format!("sha256:{sha256}") != digest {
        return Err(wrong(
            Failure::step(format!("a layer of image {image} is not the declared one"))
                .because(format!("declared:   {digest}"))
                .because(format!("downloaded: sha256:{sha256}")),
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_manifest_of_a_platform_is_found_in_an_index() {
        let platform = Platform { os: "linux", arch: "arm64" };
        let one = |os: &str, arch: &str| json!({"digest": format!("sha256:{os}-{arch}"), "platform": {"os": os, "architecture": arch}});
        let index =
            json!({"manifests": [one("unknown", "unknown"), one("linux", "amd64"), one("linux", "arm64")]});
        assert!(
            matches!(of_platform(&index, platform), Of::Digest(digest) if digest == "sha256:linux-arm64")
        );
        assert!(matches!(of_platform(&json!({"layers": []}), platform), Of::This));
        assert!(matches!(of_platform(&json!({"manifests": [one("linux", "amd64")]}), platform), Of::None));
        assert!(matches!(of_platform(&json!(null), platform), Of::This));
    }
}
