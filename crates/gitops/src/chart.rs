//! The chart of a HelmRelease, and its Flux source.

use serde_json::Value;

use super::problem::{Problem, ProblemKind};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::ChartSource;

/// The problem, and its field.
pub(super) type Refusal = (Problem, &'static str);

/// The chart of a HelmRelease.
pub(super) struct Found<'a> {
    /// Its location.
    pub(super) chart: ChartSource,
    /// The Flux object with its location.
    pub(super) source: &'a Object,
    /// How Flux verifies its signature (`verify`); null if it does not.
    pub(super) verify: Value,
}

/// The chart of a HelmRelease, and the Flux object with its location.
pub(super) fn chart<'a>(
    object: &Object,
    id: &ObjectRef,
    declared: &[&'a Object],
) -> Result<Found<'a>, Refusal> {
    let spec = &object.data["spec"];
    let here = id.namespace.clone().unwrap_or_default();
    let find = |kind: &str, reference: &Value, here: &str| -> Result<&'a Object, Refusal> {
        let name = reference["name"].as_str().unwrap_or_default();
        let namespace = reference["namespace"].as_str().unwrap_or(here);
        let is_it = |object: &&&Object| {
            let found = ObjectRef::of(object);
            found.kind == kind
                && found.name == name
                && found.namespace.as_deref().unwrap_or(namespace) == namespace
        };
        declared.iter().find(is_it).copied().ok_or_else(|| {
            let failure = Failure::input(format!("{id}: {kind} {namespace}/{name} of its chart not found"))
                .hint(format!("declare the {kind} next to the HelmRelease, or correct its reference"));
            let field = if spec["chartRef"].is_null() {
                "spec.chart.spec.sourceRef.name"
            } else {
                "spec.chartRef.name"
            };
            (Problem::new(ProblemKind::MissingChartSource, failure), field)
        })
    };
    let no_chart = |failure: Failure, field| (Problem::new(ProblemKind::NoChart, failure), field);
    let reference = &spec["chartRef"];
    match reference["kind"].as_str() {
        Some("OCIRepository") => oci(find("OCIRepository", reference, &here)?),
        Some("HelmChart") => {
            let chart = find("HelmChart", reference, &here)?;
            let beside = chart.metadata.namespace.clone().unwrap_or(here);
            of_repository(&chart.data["spec"], |kind, source| find(kind, source, &beside))
        }
        Some(other) => Err(no_chart(
            Failure::input(format!("{id} has its chart in a {other}, which bootstrapper does not support"))
                .hint("use an OCIRepository, a HelmChart or a HelmRepository"),
            "spec.chartRef.kind",
        )),
        None if spec["chart"]["spec"].is_object() => {
            of_repository(&spec["chart"]["spec"], |kind, source| find(kind, source, &here))
        }
        None => Err(no_chart(
            Failure::input(format!("{id} has neither `chart` nor `chartRef`"))
                .hint("set a chartRef to an OCIRepository, or a chart with a sourceRef"),
            "spec",
        )),
    }
}

fn oci(source: &Object) -> Result<Found<'_>, Refusal> {
    let spec = &source.data["spec"];
    let id = ObjectRef::of(source);
    let url = spec["url"].as_str().unwrap_or_default();
    // In the order of precedence of source-controller.
    let reference = |key: &&str| spec["ref"][*key].as_str().filter(|text| !text.is_empty());
    let version = ["digest", "semver", "tag"].iter().find_map(reference).ok_or_else(|| {
        let failure = Failure::input(format!("{id} has no version"))
            .because("without ref.tag, ref.semver or ref.digest, every run can install another version")
            .hint("set `ref: {tag: …}`");
        (Problem::new(ProblemKind::UnpinnedChart, failure), "spec.chartRef.name")
    })?;
    let chart = ChartSource::Oci { url: url.to_owned(), version: version.to_owned() };
    Ok(Found { chart, source, verify: spec["verify"].clone() })
}

/// The chart of a `chart.spec`, or of a HelmChart. The chart itself may be in a git repository.
fn of_repository<'a>(
    spec: &Value,
    find: impl Fn(&str, &Value) -> Result<&'a Object, Refusal>,
) -> Result<Found<'a>, Refusal> {
    let kind = spec["sourceRef"]["kind"].as_str().unwrap_or("HelmRepository");
    let source = find(kind, &spec["sourceRef"])?;
    let url = source.data["spec"]["url"].as_str().unwrap_or_default().trim_end_matches('/');
    let chart = spec["chart"].as_str().unwrap_or_default();
    let version = spec["version"].as_str().unwrap_or("*").to_owned();
    let chart = if kind != "HelmRepository" {
        let path = chart.trim_start_matches("./").to_owned();
        ChartSource::Folder { source: ObjectRef::of(source).to_string(), path, version }
    } else if url.starts_with("oci://") {
        ChartSource::Oci { url: format!("{url}/{chart}"), version }
    } else {
        ChartSource::Repository { url: url.to_owned(), chart: chart.to_owned(), version }
    };
    Ok(Found { chart, source, verify: spec["verify"].clone() })
}
