//! The assets of the sandbox's programs: charts, CRDs and manifests in the Go modules of their projects.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::Folder;

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

/// The files of each module that are kept.
const PARTS: [(&str, &str, &[&str]); 12] = [
    (
        "cilium",
        CILIUM,
        &["bpf", "clustermesh-apiserver", "install/kubernetes/cilium", "pkg/k8s/apis/cilium.io/client/crds"],
    ),
    ("gateway-api", GATEWAY_API, &["config/crd/standard"]),
    (
        "flux-operator",
        FLUX_OPERATOR,
        &["config/crd", "config/data/flux", "config/data/flux-images", "config/default", "config/manager"],
    ),
    ("cert-manager", CERT_MANAGER, &["deploy/charts/cert-manager"]),
    ("external-secrets", EXTERNAL_SECRETS, &["deploy/charts/external-secrets", "deploy/crds"]),
    ("rook", ROOK, &["deploy/charts/rook-ceph", "deploy/charts/rook-ceph-cluster", "deploy/charts/library"]),
    ("cloudnative-pg", CLOUDNATIVE_PG, &["config/crd/bases"]),
    ("victoria-metrics", VICTORIA_METRICS, &["config/crd/overlay/crd.descriptionless.yaml"]),
    ("plugin-barman-cloud", BARMAN_CLOUD, &["config/crd/bases"]),
    ("external-snapshotter", SNAPSHOTTER, &["config/crd"]),
    ("metrics-server", METRICS_SERVER, &["charts/metrics-server"]),
    ("external-dns", EXTERNAL_DNS, &["charts/external-dns"]),
];

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::step("cannot fetch the modules of the sandbox").caused_by(error)
}

impl Assets {
    /// From the cache; otherwise downloaded from the module proxy into it.
    pub(super) async fn fetch(cache: &Path) -> Result<Self> {
        // Another list of files gets another folder.
        let folder = cache.join(format!("assets-{}", short_sha256(format!("{PARTS:?}"), 8)));
        if !folder.is_dir() {
            fill(cache, &folder).await?;
        }
        Ok(Self {
            cilium: folder.join("cilium"),
            gateway_api: folder.join("gateway-api"),
            flux_operator: folder.join("flux-operator"),
            modules: folder,
        })
    }

    /// The kept files of a module, by its name here.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.modules.join(name)
    }
}

/// Writes to a temporary folder first, and then renames it. Another sandbox may do the same concurrently, and
/// finish first.
async fn fill(cache: &Path, folder: &Path) -> Result<()> {
    let beside = Folder::within(cache).map_err(|error| failed(&error))?;
    let whole = beside.path().join("whole");
    for (name, module, parts) in PARTS {
        let source = download(module).await?;
        for part in parts {
            copy(&source.join(part), &whole.join(name).join(part)).map_err(|error| failed(&error))?;
        }
    }
    match std::fs::rename(&whole, folder) {
        Err(error) if !folder.is_dir() => Err(failed(&error)),
        _ => Ok(()),
    }
}

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
