//! The assets of the sandbox's programs: charts, CRDs and manifests in the Go modules of their projects.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::download::Missed;
use super::fetch::AT_ONCE;
use super::module_zip::{self, Module};
use super::progress::{Meter, Progress};
use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::Folder;
use bootstrapper_tools::Environment;

const CILIUM: &str = "github.com/cilium/cilium@v1.20.2";
const GATEWAY_API: &str = "sigs.k8s.io/gateway-api@v1.6.1";
pub(super) const FLUX_OPERATOR: &str = "github.com/controlplaneio-fluxcd/flux-operator@v0.58.1";
const CERT_MANAGER: &str = "github.com/cert-manager/cert-manager@v1.21.2";
const EXTERNAL_SECRETS: &str = "github.com/external-secrets/external-secrets@v1.3.2";
const ROOK: &str = "github.com/rook/rook@v1.20.6";
const CLOUDNATIVE_PG: &str = "github.com/cloudnative-pg/cloudnative-pg@v1.30.0";
const VICTORIA_METRICS: &str = "github.com/VictoriaMetrics/operator@v0.74.1";
const BARMAN_CLOUD: &str = "github.com/cloudnative-pg/plugin-barman-cloud@v0.13.0";
const SNAPSHOTTER: &str = "github.com/kubernetes-csi/external-snapshotter/client/v8@v8.6.0";
// Each contains a chart, which has a version of its own (upstream/charts.rs).
const METRICS_SERVER: &str = "sigs.k8s.io/metrics-server@v0.9.0";
const EXTERNAL_DNS: &str = "sigs.k8s.io/external-dns@v0.22.0";

/// The unpacked modules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Assets {
    pub cilium: PathBuf,
    pub gateway_api: PathBuf,
    pub flux_operator: PathBuf,
    modules: PathBuf,
}

/// A Go module, and what of it is kept.
struct Kept {
    /// Its folder here.
    name: &'static str,
    /// `path@version`.
    module: &'static str,
    /// Its hash, as in go.sum.
    hash: &'static str,
    /// The approximate size of its zip in MiB, for progress.
    about_mib: u64,
    /// The kept files and folders.
    parts: &'static [&'static str],
}

const KEPT: [Kept; 12] = [
    Kept {
        name: "cilium",
        module: CILIUM,
        hash: "h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=",
        about_mib: 36,
        parts: &[
            "bpf",
            "clustermesh-apiserver",
            "install/kubernetes/cilium",
            "pkg/k8s/apis/cilium.io/client/crds",
        ],
    },
    Kept {
        name: "gateway-api",
        module: GATEWAY_API,
        hash: "h1:mock6phZbI6rvZerwrVNk7hVNymQgHo+6sJ81Ia7ftY=",
        about_mib: 3,
        parts: &["config/crd/standard"],
    },
    Kept {
        name: "flux-operator",
        module: FLUX_OPERATOR,
        hash: "h1:ME/p3jGf5h9bNmQ5dhQBSjvj0G+7NTI1k3At+pCscis=",
        about_mib: 5,
        parts: &[
            "config/crd",
            "config/data/flux",
            "config/data/flux-images",
            "config/default",
            "config/manager",
        ],
    },
    Kept {
        name: "cert-manager",
        module: CERT_MANAGER,
        hash: "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        about_mib: 4,
        parts: &["deploy/charts/cert-manager"],
    },
    Kept {
        name: "external-secrets",
        module: EXTERNAL_SECRETS,
        hash: "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        about_mib: 19,
        parts: &["deploy/charts/external-secrets", "deploy/crds"],
    },
    Kept {
        name: "rook",
        module: ROOK,
        hash: "h1:2+Qe/CLcZ2WrXf9Vhf21JwZQqN8cVXPQskZzHf3KLjU=",
        about_mib: 4,
        parts: &["deploy/charts/rook-ceph", "deploy/charts/rook-ceph-cluster", "deploy/charts/library"],
    },
    Kept {
        name: "cloudnative-pg",
        module: CLOUDNATIVE_PG,
        hash: "h1:fnhVq44xXx97MNiuvJsPrX1vSjYbgdyBK5MSGfdHdp0=",
        about_mib: 14,
        parts: &["config/crd/bases"],
    },
    Kept {
        name: "victoria-metrics",
        module: VICTORIA_METRICS,
        hash: "h1:NyGPEt1HlrwpF9zSqdcrrBaxI2uUfndNppOCmlDrZhc=",
        about_mib: 4,
        parts: &["config/crd/overlay/crd.descriptionless.yaml"],
    },
    Kept {
        name: "plugin-barman-cloud",
        module: BARMAN_CLOUD,
        hash: "h1:dcEVsozSmdx5p2LbG1hbkWBvr6LXs1xpCsQiJWpo/ew=",
        about_mib: 1,
        parts: &["config/crd/bases"],
    },
    Kept {
        name: "external-snapshotter",
        module: SNAPSHOTTER,
        hash: "h1:FtGewu2k6HWw6evLGXY8JqUZ9eHpti1kd3e4amj+ilA=",
        about_mib: 1,
        parts: &["config/crd"],
    },
    Kept {
        name: "metrics-server",
        module: METRICS_SERVER,
        hash: "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=",
        about_mib: 1,
        parts: &["charts/metrics-server"],
    },
    Kept {
        name: "external-dns",
        module: EXTERNAL_DNS,
        hash: "h1:+ASJ3KF7DLqHo2LsG8Qinuh2J389MS86I19i/r8ewUc=",
        about_mib: 2,
        parts: &["charts/external-dns"],
    },
];

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::step("cannot fetch the modules of the sandbox").caused_by(error)
}

impl Assets {
    /// From the cache; none if they are not there.
    pub(super) fn cached(cache: &Path) -> Option<Self> {
        let folder = folder(cache);
        folder.is_dir().then(|| Self {
            cilium: folder.join("cilium"),
            gateway_api: folder.join("gateway-api"),
            flux_operator: folder.join("flux-operator"),
            modules: folder,
        })
    }

    /// Adds them to the progress of downloads.
    pub(super) fn meters<'a>(progress: &'a Progress<'a>) -> Vec<Meter<'a>> {
        KEPT.iter().map(|kept| progress.part(kept.name, kept.about_mib)).collect()
    }

    /// Downloads them into the cache, without Go.
    pub(super) async fn download(
        cache: &Path,
        environment: &Environment,
        meters: &[Meter<'_>],
    ) -> Result<(), Missed> {
        let beside = Folder::within(cache).map_err(|error| failed(&error))?;
        let whole = beside.path().join("whole");
        let all = KEPT.iter().zip(meters).map(async |(kept, meter)| {
            let known = Module { name: kept.module, hash: kept.hash };
            let zip = beside.path().join(format!("{}.zip", kept.name));
            module_zip::fetch(known, kept.parts, &whole.join(kept.name), &zip, environment, meter).await?;
            meter.done();
            Ok::<(), Missed>(())
        });
        let mut all = futures::stream::iter(all).buffer_unordered(AT_ONCE);
        while let Some(fetched) = all.next().await {
            fetched?;
        }
        Ok(move_into_place(&whole, &folder(cache))?)
    }

    /// Fetches them into the cache with Go.
    pub(super) async fn fetch_with_go(cache: &Path) -> Result<()> {
        let beside = Folder::within(cache).map_err(|error| failed(&error))?;
        let whole = beside.path().join("whole");
        for Kept { name, module, parts, .. } in KEPT {
            let source = download(module).await?;
            for part in parts {
                copy(&source.join(part), &whole.join(name).join(part)).map_err(|error| failed(&error))?;
            }
        }
        move_into_place(&whole, &folder(cache))
    }

    /// The folder of all modules.
    pub(super) fn folder(&self) -> &Path {
        &self.modules
    }

    /// The kept files of a module, by its name here.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.modules.join(name)
    }
}

/// Another list of files gets another folder.
fn folder(cache: &Path) -> PathBuf {
    let list: Vec<_> = KEPT.iter().map(|kept| (kept.name, kept.module, kept.parts)).collect();
    cache.join(format!("assets-{}", short_sha256(format!("{list:?}"), 8)))
}

/// The hash of a module, `path@version`, if it is one of these.
pub(super) fn known_hash(module: &str) -> Option<&'static str> {
    KEPT.iter().find(|kept| kept.module == module).map(|kept| kept.hash)
}

fn move_into_place(whole: &Path, folder: &Path) -> Result<()> {
    match std::fs::rename(whole, folder) {
        Err(error) if !folder.is_dir() => Err(failed(&error)),
        _ => Ok(()),
    }
}

/// The folder of a module, with Go.
pub(super) async fn download(module: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        #[serde(default)]
        dir: PathBuf,
        error: Option<String>,
    }
    let nowhere = Folder::new()?;
    let output = tokio::process::Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(nowhere.path())
        .env("GOFLAGS", "-mod=mod")
        .output()
        .await
        .map_err(|error| failed(&error).hint("install Go: charts, CRDs and programs come as Go modules"))?;
    let answer: Module = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))?;
    match answer.error {
        Some(error) => Err(Failure::step(format!("cannot fetch module {module}")).because(error)),
        None => Ok(answer.dir),
    }
}

/// Copies a folder, or one file.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let within = entry.path().strip_prefix(from).unwrap_or(entry.path());
        let target = if within.as_os_str().is_empty() { to.to_owned() } else { to.join(within) };
        std::fs::create_dir_all(target.parent().unwrap_or(to))?;
        // Modules are unpacked read-only; copies are writable.
        std::fs::write(&target, std::fs::read(entry.path())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::build::{sum_of, version_of};
    use super::*;

    #[test]
    fn every_module_has_a_hash_and_that_of_the_build_list_if_it_is_in_it() {
        let mut in_build_list = 0;
        for Kept { name, module, hash, .. } in KEPT {
            assert!(hash.starts_with("h1:") && hash.len() == 47, "{name}: {hash}");
            if let Some(sum) = sum_of(module) {
                assert_eq!(sum, hash, "{name}");
                in_build_list += 1;
            }
        }
        assert!(in_build_list > 0);
        let (path, version) = CILIUM.split_once('@').unwrap();
        assert_eq!(version_of(path).unwrap(), version);
        let (path, version) = FLUX_OPERATOR.split_once('@').unwrap();
        assert_eq!(version_of(path).unwrap(), version);
    }

    /// Go's own checksum database has confirmed what is in its cache.
    #[test]
    fn the_hashes_are_those_of_go() {
        let cache = std::process::Command::new("go").args(["env", "GOMODCACHE"]).output();
        let Ok(cache) = cache else { return };
        let cache = PathBuf::from(String::from_utf8(cache.stdout).unwrap().trim()).join("cache/download");
        for Kept { name, module, hash, .. } in KEPT {
            let (path, version) = module.split_once('@').unwrap();
            let escaped = path.replace("VictoriaMetrics", "!victoria!metrics");
            let file = cache.join(escaped).join("@v").join(format!("{version}.ziphash"));
            if let Ok(known) = std::fs::read_to_string(file) {
                assert_eq!(known.trim(), hash, "{name}");
            }
        }
    }
}
