//! Verifies the signature of a chart in a registry with public keys, as source-controller v1.9.4 does: cosign's
//! simple signing at the tag `sha256-<digest>.sig`, or a Sigstore bundle that refers to the chart.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::chart_access::SigningKeys;
use super::registry::Registry;
use super::signature::{PublicKey, Signed};
use super::{ChartAccess, Environment};
use bootstrapper_core::failure::{Failure, Result, Retry};

/// How long the registry may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How many signatures of one chart are looked at.
const MOST: usize = 100;

const SIMPLE: &str = "dev.cosignproject.cosign/signature";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Fails unless one of the keys has signed the artifact of `digest` (`sha256:…`) at `url`.
pub(super) async fn verify(
    url: &str,
    digest: &str,
    signed_by: &SigningKeys,
    access: &ChartAccess,
    environment: &Environment,
) -> Result<()> {
    let keys: Vec<PublicKey> =
        signed_by.keys.iter().filter_map(|pem| PublicKey::parse(pem.expose_secret())).collect();
    let failed = |what: &str| {
        Failure::input(format!("chart {url} is not installed: {what}"))
            .because(format!("it must be signed with a key of {} (digest {digest})", signed_by.secret))
    };
    let accept = || "annotate its source with `bootstrapper/unverified: <reason>` to install it unverified";
    if keys.is_empty() {
        let failure = failed("there is no usable public key to verify it with");
        return Err(failure
            .hint("store a PEM public key (ECDSA P-256 or P-384, RSA, Ed25519) under `cosign.pub` in that Secret")
            .hint(accept()));
    }
    let mut registry = Registry::of(url, access, environment);
    let signatures =
        tokio::time::timeout(TIMEOUT, signatures(&mut registry, digest)).await.map_err(|_| {
            Failure::step(format!("cannot verify chart {url}"))
                .because(format!("its registry takes longer than {} s", TIMEOUT.as_secs()))
                .retry(Retry::MayHelp)
        })??;
    if signatures.iter().any(|signed| signed.is_by_any(&keys)) {
        return Ok(());
    }
    Err(if signatures.is_empty() {
        failed("it has no signature")
            .hint(format!("sign it: cosign sign --key <key> {}@{digest}", url.trim_start_matches("oci://")))
    } else {
        failed("its signature is by another key")
            .hint("contact its publisher, or correct the key in that Secret")
    }
    .hint(accept()))
}

/// All signatures of the artifact, by whomever.
async fn signatures(registry: &mut Registry<'_>, digest: &str) -> Result<Vec<Signed>> {
    let mut found = Vec::new();
    let tag = digest.replace(':', "-");
    if let Some(manifest) = registry.manifest(&format!("{tag}.sig")).await? {
        for layer in list(&manifest["layers"]) {
            let (Some(signature), Some(place)) =
                (layer["annotations"][SIMPLE].as_str(), layer["digest"].as_str())
            else {
                continue;
            };
            let payload = registry.blob(place).await?;
            found.extend(payload.and_then(|payload| Signed::simple(&payload, signature, digest)));
        }
    }
    // A registry that does not know referrers has their index at a tag.
    let index = match registry.referrers(digest).await? {
        Some(index) => Some(index),
        None => registry.manifest(&tag).await?,
    };
    let index = index.unwrap_or_default();
    let is_bundle = |kind: &Value| kind.as_str().is_some_and(|kind| kind.starts_with(BUNDLE));
    for referrer in list(&index["manifests"]).filter(|one| is_bundle(&one["artifactType"])) {
        let Some(place) = referrer["digest"].as_str() else { continue };
        let manifest = registry.manifest(place).await?.unwrap_or_default();
        for layer in list(&manifest["layers"]) {
            let Some(place) = layer["digest"].as_str() else { continue };
            let bundle = registry.blob(place).await?;
            found.extend(bundle.map(|bundle| Signed::of_bundle(&bundle, digest)).unwrap_or_default());
        }
    }
    Ok(found)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(MOST)
}
