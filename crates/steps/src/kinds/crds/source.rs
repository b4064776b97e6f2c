//! Sources of CRDs.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::try_join_all;

use crate::flux_owner::FluxOwner;
use crate::kinds::release::declared_in;
use bootstrapper_cluster::{Cluster, FIELD_MANAGER, HELM_CONTROLLER};
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef, is_crd};
use bootstrapper_gitops::{CrdPolicy, HelmAction, Release, UNKNOWN, manifest, manifest_digest};
use bootstrapper_tools::{Helm, Kustomize};

/// A source of CRDs.
pub(crate) enum CrdSource {
    /// Known objects: those of a Kustomization.
    Objects(Vec<Complete<Object>>),
    /// A manifest at an `https://` URL, or a file or folder in the repository.
    Manifest {
        /// The URL, or a path in the repository.
        location: String,
        /// The required SHA-256.
        sha256: Option<String>,
        /// Whether to use only its CRDs.
        only_crds: bool,
        /// Where the step is declared.
        place: Location,
        /// The repository.
        root: PathBuf,
        /// Downloads and builds it.
        kustomize: Arc<Kustomize>,
    },
    /// The CRDs in the charts of these releases.
    Releases {
        /// The releases.
        releases: Vec<Arc<Release>>,
        /// Renders them; or the reason why Helm is missing.
        helm: Result<Arc<Helm>>,
    },
}

impl CrdSource {
    /// The field manager that applies them.
    pub(super) fn manager(&self) -> &'static str {
        match self {
            Self::Releases { .. } => HELM_CONTROLLER,
            Self::Objects(_) | Self::Manifest { .. } => FIELD_MANAGER,
        }
    }

    /// What its objects are called.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Manifest { only_crds: false, .. } => "object",
            Self::Manifest { .. } | Self::Objects(_) | Self::Releases { .. } => "CRD",
        }
    }

    /// What declares the source of a failure: the release whose chart it names, or the only one.
    pub(super) fn subjects(&self, failure: Option<&Failure>) -> Vec<ObjectRef> {
        let Self::Releases { releases, .. } = self else { return Vec::new() };
        let said = failure.map(ToString::to_string).unwrap_or_default();
        let named = releases.iter().find(|release| said.contains(&release.chart.to_string()));
        let only = releases.first().filter(|_| releases.len() == 1);
        named.or(only).map(|release| declared_in(release).to_vec()).unwrap_or_default()
    }

    /// Whether it is a manifest.
    pub(super) fn is_manifest(&self) -> bool {
        matches!(self, Self::Manifest { .. })
    }

    /// The digest of a download without a declared one.
    pub(super) async fn undeclared_digest(&self) -> Option<String> {
        match self {
            Self::Manifest { location, sha256: None, kustomize, .. } => {
                manifest_digest(location, kustomize).await.ok().flatten()
            }
            _ => None,
        }
    }

    /// The CRDs, without other objects in the source unless all are wanted.
    pub(super) async fn crds(&self, cluster: &Cluster) -> Result<Vec<Complete<Object>>> {
        let objects = match self {
            Self::Objects(objects) => objects.clone(),
            Self::Manifest { location, sha256, place, root, kustomize, .. } => {
                let placed = |failure: Failure| match failure.location {
                    None => failure.at(place.clone()),
                    Some(_) => failure,
                };
                if let Some(declared) = sha256 {
                    require(declared, location, kustomize).await.map_err(placed)?;
                }
                whole(manifest(location, root, kustomize).await.map_err(placed)?)
            }
            Self::Releases { releases, helm } => {
                let helm = helm.as_ref().map_err(Clone::clone)?;
                let all = releases.iter().map(|release| of_release(release, helm, cluster));
                whole(try_join_all(all).await?.concat())
            }
        };
        let all = matches!(self, Self::Manifest { only_crds: false, .. });
        Ok(objects.into_iter().filter(|object| all || is_crd(object)).collect())
    }
}

/// Fails if a manifest does not have the declared digest.
async fn require(declared: &str, location: &str, kustomize: &Kustomize) -> Result<()> {
    let Some(fetched) = manifest_digest(location, kustomize).await? else {
        return Err(Failure::input(format!("{location} has a sha256, and is no file"))
            .hint("a git repository is pinned by the commit in `?ref=`"));
    };
    if fetched == declared {
        return Ok(());
    }
    Err(Failure::input(format!("{location} is not the manifest that the step declares"))
        .because(format!("sha256 declared: {declared}"))
        .because(format!("sha256 fetched:  {fetched}"))
        .hint("nothing of it is installed: ask its publisher why it changed, and declare the new sha256 only if you know"))
}

/// Objects that are written literally, or rendered from known values.
fn whole(objects: Vec<Object>) -> Vec<Complete<Object>> {
    objects.into_iter().map(Complete::of_own).collect()
}

async fn of_release(release: &Release, helm: &Helm, cluster: &Cluster) -> Result<Vec<Object>> {
    if release.is_suspended() || FluxOwner(release.id.clone()).owns(cluster).await?.is_some() {
        return Ok(Vec::new());
    }
    let stored = cluster.helm_release(&release.release_namespace, &release.release_name).await?;
    let action = if stored.is_some() { HelmAction::Upgrade } else { HelmAction::Install };
    let request = release.helm_request(action);
    let (shipped, rendered) = tokio::try_join!(helm.show_crds(&request), helm.template(&request))?;
    // A template may contain what only the cluster knows.
    let is_known =
        |crd: &Object| release.installable().is_ok() || !serde_json::json!(crd).to_string().contains(UNKNOWN);
    let owned_by_helm =
        rendered.into_iter().filter(|crd| is_crd(crd) && is_known(crd)).map(|crd| marked_as_of(release, crd));
    let shipped = by_policy(release, release.crds(action), shipped, cluster).await?;
    Ok(shipped.into_iter().chain(owned_by_helm).collect())
}

/// The CRDs outside the templates as Flux applies them, with its labels (`internal/action/crds.go` of
/// helm-controller v1.6.0).
async fn by_policy(
    release: &Release,
    policy: CrdPolicy,
    shipped: Vec<Object>,
    cluster: &Cluster,
) -> Result<Vec<Object>> {
    let wanted = shipped.into_iter().filter(|object| policy != CrdPolicy::Skip && is_crd(object));
    let all = wanted.map(async |mut crd| {
        if policy == CrdPolicy::Create
            && let Some(there) = cluster.get(&ObjectRef::of(&crd)).await?
        {
            return Ok(there);
        }
        crd.metadata.labels.get_or_insert_default().extend(release.origin_labels());
        Ok(crd)
    });
    try_join_all(all).await
}

/// A CRD among a chart's templates belongs to the release: without Helm's ownership metadata, `helm install`
/// rejects it.
fn marked_as_of(release: &Release, mut crd: Object) -> Object {
    crd.metadata.labels.get_or_insert_default().insert("app.kubernetes.io/managed-by".into(), "Helm".into());
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("meta.helm.sh/release-name".into(), release.release_name.clone());
    annotations.insert("meta.helm.sh/release-namespace".into(), release.release_namespace.clone());
    crd
}
