//! Helm: fetches charts once per run, renders, and installs without waiting.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::Deserialize;

use super::chart_fetch::Charts;
use super::limits::Work;
use super::post_render::{PostRendering, helm_arguments};
use super::program::{Call, Program};
use super::transient::is_transient;
use super::{ChartAccess, ChartSource, Environment};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::object::{Complete, Object};
use bootstrapper_core::yaml;

/// The first version with `--take-ownership` and the required `registry` semantics.
const OLDEST: Version = Version::new(3, 17, 0);

/// A release to render or install.
#[derive(Debug, Clone)]
pub struct HelmRequest {
    /// The release's name.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Its chart.
    pub chart: ChartSource,
    /// Access to its source.
    pub access: ChartAccess,
    /// Its values.
    pub values: serde_json::Value,
    /// The integer values, passed with `--set`. Other numbers in values are floats in charts.
    pub integers: Vec<String>,
    /// The post-rendering.
    pub post_rendering: PostRendering,
    /// Whether to skip the CRDs in the chart's `crds` folder.
    pub skip_crds: bool,
    /// Additional options for install or upgrade: `--no-hooks`.
    pub flags: Vec<String>,
    /// Whether to append the digest of the artifact to the chart's version.
    pub is_tracked: bool,
}

/// How a program connects to the API server.
#[derive(Debug, Clone)]
pub struct KubeAccess {
    /// The kubeconfig file; the default one if none.
    pub kubeconfig: Option<PathBuf>,
    /// The context.
    pub context: String,
    /// The folder for Helm's discovery cache; the default one if none.
    pub cache: Option<PathBuf>,
}

/// The rendered output of an upgrade.
#[derive(Debug)]
pub struct Rehearsal {
    /// The rendered templates.
    pub objects: Vec<Object>,
    /// The hooks.
    pub hooks: Vec<Object>,
}

/// The relevant part of Helm's JSON output.
#[derive(Deserialize)]
struct Printed {
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    hooks: Vec<PrintedHook>,
}

#[derive(Deserialize)]
struct PrintedHook {
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    events: Vec<String>,
}

/// The label of a release with the archive of a revision, for classic repositories: there the archive of a
/// version may change.
pub const CHART_DIGEST: &str = "bootstrapper-chart";

/// A label cannot hold a whole SHA-256; and later revisions inherit it, so it contains the revision.
pub fn chart_label(revision: u64, digest: &str) -> String {
    format!("{revision}.{}", digest.get(..40).unwrap_or(digest))
}

/// Helm 3.17 or newer.
#[derive(Debug)]
pub struct Helm {
    program: Program,
    environment: Environment,
    version: Version,
    charts: Charts,
}

impl Helm {
    /// Finds `helm` and reads its version.
    pub async fn find(environment: &Environment) -> Result<Self> {
        let program = Program::require("helm", environment, "install Helm 3.17 or newer")?;
        let printed = program.run(Call::new(["version", "--template", "{{.Version}}"])).await?;
        let printed = String::from_utf8_lossy(&printed);
        let version = Version::parse(printed.trim().trim_start_matches('v')).map_err(|_| {
            Failure::input(format!("cannot parse the version of helm: `{}`", printed.trim()))
                .hint("install Helm 3.17 or newer")
        })?;
        if version < OLDEST {
            return Err(Failure::input(format!("helm {version} is too old: {OLDEST} or newer is required"))
                .hint("upgrade helm"));
        }
        let charts = Charts::new(program.clone(), environment)?;
        Ok(Self { program, environment: environment.clone(), version, charts })
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Fetches the chart, once per run.
    pub async fn pull(&self, chart: &ChartSource, access: &ChartAccess) -> Result<PathBuf> {
        self.charts.pull(chart, access).await
    }

    /// A remark on a fetched chart that nothing verifies.
    pub async fn unverified_remark(&self, chart: &ChartSource) -> Option<String> {
        self.charts.unverified_remark(chart).await
    }

    /// The SHA-256 of the archive of a chart from a classic repository; none for other charts.
    pub async fn archive_digest(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Option<String>> {
        self.charts.archive_digest(chart, access).await
    }

    /// The resolved version of a range or digest, from the fetched chart.
    pub async fn resolved_version(&self, chart: &ChartSource, access: &ChartAccess) -> Result<String> {
        self.charts.resolved_version(chart, access).await
    }

    /// Why Flux would never install the chart as it is declared, if its own version says so. Fails if the chart
    /// cannot be fetched.
    pub async fn unfit(&self, chart: &ChartSource, access: &ChartAccess) -> Result<Option<Failure>> {
        self.charts.unfit(chart, access).await
    }

    /// The chart of a request, as helm-controller loads it. Fails if Flux would never install it.
    async fn chart(&self, request: &HelmRequest) -> Result<PathBuf> {
        self.charts.load(&request.chart, &request.access, request.is_tracked).await
    }

    /// The CRDs in the chart's `crds` folder.
    pub async fn show_crds(&self, request: &HelmRequest) -> Result<Vec<Object>> {
        let chart = self.pull(&request.chart, &request.access).await?;
        let shown =
            self.program.run(Call::new(["show".as_ref(), "crds".as_ref(), chart.as_os_str()])).await?;
        objects(&shown, &request.chart)
    }

    /// The chart's templates, rendered without a cluster and post-rendered.
    pub async fn template(&self, request: &HelmRequest) -> Result<Vec<Object>> {
        let chart = self.chart(request).await?;
        let call = Call::new(Self::arguments("template", request, &chart))
            .stdin(values(request))
            .about(&request.chart);
        let rendered = String::from_utf8_lossy(&self.program.run(call).await?).into_owned();
        let post_rendered = request.post_rendering.run(rendered, &self.environment).await?;
        objects(post_rendered.as_bytes(), &request.chart)
    }

    /// Installs or upgrades the release. Returns as soon as the API server has accepted the objects; probes
    /// check whether they become ready. `revision` is the one that it creates.
    pub async fn upgrade_install(
        &self,
        request: &Complete<HelmRequest>,
        revision: u64,
        access: &KubeAccess,
    ) -> Result<()> {
        self.upgrade(request, Some(revision), access).await.map(drop)
    }

    /// The rendered output of an upgrade, with the cluster's capabilities and lookups. Writes nothing.
    pub async fn rehearse(&self, request: &HelmRequest, access: &KubeAccess) -> Result<Rehearsal> {
        let printed = self.upgrade(request, None, access).await?;
        let printed: Printed = serde_json::from_slice(&printed).map_err(|error| {
            Failure::step(format!("cannot parse the helm output for {}", request.chart)).caused_by(&error)
        })?;
        let hooks =
            printed.hooks.iter().filter(|hook| hook.events.iter().any(|event| event.contains("upgrade")));
        let hooks = hooks.map(|hook| objects(hook.manifest.as_bytes(), &request.chart));
        Ok(Rehearsal {
            objects: objects(printed.manifest.as_bytes(), &request.chart)?,
            hooks: hooks.collect::<Result<Vec<_>>>()?.concat(),
        })
    }

    /// Upgrades to a revision; without one, does a dry run.
    async fn upgrade(
        &self,
        request: &HelmRequest,
        revision: Option<u64>,
        access: &KubeAccess,
    ) -> Result<Vec<u8>> {
        let chart = self.chart(request).await?;
        let mut arguments = Self::arguments("upgrade", request, &chart);
        arguments.extend(["--install", "--create-namespace", "--reset-values"].map(OsString::from));
        arguments.extend(["--burst-limit=300", "--qps=100"].map(OsString::from));
        arguments.extend(request.flags.iter().map(OsString::from));
        if request.skip_crds {
            arguments.push("--skip-crds".into());
        }
        if let Some(revision) = revision
            && let Some(digest) = self.archive_digest(&request.chart, &request.access).await?
        {
            arguments.push(format!("--labels={CHART_DIGEST}={}", chart_label(revision, &digest)).into());
        }
        if self.version.major >= 4 {
            // Client-side apply, so that helm-controller can later remove fields that Helm set.
            arguments.push("--server-side=false".into());
        }
        arguments.extend(reaching(access));
        // Its folder exists as long as Helm runs.
        let post_renderer = helm_arguments(&request.post_rendering, &self.environment, &self.version)?;
        arguments.extend(post_renderer.arguments.iter().cloned());
        if revision.is_none() {
            arguments.extend(["--dry-run=server", "--output=json"].map(OsString::from));
        }
        let variables = [post_renderer.variables.clone(), remembering(access)].concat();
        let call = Call::new(arguments)
            .stdin(values(request))
            .variables(variables)
            .about(&request.chart)
            .doing(Work::Cluster);
        let call = match revision {
            Some(revision) => call.making(revision),
            None => call,
        };
        self.program.run(call).await.map_err(classified)
    }

    /// Uninstalls a release, if it exists.
    pub async fn uninstall(&self, release: &str, namespace: &str, access: &KubeAccess) -> Result<()> {
        let mut arguments: Vec<OsString> =
            vec!["uninstall".into(), release.into(), "--ignore-not-found".into()];
        arguments.push(format!("--namespace={namespace}").into());
        arguments.extend(reaching(access));
        self.program
            .run(Call::new(arguments).variables(remembering(access)).doing(Work::Cluster))
            .await
            .map(drop)
            .map_err(classified)
    }

    fn arguments(verb: &str, request: &HelmRequest, chart: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![verb.into(), request.release.clone().into(), chart.into()];
        arguments.push(format!("--namespace={}", request.namespace).into());
        arguments.push("--values=-".into());
        arguments.extend(request.integers.iter().map(|integer| format!("--set={integer}").into()));
        arguments
    }
}

/// Helm's connection options.
fn reaching(access: &KubeAccess) -> Vec<OsString> {
    let mut arguments = vec![format!("--kube-context={}", access.context).into()];
    if let Some(kubeconfig) = &access.kubeconfig {
        arguments.extend(["--kubeconfig".into(), kubeconfig.into()]);
    }
    arguments
}

/// The folder of Helm's discovery cache.
fn remembering(access: &KubeAccess) -> Vec<(&'static str, OsString)> {
    access.cache.iter().map(|folder| ("KUBECACHEDIR", folder.clone().into_os_string())).collect()
}

/// JSON is valid YAML, and needs no quoting rules.
fn values(request: &HelmRequest) -> Vec<u8> {
    request.values.to_string().into_bytes()
}

fn objects(text: &[u8], chart: &ChartSource) -> Result<Vec<Object>> {
    let text = String::from_utf8_lossy(text);
    let documents: Vec<serde_json::Value> = yaml::from_multiple(&text, Path::new(&chart.to_string()))?;
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .map(|document| {
            serde_json::from_value(document).map_err(|error| {
                Failure::input(format!("chart {chart} renders a document that is not an object"))
                    .caused_by(&error)
            })
        })
        .collect()
}

/// Helm quotes the API server's message.
fn classified(failure: Failure) -> Failure {
    let is_transient = failure.because.iter().any(|said| is_transient(said));
    if is_transient { failure.retry(Retry::MayHelp) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
        let may_pass = Failure::step("helm upgrade failed")
            .because("Kubernetes cluster unreachable: connection refused");
        let refusal = Failure::step("helm upgrade failed")
            .because("values don't meet the specifications of the schema");
        assert_eq!(classified(may_pass).retry, Retry::MayHelp);
        assert_eq!(classified(refusal).retry, Retry::Useless);
    }

    #[test]
    fn anything_may_be_printed_by_helm() {
        let chart =
            ChartSource::Repository { url: "https://x.test".into(), chart: "c".into(), version: "1".into() };
        let manifest =
            "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n";
        let printed = serde_json::json!({"manifest": manifest, "hooks": [{"manifest": manifest, "events": ["pre-upgrade"]}]});
        bootstrapper_core::fuzzing::texts(&[manifest], |text| drop(objects(text.as_bytes(), &chart)));
        bootstrapper_core::fuzzing::texts(&[&printed.to_string()], |text| {
            drop(serde_json::from_str::<Printed>(text));
        });
    }
}
