//! The official releases of the programs: archives, single files and images. Their versions are those of the
//! build list.

use super::build::version_of;
use super::set::FLUX_OPERATOR_MANAGER;
use bootstrapper_core::failure::Result;

/// An official release.
#[derive(Debug)]
pub(super) struct Release {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// The Go module whose version it has.
    pub(super) module: &'static str,
    /// Its publisher's address.
    pub(super) source: Source,
    /// The approximate size of its download in MiB, for progress.
    pub(super) about_mib: u64,
    /// Its programs: name, and path within it.
    pub(super) programs: &'static [(&'static str, &'static str)],
}

/// In URLs, `{version}`, `{number}` (without `v`), `{os}` and `{arch}` are replaced.
#[derive(Debug)]
pub(super) enum Source {
    /// A program.
    File { url: &'static str, checksums: Option<&'static str> },
    /// A `.tar.gz` with programs.
    Archive { url: &'static str, checksums: Option<&'static str> },
    /// An image, and the digest of a version, as its publisher announced it.
    Image { name: &'static str, pinned: Option<(&'static str, &'static str)> },
}

/// A platform, in Go's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
}

impl Platform {
    /// This machine's; none if there are no official programs for it: an API server exists for Linux only.
    pub(super) fn here() -> Option<Self> {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            _ => return None,
        };
        (std::env::consts::OS == "linux").then_some(Self { os: "linux", arch })
    }
}

impl Release {
    /// Its version, with `v`.
    pub(super) fn version(&self) -> Result<String> {
        version_of(self.module)
    }

    /// The URL of a template.
    pub(super) fn url(template: &str, version: &str, platform: Platform) -> String {
        template
            .replace("{version}", version)
            .replace("{number}", version.trim_start_matches('v'))
            .replace("{os}", platform.os)
            .replace("{arch}", platform.arch)
    }
}

/// The release of a program.
pub(super) fn release_of(program: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.programs.iter().any(|(name, _)| *name == program))
}

const KUBERNETES: &str = "k8s.io/kubernetes";
const CILIUM: &str = "github.com/cilium/cilium";

/// Every program of a sandbox has one.
// Pinned digests: Cilium's by the release notes of v1.20.2, source-controller's by flux-operator 0.58.1
// (`config/data/flux-images`). The others are recorded when they are first downloaded.
pub(super) const RELEASES: [Release; 15] = [
    Release {
        name: "etcd",
        module: "go.etcd.io/etcd/server/v3",
        source: Source::Archive {
            url: "https://github.com/etcd-io/etcd/releases/download/{version}/etcd-{version}-{os}-{arch}.tar.gz",
            checksums: Some("https://github.com/etcd-io/etcd/releases/download/{version}/SHA256SUMS"),
        },
        about_mib: 24,
        programs: &[("etcd", "etcd-{version}-{os}-{arch}/etcd")],
    },
    Release {
        name: "kube-apiserver",
        module: KUBERNETES,
        source: Source::File {
            url: "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-apiserver",
            checksums: Some("https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-apiserver.sha256"),
        },
        about_mib: 85,
        programs: &[("kube-apiserver", "")],
    },
    Release {
        name: "kube-controller-manager",
        module: KUBERNETES,
        source: Source::File {
            url: "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-controller-manager",
            checksums: Some(
                "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-controller-manager.sha256",
            ),
        },
        about_mib: 70,
        programs: &[("kube-controller-manager", "")],
    },
    Release {
        name: "kube-scheduler",
        module: KUBERNETES,
        source: Source::File {
            url: "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-scheduler",
            checksums: Some("https://dl.k8s.io/release/{version}/bin/{os}/{arch}/kube-scheduler.sha256"),
        },
        about_mib: 50,
        programs: &[("kube-scheduler", "")],
    },
    Release {
        name: "kwok",
        module: "sigs.k8s.io/kwok",
        source: Source::File {
            url: "https://github.com/kubernetes-sigs/kwok/releases/download/{version}/kwok-{os}-{arch}",
            // Its publisher has none.
            checksums: None,
        },
        about_mib: 60,
        programs: &[("kwok", "")],
    },
    Release {
        name: "helm",
        module: "helm.sh/helm/v4",
        source: Source::Archive {
            url: "https://get.helm.sh/helm-{version}-{os}-{arch}.tar.gz",
            checksums: Some("https://get.helm.sh/helm-{version}-{os}-{arch}.tar.gz.sha256"),
        },
        about_mib: 20,
        programs: &[("helm", "{os}-{arch}/helm")],
    },
    Release {
        name: "kustomize",
        module: "sigs.k8s.io/kustomize/kustomize/v5",
        source: Source::Archive {
            url: "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2F{version}/kustomize_{version}_{os}_{arch}.tar.gz",
            checksums: Some(
                "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2F{version}/checksums.txt",
            ),
        },
        about_mib: 6,
        programs: &[("kustomize", "kustomize")],
    },
    Release {
        name: "source-controller",
        module: "github.com/fluxcd/source-controller",
        source: Source::Image {
            name: "ghcr.io/fluxcd/source-controller",
            pinned: Some((
                "v1.9.4",
                "sha256:8a8ed0a57b8b86f561d5a4309a69f65e62f0cebe4de8801593c5ff35a3bc3c23",
            )),
        },
        about_mib: 30,
        programs: &[("source-controller", "usr/local/bin/source-controller")],
    },
    Release {
        name: "kustomize-controller",
        module: "github.com/fluxcd/kustomize-controller",
        source: Source::Image { name: "ghcr.io/fluxcd/kustomize-controller", pinned: None },
        about_mib: 28,
        programs: &[("kustomize-controller", "usr/local/bin/kustomize-controller")],
    },
    Release {
        name: "helm-controller",
        module: "github.com/fluxcd/helm-controller",
        source: Source::Image { name: "ghcr.io/fluxcd/helm-controller", pinned: None },
        about_mib: 25,
        programs: &[("helm-controller", "usr/local/bin/helm-controller")],
    },
    Release {
        name: "cilium-operator-generic",
        module: CILIUM,
        source: Source::Image {
            name: "quay.io/cilium/operator-generic",
            pinned: Some((
                "v1.20.2",
                "sha256:64d8798350e8569b8e7622563fed6e44dce2625f311e4651b774816516c744fc",
            )),
        },
        about_mib: 35,
        programs: &[("cilium-operator-generic", "usr/bin/cilium-operator-generic")],
    },
    Release {
        name: "flux-operator",
        module: "github.com/controlplaneio-fluxcd/flux-operator",
        source: Source::Image { name: "ghcr.io/controlplaneio-fluxcd/flux-operator", pinned: None },
        about_mib: 30,
        programs: &[(FLUX_OPERATOR_MANAGER, "flux-operator")],
    },
    Release {
        name: "cilium",
        module: CILIUM,
        source: Source::Image {
            name: "quay.io/cilium/cilium",
            pinned: Some((
                "v1.20.2",
                "sha256:2939231d0d3e3ebddcd80fffa168b7ddcc78fdf0dc864d1c8c126ff523c54f01",
            )),
        },
        about_mib: 150,
        programs: &[
            ("cilium-agent", "usr/bin/cilium-agent"),
            ("cilium-dbg", "usr/bin/cilium-dbg"),
            ("cilium-health-responder", "usr/bin/cilium-health-responder"),
            ("cilium-cni", "opt/cni/bin/cilium-cni"),
        ],
    },
    Release {
        name: "clustermesh-apiserver",
        module: CILIUM,
        source: Source::Image {
            name: "quay.io/cilium/clustermesh-apiserver",
            pinned: Some((
                "v1.20.2",
                "sha256:e9ffc79baf76bb98efb87c01be3bca8da998779f4ccdafc97c74132b307305ce",
            )),
        },
        about_mib: 30,
        programs: &[("clustermesh-apiserver", "usr/bin/clustermesh-apiserver")],
    },
    Release {
        name: "gobgp",
        module: "github.com/osrg/gobgp/v4",
        source: Source::Archive {
            url: "https://github.com/osrg/gobgp/releases/download/{version}/gobgp_{number}_{os}_{arch}.tar.gz",
            checksums: Some(
                "https://github.com/osrg/gobgp/releases/download/{version}/gobgp_{number}_checksums.txt",
            ),
        },
        about_mib: 18,
        programs: &[("gobgpd", "gobgpd"), ("gobgp", "gobgp")],
    },
];

#[cfg(test)]
mod tests {
    use super::super::set::{EVERY_SANDBOX, FLUX_OPERATOR, REAL_NETWORK};
    use super::*;

    #[test]
    fn every_program_has_a_release_of_the_version_in_the_build_list() {
        for name in [&EVERY_SANDBOX, &FLUX_OPERATOR, &REAL_NETWORK].iter().flat_map(|set| set.names()) {
            let release = release_of(name).unwrap_or_else(|| panic!("{name} has no release"));
            let version = release.version().unwrap();
            semver::Version::parse(version.trim_start_matches('v')).unwrap();
            match release.source {
                Source::Image { pinned: Some((of, digest)), .. } => {
                    assert_eq!(version, of, "{name}: the pinned digest is of another version");
                    assert!(bootstrapper_core::digest::is_hex(digest.trim_start_matches("sha256:"), 64));
                }
                Source::Image { .. } => {}
                Source::File { url, checksums } | Source::Archive { url, checksums } => {
                    let platform = Platform { os: "linux", arch: "arm64" };
                    for template in [Some(url), checksums].into_iter().flatten() {
                        let url = Release::url(template, &version, platform);
                        assert!(url.starts_with("https://") && !url.contains(['{', '}']), "{url}");
                    }
                }
            }
        }
        let url = "https://a.test/{version}/x_{number}_{os}_{arch}";
        let platform = Platform { os: "linux", arch: "amd64" };
        assert_eq!(Release::url(url, "v1.2.3", platform), "https://a.test/v1.2.3/x_1.2.3_linux_amd64");
    }
}
