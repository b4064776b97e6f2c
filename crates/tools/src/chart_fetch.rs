//! Fetches each chart once per run.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use super::chart_access::Signature;
use super::chart_archive::check;
use super::chart_index::{Archive, verify};
use super::chart_metadata::{own_version, unfit};
use super::cosign;
use super::limits::{STOPPED, Work};
use super::program::{Call, Program};
use super::registry::Registry;
use super::tracked_chart::{digest_of, tag_of, unpack};
use super::{ChartAccess, ChartSource, Environment};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::private::Folder;

/// A fetched chart.
#[derive(Debug, Clone)]
struct Pulled {
    file: PathBuf,
    /// The tag that it was pulled by, if it comes from a registry.
    tag: Option<String>,
    /// The version in its Chart.yaml.
    own_version: Result<String>,
    /// The check of its archive, if it comes from a classic repository.
    archive: Option<Archive>,
}

/// The charts of a run.
#[derive(Debug)]
pub(super) struct Charts {
    /// Helm.
    program: Program,
    folder: Folder,
    environment: Environment,
    pulled: Mutex<HashMap<ChartSource, Arc<OnceCell<Pulled>>>>,
    /// Charts whose signature was found to be by a key of that Secret.
    verified: Mutex<HashSet<(ChartSource, String)>>,
}

impl Charts {
    /// No charts fetched yet.
    pub(super) fn new(program: Program, environment: &Environment) -> Result<Self> {
        Ok(Self {
            program,
            folder: Folder::new()?,
            environment: environment.clone(),
            pulled: Mutex::default(),
            verified: Mutex::default(),
        })
    }

    /// Fetches the chart, once per run.
    pub(super) async fn pull(&self, chart: &ChartSource, access: &ChartAccess) -> Result<PathBuf> {
        self.pulled(chart, access).await.map(|pulled| pulled.file)
    }

    async fn pulled(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Pulled> {
        access.refusal.clone().or_else(|| chart.refusal()).map_or(Ok(()), Err)?;
        let cell = Arc::clone(self.pulled.lock().await.entry(chart.clone()).or_default());
        let pulled = cell.get_or_try_init(|| self.fetch(chart, access)).await.cloned()?;
        self.require_signature(chart, access, &pulled).await?;
        Ok(pulled)
    }

    /// Fails if a key is known that has not signed the chart.
    async fn require_signature(
        &self,
        chart: &ChartSource,
        access: &ChartAccess,
        pulled: &Pulled,
    ) -> Result<()> {
        let (ChartSource::Oci { url, .. }, Some(Signature::Required(keys))) = (chart, &access.signature)
        else {
            return Ok(());
        };
        let mut verified = self.verified.lock().await;
        let key = (chart.clone(), keys.secret.clone());
        if verified.contains(&key) {
            return Ok(());
        }
        let digest =
            pulled.file.parent().and_then(|folder| std::fs::read_to_string(digest_file(folder)).ok());
        let digest = digest.ok_or_else(|| {
            Failure::step(format!("cannot verify chart {chart}")).because("helm printed no digest of it")
        })?;
        cosign::verify(url, &format!("sha256:{digest}"), keys, access, &self.environment).await?;
        verified.insert(key);
        Ok(())
    }

    /// A remark on a fetched chart that nothing verifies.
    pub(super) async fn unverified_remark(&self, chart: &ChartSource) -> Option<String> {
        self.pulled.lock().await.get(chart)?.get()?.archive.as_ref()?.word.clone()
    }

    /// The SHA-256 of the archive of a chart from a classic repository; none for other charts.
    pub(super) async fn archive_digest(
        &self,
        chart: &ChartSource,
        access: &ChartAccess,
    ) -> Result<Option<String>> {
        if !matches!(chart, ChartSource::Repository { .. }) {
            return Ok(None);
        }
        Ok(self.pulled(chart, access).await?.archive.map(|archive| archive.digest))
    }

    /// The resolved version of a range or digest, from the fetched chart.
    pub(super) async fn resolved_version(&self, chart: &ChartSource, access: &ChartAccess) -> Result<String> {
        self.pulled(chart, access).await?.own_version
    }

    /// Why Flux would never install the chart as it is declared, if its own version says so.
    pub(super) async fn unfit(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Option<Failure>> {
        if !access.is_artifact {
            return Ok(None);
        }
        let pulled = self.pulled(chart, access).await?;
        Ok(unfit(chart, pulled.tag.as_deref(), &pulled.own_version?))
    }

    /// The chart as helm-controller loads it: with the digest of the artifact in its version, if Flux tracks
    /// digests.
    pub(super) async fn load(
        &self,
        chart: &ChartSource,
        access: &ChartAccess,
        is_tracked: bool,
    ) -> Result<PathBuf> {
        self.unfit(chart, access).await?.map_or(Ok(()), Err)?;
        let chart = self.pull(chart, access).await?;
        let digest = chart.parent().and_then(|fetched| std::fs::read_to_string(digest_file(fetched)).ok());
        match digest.filter(|_| is_tracked) {
            None => Ok(chart),
            Some(digest) => {
                let folder = self.folder.subfolder().map_err(|error| {
                    Failure::step("cannot create a temporary folder for a chart").caused_by(&error)
                })?;
                unpack(&chart, &digest, &folder)
            }
        }
    }

    /// The digest to fetch an artifact by: the declared one, or that of a tag which Helm would take for a range.
    async fn artifact_digest(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Option<String>> {
        let (ChartSource::Oci { url, .. }, Some(tag)) =
            (chart, chart.plain_tag().filter(|_| access.is_artifact))
        else {
            return Ok(chart.digest().map(str::to_owned));
        };
        let manifest = Registry::of(url, access, &self.environment).manifest_and_digest(tag).await?;
        manifest.map(|(_, digest)| Some(digest)).ok_or_else(|| {
            Failure::input(format!("cannot fetch chart {chart}"))
                .because("the registry has no such tag")
                .hint("correct the address or `ref.tag` of its OCIRepository")
        })
    }

    async fn fetch(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Pulled> {
        let no_folder =
            |error: std::io::Error| Failure::step("cannot use the chart cache folder").caused_by(&error);
        let folder = self.folder.subfolder().map_err(no_folder)?;
        // Credentials are deleted as soon as the chart is fetched.
        let secrets = Folder::in_memory()?;
        let mut arguments: Vec<OsString> = match chart {
            ChartSource::Oci { url, .. } => {
                let mut arguments = vec!["pull".into(), url.into()];
                arguments.extend(access.of_registry(url, secrets.path())?);
                arguments
            }
            ChartSource::Repository { url, chart: name, .. } => {
                let known: [OsString; 4] = [
                    "--repository-config".into(),
                    access.of_repository(url, secrets.path())?,
                    "--repository-cache".into(),
                    secrets.path().into(),
                ];
                let update = ["repo".into(), "update".into()].into_iter().chain(known.clone());
                let update = Call::new(update).variables(access.variables()).about(chart).doing(Work::Fetch);
                self.program.run(update).await.map_err(|failure| unfetched(failure, chart))?;
                ["pull".into(), format!("repository/{name}").into()].into_iter().chain(known).collect()
            }
            ChartSource::Folder { source, .. } => {
                return Err(Failure::input(format!("cannot fetch chart {chart}"))
                    .because(format!("its source is {source}, which only Flux can read"))
                    .hint(
                        "use an OCIRepository or a HelmRepository for charts that the bootstrap installs",
                    ));
            }
        };
        match (chart, self.artifact_digest(chart, access).await?) {
            (ChartSource::Oci { url, .. }, Some(digest)) => arguments[1] = format!("{url}@{digest}").into(),
            _ => arguments.push(format!("--version={}", chart.version_text()).into()),
        }
        arguments.extend(["--destination".into(), folder.clone().into()]);
        let call = Call::new(arguments).variables(access.variables()).about(chart).doing(Work::Fetch);
        let printed = self.program.run(call).await.map_err(|failure| unfetched(failure, chart))?;
        let printed = String::from_utf8_lossy(&printed);
        if let Some(digest) = digest_of(&printed) {
            std::fs::write(digest_file(&folder), digest).map_err(no_folder)?;
        }
        let mut files = std::fs::read_dir(&folder).map_err(no_folder)?;
        let file = files.find_map(|file| Some(file.ok()?.path()));
        let file = file.ok_or_else(|| Failure::step(format!("helm downloaded no file for chart {chart}")))?;
        // Before Helm or anything else unpacks it.
        let (archive, of) = (file.clone(), chart.clone());
        let index = secrets.path().join("repository-index.yaml");
        let looked = move || {
            let verified = match &of {
                ChartSource::Repository { chart: name, .. } => Some(verify(&index, name, &archive, &of)?),
                _ => None,
            };
            check(&archive, &of)?;
            Ok::<_, Failure>((verified, own_version(&archive, &of)))
        };
        let (archive, own_version) = tokio::task::spawn_blocking(looked)
            .await
            .map_err(|error| Failure::internal("checking a chart was interrupted").caused_by(&error))??;
        let tag = tag_of(&printed).filter(|_| chart.digest().is_none()).map(str::to_owned);
        Ok(Pulled { file, tag, own_version, archive })
    }
}

/// The file that stores the digest of a folder's content.
fn digest_file(folder: &Path) -> PathBuf {
    folder.with_extension("digest")
}

/// Helm's error for a registry in which no tag is a full version. Flux uses the same search.
const NO_VERSIONS: &str = "unable to locate any tags";

/// Errors of registries and repositories for missing or forbidden charts.
const REFUSALS: [&str; 8] = [
    NO_VERSIONS,
    ": not found",
    "not found in",
    "404 Not Found",
    "unauthorized",
    "denied",
    "403 Forbidden",
    "improper constraint",
];

/// Any other error may be a transient network error.
fn unfetched(failure: Failure, chart: &ChartSource) -> Failure {
    let says = |text: &str| failure.because.iter().any(|said| said.contains(text));
    let (has_no_versions, is_stopped) = (says(NO_VERSIONS), says(STOPPED));
    let is_refused = REFUSALS.into_iter().any(says);
    let failure = Failure { what: format!("cannot fetch chart {chart}"), ..failure };
    if has_no_versions {
        failure.hint("declare the exact tag: version ranges match only registry tags such as 1.2.3, not v1.2.3 or 1.2 (also in Flux)")
    } else if is_stopped {
        failure
    } else if is_refused {
        failure.hint("correct the chart's address or version in the HelmRelease; for a private registry run `helm registry login`")
    } else {
        failure.retry(Retry::MayHelp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_chart_is_not_requested_again() {
        let chart = ChartSource::Oci { url: "oci://r.test/charts/x".into(), version: "1.0.0".into() };
        let table = [
            (
                "failed to perform \"FetchReference\" on source: r.test/charts/x:1.0.0: not found",
                Retry::Useless,
            ),
            ("chart \"x\" version \"1.0.0\" not found in https://r.test repository", Retry::Useless),
            ("response status code 401: unauthorized: authentication required", Retry::Useless),
            ("unable to locate any tags in provided repository: oci://r.test/charts/x", Retry::Useless),
            ("dial tcp: lookup r.test: i/o timeout", Retry::MayHelp),
            ("unexpected status from HEAD request: 503 Service Unavailable", Retry::MayHelp),
        ];
        for (said, retry) in table {
            assert_eq!(
                unfetched(Failure::step("helm pull failed").because(said), &chart).retry,
                retry,
                "{said}"
            );
        }
    }
}
