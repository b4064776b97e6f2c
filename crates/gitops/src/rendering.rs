//! Renders charts with the values of their releases, without a cluster: to get their CRDs, and to check that
//! they accept the values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::fields::HelmAction;
use super::kept;
use super::release::Release;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef, is_crd};
use bootstrapper_tools::{Environment, Helm, HelmRequest};

/// The rendering of a chart with the values of a release.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rendering {
    /// The chart accepts the values, and provides these CRDs.
    Takes {
        /// Those in its `crds` folder, and those in its templates.
        crds: Vec<Object>,
    },
    /// There is none.
    Fails {
        /// Because of what.
        fault: ChartFault,
        /// Why, line by line, mostly in Helm's words.
        said: Vec<String>,
    },
}

/// Because of what a chart is not rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChartFault {
    /// The chart rejects the values.
    Values,
    /// The chart can never be installed as it is declared, whatever the values.
    Chart,
    /// It could not be downloaded, so the result is unknown.
    Download,
}

/// Renders every chart with the values of its release. With `helm`, charts are downloaded and rendered;
/// without, only cached results of the same environment are used. An exact version is rendered once, because
/// the result does not change.
pub async fn renderings(
    releases: &[Release],
    environment: &Environment,
    helm: Option<&Helm>,
) -> BTreeMap<ObjectRef, Rendering> {
    let all = releases
        .iter()
        .map(async |release| Some((release.id.clone(), render(release, environment, helm).await?)));
    join_all(all).await.into_iter().flatten().collect()
}

async fn render(release: &Release, environment: &Environment, helm: Option<&Helm>) -> Option<Rendering> {
    let place = place(release, environment);
    if let Some(known) = place.as_deref().and_then(kept::take) {
        return Some(known);
    }
    let helm = helm?;
    let request = release.helm_request(HelmAction::Install);
    let fails = |fault, failure: Failure| Some(Rendering::Fails { fault, said: failure.because });
    if let Err(failure) = helm.pull(&request.chart, &request.access).await {
        return fails(ChartFault::Download, failure);
    }
    if let Ok(Some(failure)) | Err(failure) = helm.unfit(&request.chart, &request.access).await {
        return fails(ChartFault::Chart, failure);
    }
    let rendering = fetched(&request, helm).await;
    // A chart's error contains the value, which may be secret.
    if let (Some(place), Rendering::Takes { .. }) = (place, &rendering) {
        kept::keep(&place, &rendering);
    }
    Some(rendering)
}

async fn fetched(request: &HelmRequest, helm: &Helm) -> Rendering {
    match tokio::try_join!(helm.show_crds(request), helm.template(request)) {
        Ok((shipped, rendered)) => {
            let crds = shipped.into_iter().chain(rendered).filter(is_crd).collect();
            Rendering::Takes { crds }
        }
        Err(Failure { because, .. }) => {
            let fault = if is_of_chart(&because) { ChartFault::Chart } else { ChartFault::Values };
            Rendering::Fails { fault, said: because }
        }
    }
}

/// Helm's words (v4.3.1) for a chart that it never installs, whatever the values.
const OF_CHARTS: [&str; 4] = [
    "validation: chart.metadata",
    "library charts are not installable",
    "missing in charts/ directory",
    "chart requires kubeVersion",
];

fn is_of_chart(said: &[String]) -> bool {
    said.iter().any(|line| OF_CHARTS.iter().any(|words| line.contains(words)))
}

/// Its place in the cache; none for a version range, which may resolve to another chart tomorrow. The chart
/// that a sandbox serves may be another one.
fn place(release: &Release, environment: &Environment) -> Option<PathBuf> {
    release.chart.exact_version()?;
    let HelmRequest { release, namespace, chart, values, integers, post_rendering, is_tracked, .. } =
        release.helm_request(HelmAction::Install);
    let (variables, post_rendering) = (&environment.variables, serde_json::json!(post_rendering));
    let contents = format!(
        "{variables:?}\0{chart}\0{release}\0{namespace}\0{values}\0{integers:?}\0{post_rendering}\0{is_tracked}"
    );
    kept::place("renderings", contents.as_bytes())
}
