//! Infers the content of a download from its URL.

/// Parts of URLs whose manifests provide CRDs, and the groups of these.
const MANIFESTS: [(&str, &str); 5] = [
    ("kubernetes-sigs/gateway-api/", "gateway.networking.k8s.io"),
    ("fluxcd/flux2/", "toolkit.fluxcd.io"),
    ("cilium/cilium/", "cilium.io"),
    ("prometheus-operator/", "monitoring.coreos.com"),
    ("cert-manager/cert-manager/", "cert-manager.io"),
];

/// Whether a manifest may provide CRDs of a group: an unknown URL may provide any.
pub(super) fn manifest_may_provide(location: &str, group: &str) -> bool {
    match MANIFESTS.iter().find(|(part, _)| location.contains(part)) {
        Some((_, known)) => group.ends_with(known),
        None => true,
    }
}

/// Whether a repository is known to provide CRDs of a group.
pub fn is_known_to_provide(url: &str, group: &str) -> bool {
    let url = format!("{}/", url.trim_end_matches('/').trim_end_matches(".git"));
    MANIFESTS.iter().any(|(part, known)| url.contains(part) && group.ends_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_with_a_known_url_provides_only_its_groups() {
        let flux = "https://github.com/fluxcd/flux2/releases/download/v2.9.4/install.yaml";
        assert!(manifest_may_provide(flux, "source.toolkit.fluxcd.io"));
        assert!(!manifest_may_provide(flux, "gateway.networking.k8s.io"));
        assert!(manifest_may_provide("kubernetes/crds.yaml", "gateway.networking.k8s.io"));
    }
}
