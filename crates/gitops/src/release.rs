//! A HelmRelease, with its chart and its values resolved.

use serde_json::Value;

use super::chart::{Found, chart};
use super::chart_access::access;
use super::chart_signature::signature;
use super::dependencies::depends_on;
use super::fields;
use super::gaps::{self, Gap};
use super::problem::{Problem, ProblemKind};
use super::shared_values::Integer;
use super::sources::{Sources, UNKNOWN};
use super::values::{self, ValuesFrom};
use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::{ChartAccess, ChartSource, Signature};

/// Helm's limit for names.
const LONGEST_NAME: usize = 53;

/// From here on Go prints a float as `1e+06`, and an integer as `1000000`.
const PRINTED_OTHERWISE: u64 = 1_000_000;

/// A HelmRelease, with its chart and its values resolved.
#[derive(Debug, Clone)]
pub struct Release {
    /// The HelmRelease.
    pub id: ObjectRef,
    /// The Kustomization that applies it.
    pub kustomization: ObjectRef,
    /// The name of the Helm release.
    pub release_name: String,
    /// The namespace of its objects.
    pub release_namespace: String,
    /// Its chart.
    pub chart: ChartSource,
    /// The tag in addition to the digest of its chart.
    pub tag: Option<String>,
    /// How to access it; or why the bootstrap cannot access it as Flux would.
    pub access: Result<ChartAccess>,
    /// Why its chart must not be downloaded.
    pub refused: Option<Failure>,
    /// The Flux object with the URL of its chart: an OCIRepository or a HelmRepository.
    pub source: ObjectRef,
    /// Its values.
    pub values: Value,
    /// The numbers in its values that a chart sees as integers, in the syntax of `helm --set`: `path=number`.
    /// All others are floats.
    pub integers: Vec<String>,
    /// Whether one of these numbers comes from a Secret: other users can see arguments.
    pub has_secret_integers: bool,
    /// The sources of its values, in order; its inline values come last.
    pub values_from: Vec<ValuesFrom>,
    /// The HelmReleases that it depends on.
    pub depends_on: Vec<ObjectRef>,
    /// Whether helm-controller appends the digest of the chart to its version, which charts write into labels
    /// of their objects, and some of their pods.
    pub is_tracked: bool,
    /// The HelmRelease as declared.
    pub object: Object,
    /// The unknown values in it or in the source of its chart.
    pub gaps: Vec<Gap>,
}

/// A parsed HelmRelease, with its problems and their fields. Without a chart there is no release.
pub(super) struct ReadRelease {
    pub(super) release: Option<Release>,
    pub(super) problems: Vec<(Problem, String)>,
}

impl Release {
    /// Whether it is suspended: Flux would not install it, and neither does the bootstrap.
    pub fn is_suspended(&self) -> bool {
        self.object.data["spec"]["suspend"] == true
    }

    /// Whether the bootstrap can download its chart.
    pub fn is_fetchable(&self) -> bool {
        !matches!(self.chart, ChartSource::Folder { .. })
    }

    /// A remark if Flux will verify the signature of its chart and the bootstrap cannot, and why.
    pub fn unverified(&self) -> Option<String> {
        match self.access.as_ref().ok()?.signature.as_ref()? {
            Signature::Unchecked(why) => {
                Some(format!("the signature of chart {} is not verified: {why}", self.chart))
            }
            Signature::Required(_) => None,
        }
    }

    /// Fails if only Flux can read the chart, or if a value is known only to the cluster: the bootstrap would
    /// install something else than Flux.
    pub fn installable(&self) -> Result<()> {
        if !self.is_fetchable() {
            return Err(Failure::input(format!(
                "{} has its chart in {}, which only Flux can read",
                self.id, self.source
            ))
            .hint("the bootstrap supports charts of an OCIRepository or a HelmRepository"));
        }
        self.refused.clone().map_or(Ok(()), Err)?;
        self.access.as_ref().map_err(Clone::clone)?;
        if let Some((field, why)) = fields::first_unsupported(&self.object) {
            return Err(Failure::input(format!(
                "{} has {field}, so the bootstrap cannot install it",
                self.id
            ))
            .because(why)
            .hint("remove it from the tasks of the bootstrap, and let Flux install it"));
        }
        if self.has_secret_integers {
            return Err(Failure::input(format!("{} sets a targetPath to a number from a Secret", self.id))
                .because(
                    "Flux passes it as an integer; Helm would need an argument, which other users can see",
                )
                .hint("set `literal: true`, which passes it as text"));
        }
        if let Some(failure) = gaps::refusal(&self.id, &self.gaps) {
            return Err(failure);
        }
        // An optional one is missing until the cluster creates it.
        let unknown = self
            .values_from
            .iter()
            .find(|from| !(from.is_known || from.optional && from.is_created_in_cluster))
            .map(|from| format!("its values come from {}", from.id));
        let within = || {
            self.values
                .to_string()
                .contains(UNKNOWN)
                .then(|| "a variable in its values comes from a Secret".to_owned())
        };
        match unknown.or_else(within) {
            None => Ok(()),
            Some(why) => Err(Failure::input(format!(
                "{} has values that exist only in the cluster",
                self.id
            ))
            .because(format!("{why}, which is encrypted in the repository, or created in the cluster"))
            .hint(
                "declare that Secret under `secrets` in bootstrapper.yaml (`sops:` reads an encrypted file)",
            )),
        }
    }

    /// Parses a HelmRelease. `declared` is everything that the cluster declares, including its source.
    pub(super) fn read(
        object: &Object,
        kustomization: &ObjectRef,
        declared: &[&Object],
        sources: &Sources,
    ) -> ReadRelease {
        let id = ObjectRef::of(object);
        let spec = &object.data["spec"];
        let here = id.namespace.clone().unwrap_or_default();
        let release_namespace = spec["targetNamespace"].as_str().unwrap_or(&here).to_owned();
        let mut problems = Vec::new();
        let storage_namespace = spec["storageNamespace"].as_str().unwrap_or(&here);
        if storage_namespace != release_namespace {
            let failure = Failure::input(format!("{id} stores its state in {storage_namespace}, but installs into {release_namespace}"))
                .because("the bootstrap stores it in the namespace that it installs into: Flux would not find it, and install it twice")
                .hint(format!("set storageNamespace: {release_namespace}"));
            let field = if spec["storageNamespace"].is_null() {
                "spec.targetNamespace"
            } else {
                "spec.storageNamespace"
            };
            problems.push((Problem::new(ProblemKind::StorageNamespaceApart, failure), field.to_owned()));
        }
        let values = values::read(spec, &id, sources);
        problems.extend(values.problems);
        let (secret, open): (Vec<Integer>, Vec<Integer>) =
            values.integers.into_iter().partition(|one| one.is_secret);
        let release = match chart(object, &id, declared) {
            Err((problem, field)) => {
                problems.push((problem, field.to_owned()));
                None
            }
            Ok(Found { chart, source, verify }) => Some(Self {
                access: access(source, sources).map(|access| ChartAccess {
                    signature: signature(&verify, source, &chart, sources),
                    ..access
                }),
                refused: chart.refusal(),
                source: ObjectRef::of(source),
                tag: source.data["spec"]["ref"]["tag"]
                    .as_str()
                    .filter(|_| chart.digest().is_some())
                    .map(str::to_owned),
                release_name: release_name(spec, &id.name),
                release_namespace,
                chart,
                values: values.values,
                integers: open.iter().map(Integer::argument).collect(),
                has_secret_integers: secret.iter().any(|one| one.number.unsigned_abs() >= PRINTED_OTHERWISE),
                values_from: values.from,
                depends_on: depends_on(object),
                is_tracked: is_tracked(spec, declared),
                object: object.clone(),
                gaps: Vec::new(),
                kustomization: kustomization.clone(),
                id,
            }),
        };
        ReadRelease { release, problems }
    }
}

impl Release {
    /// The version of its chart for display: the tag of a digest, otherwise the declared version.
    pub fn version(&self) -> &str {
        self.tag.as_deref().unwrap_or_else(|| self.chart.version_text())
    }
}

/// helm-controller's default for charts of OCIRepositories, unless its declaration disables it.
fn is_tracked(spec: &Value, declared: &[&Object]) -> bool {
    const OFF: &str = "DisableChartDigestTracking=true";
    let may_say = |object: &&&Object| {
        matches!(ObjectRef::of(object).kind.as_str(), "FluxInstance" | "HelmRelease" | "Deployment")
    };
    spec["chartRef"]["kind"] == "OCIRepository"
        && !declared.iter().filter(may_say).any(|object| object.data.to_string().contains(OFF))
}

/// helm-controller's rule: `releaseName`, otherwise `[targetNamespace-]name`, shortened with a digest.
fn release_name(spec: &Value, name: &str) -> String {
    if let Some(own) = spec["releaseName"].as_str() {
        return own.to_owned();
    }
    let long = match spec["targetNamespace"].as_str() {
        Some(namespace) => format!("{namespace}-{name}"),
        None => name.to_owned(),
    };
    if long.len() <= LONGEST_NAME {
        return long;
    }
    // helm-controller counts bytes; cutting inside a character yields no valid name.
    let kept = long.get(..long.floor_char_boundary(40)).unwrap_or_default();
    format!("{kept}-{}", short_sha256(&long, 12))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn read(spec: &Value, others: &[Object]) -> ReadRelease {
        let release = object(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "cilium", "namespace": "kube-system"}, "spec": spec,
        }));
        let by = ObjectRef::cluster_scoped("v1", "K", "k");
        let mut sources = Sources::default();
        for object in others {
            sources.add(object);
        }
        Release::read(&release, &by, &others.iter().collect::<Vec<_>>(), &sources)
    }

    fn problem(spec: &Value, others: &[Object]) -> (ProblemKind, String, String) {
        let mut problems = read(spec, others).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let (problem, field) = problems.remove(0);
        (problem.kind, format!("{} {}", problem.failure.what, problem.failure.hints.join(" ")), field)
    }

    fn repository() -> Object {
        source(
            "OCIRepository",
            &json!({"url": "oci://quay.io/cilium/charts/cilium", "ref": {"tag": "1.20.2"}}),
        )
    }

    fn source(kind: &str, spec: &Value) -> Object {
        object(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
            "metadata": {"name": "cilium", "namespace": "kube-system"}, "spec": spec,
        }))
    }

    #[test]
    fn charts_are_found_wherever_they_are() {
        let by_ref = |kind: &str| json!({"chartRef": {"kind": kind, "name": "cilium"}});
        let by_chart = |kind: &str| json!({"chart": {"spec": {"chart": "./cilium", "version": "1.x", "sourceRef": {"kind": kind, "name": "cilium"}}}});
        let helm = |url: &str| source("HelmRepository", &json!({"url": url}));
        let helm_chart = source(
            "HelmChart",
            &json!({"chart": "cilium", "version": "1.20.2", "sourceRef": {"kind": "HelmRepository", "name": "cilium"}}),
        );
        let table = [
            (by_ref("OCIRepository"), vec![repository()], "oci://quay.io/cilium/charts/cilium 1.20.2"),
            (
                by_ref("HelmChart"),
                vec![helm_chart, helm("https://helm.cilium.io/")],
                "cilium 1.20.2 of https://helm.cilium.io",
            ),
            (
                by_chart("HelmRepository"),
                vec![helm("oci://quay.io/cilium")],
                "oci://quay.io/cilium/./cilium 1.x",
            ),
            (
                by_chart("GitRepository"),
                vec![source("GitRepository", &json!({"url": "https://x.test/y"}))],
                "cilium 1.x of GitRepository kube-system/cilium",
            ),
        ];
        for (spec, others, expected) in table {
            let release = read(&spec, &others).release.unwrap();
            assert_eq!(release.chart.to_string(), expected);
            assert_eq!(
                (release.release_name.as_str(), release.release_namespace.as_str()),
                ("cilium", "kube-system")
            );
        }
    }

    #[test]
    fn problems_are_reported_with_their_field() {
        let spec = json!({"chartRef": {"kind": "OCIRepository", "name": "cilium"}});
        let (kind, said, field) = problem(&spec, &[]);
        assert_eq!((kind, field.as_str()), (ProblemKind::MissingChartSource, "spec.chartRef.name"));
        assert!(said.contains("OCIRepository kube-system/cilium of its chart not found"), "{said}");
        let (kind, said, _) = problem(&json!({}), &[]);
        assert!(kind == ProblemKind::NoChart && said.contains("neither `chart` nor `chartRef`"), "{said}");
        let unpinned = source("OCIRepository", &json!({"url": "oci://x.test/y"}));
        assert_eq!(problem(&spec, &[unpinned]).0, ProblemKind::UnpinnedChart);
        let apart = json!({"targetNamespace": "x", "chartRef": {"kind": "OCIRepository", "name": "cilium"}});
        let (kind, said, field) = problem(&apart, &[repository()]);
        assert_eq!((kind, field.as_str()), (ProblemKind::StorageNamespaceApart, "spec.targetNamespace"));
        assert!(said.contains("set storageNamespace: x"), "{said}");
    }

    #[test]
    fn values_that_only_the_cluster_knows_are_not_installed() {
        let spec = |value: &str| json!({"chartRef": {"kind": "OCIRepository", "name": "cilium"}, "values": {"host": value}});
        assert!(read(&spec("a.test"), &[repository()]).release.unwrap().installable().is_ok());
        let unknown = spec(&format!("a.{UNKNOWN}"));
        assert!(read(&unknown, &[repository()]).release.unwrap().installable().is_err());
    }

    /// Before the cluster creates them, optional sources are missing: Helm does the same as Flux would.
    #[test]
    fn values_that_may_be_missing_hold_up_nothing() {
        let made = object(json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": {"name": "made", "namespace": "kube-system"}, "spec": {"data": [{"secretKey": "values.yaml"}]},
        }));
        let spec = |optional: bool| {
            json!({
                "chartRef": {"kind": "OCIRepository", "name": "cilium"},
                "valuesFrom": [{"kind": "Secret", "name": "made", "optional": optional}],
            })
        };
        let is_installable = |optional| {
            read(&spec(optional), &[repository(), made.clone()]).release.unwrap().installable().is_ok()
        };
        assert!(is_installable(true) && !is_installable(false));
    }

    #[test]
    fn long_names_are_shortened_as_helm_controller_does() {
        let spec = json!({"targetNamespace": "a-namespace-with-quite-a-long-name-indeed"});
        let name = release_name(&spec, "and-a-long-release-name");
        assert_eq!(name.len(), LONGEST_NAME);
        assert!(name.starts_with("a-namespace-with-quite-a-long-name-indee-"));
    }

    #[test]
    fn anything_may_stand_in_a_release() {
        let release = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "cilium", "namespace": "kube-system"},
            "spec": {
                "interval": "1h", "timeout": "5m", "releaseName": "cilium", "targetNamespace": "kube-system", "dependsOn": [{"name": "other"}],
                "chartRef": {"kind": "OCIRepository", "name": "cilium"}, "install": {"crds": "CreateReplace", "timeout": "1m"},
                "upgrade": {"crds": "Skip", "disableHooks": true}, "values": {"a": 1},
                "postRenderers": [{"kustomize": {"patches": [{"target": {"kind": "Deployment"}, "patch": "[]"}], "images": [{"name": "a", "newTag": "b"}]}}],
            },
        });
        let source = serde_json::to_value(repository()).unwrap();
        bootstrapper_core::fuzzing::objects(&[release], |object| {
            let by = ObjectRef::cluster_scoped("v1", "K", "k");
            let sources = [repository()];
            let read = Release::read(object, &by, &sources.iter().collect::<Vec<_>>(), &Sources::default());
            if let Some(release) = read.release {
                drop(release.installable());
                drop(release.helm_request(crate::HelmAction::Upgrade));
                release.helm_limit();
            }
        });
        bootstrapper_core::fuzzing::objects(&[source], |source| {
            let spec = json!({"chartRef": {"kind": "OCIRepository", "name": "cilium"}});
            drop(read(&spec, std::slice::from_ref(source)));
        });
    }
}
