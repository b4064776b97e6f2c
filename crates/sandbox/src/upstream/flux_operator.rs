//! Publications of the Flux operator: its manifest, and Flux's manifests for its FluxInstances.

use std::path::Path;

use super::chart::{Files, of_folder, pack};
use super::pages::Pages;
use super::registry::{Image, add_image};
use bootstrapper_core::failure::Result;
use bootstrapper_tools::Kustomize;

const VERSION: &str = "v0.58.1";

/// The artifact with Flux's manifests, if a FluxInstance references it.
const MANIFESTS: &str = "ghcr.io/controlplaneio-fluxcd/flux-operator-manifests";

/// Publishes both. The release manifest is built like in the project.
pub(super) async fn publish(pages: &mut Pages, module: &Path, kustomize: &Kustomize) -> Result<()> {
    let manifest = kustomize.build(&module.join("config/default")).await?;
    for release in [format!("download/{VERSION}"), "latest/download".to_owned()] {
        let path = format!("/controlplaneio-fluxcd/flux-operator/releases/{release}/install.yaml");
        pages.text("github.com", path, manifest.clone());
    }
    let mut files = Files::new();
    for folder in ["flux", "flux-images"] {
        let found = of_folder(&module.join("config/data").join(folder))?;
        files.extend(found.into_iter().map(|(path, bytes)| (Path::new(folder).join(path), bytes)));
    }
    let image = Image::of_flux(&pack("", &files)?, VERSION);
    for tag in [VERSION, "latest"] {
        add_image(pages, MANIFESTS, tag, &image);
    }
    Ok(())
}
