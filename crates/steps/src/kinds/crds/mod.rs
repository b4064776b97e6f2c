//! CRDs that later steps use: applied, established, and served by discovery.

mod left_to_flux;
mod source;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::OnceCell;

use crate::explain::{Explainer, about};
use crate::flux_owner::FluxOwner;
use crate::following::follow_ready;
use crate::objects::ObjectSet;
pub(super) use source::CrdSource;

use super::Kind;
use crate::plan::{Inputs, Planned, Planner};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::object::{Object, ObjectRef, is_crd};
use bootstrapper_core::verdict::{Readiness, Reason, Verdict};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Act, Cause, Changes, Diff, Observation, Owned, Step, Stuck, Teardown, Undo};
use bootstrapper_gitops::pipeline::{CrdsSpec, Manifest, Named, is_sha256};

/// CRDs from one source.
pub(super) struct Crds {
    /// The API server.
    pub cluster: Cluster,
    /// Their source.
    pub source: CrdSource,
    /// The Flux object that owns them once Flux runs.
    pub owner: Option<FluxOwner>,
    /// Kustomizations that the owner applies, which own some of them.
    pub brings: Vec<ObjectRef>,
    objects: OnceCell<ObjectSet>,
    explainer: Explainer,
}

impl Crds {
    /// CRDs from `source`, left to `owner` once it has taken over.
    pub(super) fn new(cluster: Cluster, source: CrdSource, owner: Option<FluxOwner>) -> Self {
        let (objects, explainer) = (OnceCell::new(), Explainer::default());
        Self { cluster, source, owner, brings: Vec::new(), objects, explainer }
    }

    /// The same, if Kustomizations that the owner applies own some of them.
    #[must_use]
    pub(super) fn with_children(self, brings: Vec<ObjectRef>) -> Self {
        Self { brings, ..self }
    }

    fn owners(&self) -> Vec<ObjectRef> {
        self.owner.iter().map(|owner| owner.0.clone()).chain(self.brings.iter().cloned()).collect()
    }

    /// The CRDs that Flux does not own yet, read from their source once.
    async fn objects(&self) -> Result<&ObjectSet> {
        self.objects
            .get_or_try_init(|| async {
                let all = self.all().await?;
                if !self.source.is_manifest() {
                    return Ok(all);
                }
                let objects = left_to_flux::without_flux_owned(&self.cluster, all.objects).await?;
                Ok(ObjectSet { objects, ..all })
            })
            .await
    }

    /// All CRDs, whoever owns them.
    async fn all(&self) -> Result<ObjectSet> {
        Ok(ObjectSet {
            cluster: self.cluster.clone(),
            noun: self.source.noun().to_owned(),
            objects: self.source.crds(&self.cluster).await?,
            owner: self.owner.clone(),
            manager: self.source.manager(),
            readiness: Some(Arc::default()),
            explainer: Explainer::default(),
        })
    }

    /// The remark about a download without a declared digest.
    async fn unverified(&self) -> String {
        match self.source.undeclared_digest().await {
            Some(digest) => format!("; not verified, pin it with sha256: {digest}"),
            None => String::new(),
        }
    }

    async fn owned_by_flux(&self) -> Result<Option<String>> {
        match &self.owner {
            Some(owner) => owner.owns(&self.cluster).await,
            None => Ok(None),
        }
    }
}

impl Kind for CrdsSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Inputs { cluster, declared, .. } = planner.inputs;
        let (title, source) = match self {
            Self::Kustomization(name) => {
                let all = declared.with_children(name);
                let Some((kustomization, brought)) = all.split_first() else {
                    return planner.absent("Kustomization", name);
                };
                let title = format!("CRDs of Kustomization {name}");
                let digest = planner.digest_of(all.iter().flat_map(|one| &one.objects));
                let crds = all.iter().map(|one| one.complete(is_crd)).collect::<Result<Vec<_>>>();
                let crds = match crds {
                    Ok(crds) => crds.concat(),
                    Err(failure) => {
                        let named = all.iter().flat_map(|one| &one.objects).filter(|object| is_crd(object));
                        let named = named.cloned().collect();
                        let step = planner.impossible(title, planner.placed(failure), "CRD", named);
                        return Ok(step.with_digest(digest));
                    }
                };
                let owner = Some(FluxOwner(kustomization.id.clone()));
                let brings = brought.iter().map(|one| one.id.clone()).collect();
                let step = Crds::new(cluster.clone(), CrdSource::Objects(crds), owner);
                return Ok(Planned::step(title, step.with_children(brings)).with_digest(digest));
            }
            Self::Manifest(manifest) => {
                let source = manifest_source(planner, manifest, true)?;
                (format!("CRDs of {}", manifest_title(&source)), source)
            }
            Self::Releases(named) => {
                if let Named::These(names) = named
                    && let Some(absent) = names.iter().find(|name| declared.release(name).is_none())
                {
                    return planner.absent("HelmRelease", absent);
                }
                let fetchable = declared.releases.iter().filter(|release| release.is_fetchable());
                let wanted = fetchable.filter(|release| named.has_release(declared, release));
                let releases: Vec<_> = wanted.cloned().map(Arc::new).collect();
                let title = format!("CRDs of {}", count(releases.len(), "release"));
                (title, CrdSource::Releases { releases, helm: planner.inputs.helm.clone() })
            }
        };
        Ok(Planned::step(title, Crds::new(cluster.clone(), source, None)))
    }
}

/// A manifest in the repository or at a URL; all its objects, or only its CRDs.
pub(super) fn manifest_source(
    planner: &Planner<'_>,
    manifest: &Manifest,
    only_crds: bool,
) -> Result<CrdSource> {
    let placed = |failure| planner.placed(failure);
    let location = address(planner, &manifest.location).map_err(placed)?;
    if !location.contains("://") {
        planner.path(Path::new(&location)).map_err(placed)?;
    }
    let sha256 = declared_digest(planner, manifest.sha256.as_deref()).map_err(placed)?;
    Ok(CrdSource::Manifest {
        location,
        sha256,
        only_crds,
        place: planner.spec.place().clone(),
        root: planner.inputs.repository.root.clone(),
        kustomize: Arc::clone(&planner.inputs.kustomize),
    })
}

/// Its URL or path.
pub(super) fn manifest_title(source: &CrdSource) -> &str {
    match source {
        CrdSource::Manifest { location, .. } => location.rsplit("://").next().unwrap_or(location),
        CrdSource::Objects(_) | CrdSource::Releases { .. } => "",
    }
}

/// The text with its variables, if none of them is secret.
fn address(planner: &Planner<'_>, text: &str) -> Result<String> {
    if let Some(address) = planner.inputs.declared.substituted_openly(text)? {
        return Ok(address);
    }
    Err(Failure::input("the address of a manifest contains a secret value")
        .because("the server at that address would receive it, so it was not fetched")
        .hint("remove the variable"))
}

/// A declared digest. An empty setting declares none.
fn declared_digest(planner: &Planner<'_>, declared: Option<&str>) -> Result<Option<String>> {
    let Some(text) = declared else { return Ok(None) };
    let digest = planner.substituted(text)?.trim().to_ascii_lowercase();
    if digest.is_empty() || is_sha256(&digest) {
        return Ok(Some(digest).filter(|digest| !digest.is_empty()));
    }
    Err(Failure::input(format!("sha256 of a manifest is `{text}`, which is no SHA-256"))
        .hint("give 64 hexadecimal digits, as `sha256sum` prints them"))
}

#[async_trait]
impl Undo for Crds {
    async fn owned(&self) -> Result<Owned> {
        // Flux's labels identify what it has taken over; the source need not be reachable.
        if self.owned_by_flux().await?.is_some() {
            return Ok(Owned { owners: self.owners(), ..Owned::default() });
        }
        Ok(Owned { owners: self.owners(), ..self.all().await?.owned().await? })
    }

    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes> {
        self.all().await?.teardown(teardown).await
    }
}

#[async_trait]
impl Step for Crds {
    async fn observe(&self) -> Result<Observation> {
        // What Flux owns need not be downloaded.
        if let Some(summary) = self.owned_by_flux().await? {
            return Ok(Observation::Satisfied { summary, unchanged: 0 });
        }
        let observation = self.objects().await?.observe().await?;
        let unverified = self.unverified().await;
        let said = |diff: Diff| Diff { summary: format!("{}{unverified}", diff.summary), ..diff };
        Ok(match observation {
            Observation::Satisfied { unchanged, .. } => {
                let summary = format!("{} served{unverified}", count(unchanged, self.source.noun()));
                Observation::Satisfied { summary, unchanged }
            }
            Observation::Missing(diff) => Observation::Missing(said(diff)),
            Observation::Drifted(diff) => Observation::Drifted(said(diff)),
            other => other,
        })
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let changes = self.objects().await?.act(act).await?;
        Ok(Changes { summary: format!("{}{}", changes.summary, self.unverified().await), ..changes })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        futures::stream::once(async move {
            let Some(objects) = self.objects.get() else {
                // Never read: Flux owns them, so only its own object is watched.
                return match &self.owner {
                    Some(owner) => owner.settle_or(&self.cluster, unread()),
                    None => unread(),
                };
            };
            let refs = objects.objects.iter().map(|object| ObjectRef::of(object)).collect();
            let cluster = self.cluster.clone();
            let crds: Vec<Object> = objects.objects.iter().map(|crd| Object::clone(crd)).collect();
            follow_ready(&self.cluster, refs)
                .then(move |readiness| {
                    let (cluster, crds) = (cluster.clone(), crds.clone());
                    async move {
                        let established = readiness?;
                        if !established.verdict.is_ready() {
                            return Ok(established);
                        }
                        Ok(Readiness { verdict: all_served(&cluster, &crds).await?, ..established })
                    }
                })
                .boxed()
        })
        .flatten()
        .boxed()
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        match self.objects.get() {
            Some(objects) => objects.explain(stuck).await,
            // They could not be read from their source.
            None => {
                let causes = self.explainer.of_objects(&self.cluster, &[], stuck).await;
                about(causes, &self.source.subjects(stuck.failure))
            }
        }
    }
}

fn unread() -> BoxStream<'static, Result<Readiness>> {
    futures::stream::once(async { Ok(Verdict::not_yet("CRDs were not read yet").into()) }).boxed()
}

/// Established does not mean served: discovery follows a moment later, without an event to watch.
async fn all_served(cluster: &Cluster, crds: &[Object]) -> Result<Verdict> {
    let look = || async {
        match unserved(cluster, crds).await {
            Ok(missing) if missing.is_empty() => Ok(()),
            Ok(missing) => Err(Ok(missing)),
            Err(failure) => Err(Err(failure)),
        }
    };
    let until_served = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(30);
    let may_pass = |looked: &Result<Vec<String>>| {
        looked.as_ref().err().is_none_or(|failure| failure.retry != Retry::Useless)
    };
    match look.retry(until_served).when(may_pass).await {
        Ok(()) => Ok(Verdict::Ready),
        Err(looked) => looked.map(|missing| Verdict::NotYet(missing.into_iter().map(Reason::from).collect())),
    }
}

async fn unserved(cluster: &Cluster, crds: &[Object]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for crd in crds {
        let Some((api_version, kind)) = served_as(crd) else { continue };
        if !cluster.serves(&api_version, &kind).await? {
            missing.push(format!("{kind} {api_version} is established, but not served yet"));
        }
    }
    Ok(missing)
}

/// The group version and plural of a CRD's storage version, as discovery lists it.
fn served_as(crd: &Object) -> Option<(String, String)> {
    let spec = &crd.data["spec"];
    let version = spec["versions"].as_array()?.iter().find(|version| version["storage"] == true)?;
    let group = spec["group"].as_str()?;
    Some((format!("{group}/{}", version["name"].as_str()?), spec["names"]["kind"].as_str()?.to_owned()))
}
