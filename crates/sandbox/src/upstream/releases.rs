//! Manifests that projects publish on GitHub.

use std::path::Path;

use super::chart::of_folder;
use super::pages::Pages;
use crate::programs::Assets;
use bootstrapper_core::failure::Result;

/// Publishes the manifests of Gateway API and Flux, and Cilium's CRDs.
pub(super) fn publish(pages: &mut Pages, assets: &Assets) -> Result<()> {
    let gateway_api = joined(&assets.gateway_api.join("config/crd/standard"))?;
    pages.text(
        "github.com",
        "/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml".into(),
        gateway_api,
    );
    let versions = std::fs::read_dir(assets.flux_operator.join("config/data/flux")).into_iter().flatten();
    for version in versions.filter_map(std::result::Result::ok) {
        let name = version.file_name().to_string_lossy().into_owned();
        let path = format!("/fluxcd/flux2/releases/download/{name}/install.yaml");
        pages.text("github.com", path, joined(&version.path())?);
    }
    let crds = "pkg/k8s/apis/cilium.io/client/crds";
    for (path, bytes) in of_folder(&assets.cilium.join(crds))? {
        let path = format!("/cilium/cilium/v1.20.2/{crds}/{}", path.display());
        pages.text("raw.githubusercontent.com", path, String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(())
}

/// All manifests of a folder as one stream.
fn joined(folder: &Path) -> Result<String> {
    let files = of_folder(folder)?;
    let texts =
        files.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "yaml"));
    Ok(texts
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).trim_start_matches("---\n").to_owned())
        .collect::<Vec<_>>()
        .join("\n---\n"))
}
