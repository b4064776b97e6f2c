//! A HelmRelease, with its chart and its values found.

use serde_json::Value;

use super::dependencies::depends_on;
use super::kustomization::Sources;
use super::values::{at_path, merge, scalar};
use crate::digest::sha256;
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::tools::{ChartSource, HelmRequest};
use crate::yaml;

/// Helm's own limit on names.
const LONGEST_NAME: usize = 53;

/// A HelmRelease, with its chart and its values found.
#[derive(Debug, Clone)]
pub struct Release {
    /// The HelmRelease.
    pub id: ObjectRef,
    /// The Kustomization that brings it.
    pub kustomization: ObjectRef,
    /// The name of the Helm release.
    pub release_name: String,
    /// Where its objects are.
    pub release_namespace: String,
    /// Its chart.
    pub chart: ChartSource,
    /// Its values.
    pub values: Value,
    /// The HelmReleases that must be ready before it.
    pub depends_on: Vec<ObjectRef>,
    /// The HelmRelease as it is declared.
    pub object: Object,
}

impl Release {
    /// What Helm is asked for.
    pub fn helm_request(&self) -> HelmRequest {
        HelmRequest {
            release: self.release_name.clone(),
            namespace: self.release_namespace.clone(),
            chart: self.chart.clone(),
            values: self.values.clone(),
        }
    }

    /// Reads a HelmRelease. `declared` is everything that the cluster declares: its source is
    /// among it.
    pub(super) fn read(
        object: &Object,
        kustomization: &ObjectRef,
        declared: &[&Object],
        sources: &Sources<'_>,
    ) -> Result<Self> {
        let id = ObjectRef::of(object);
        let spec = &object.data["spec"];
        let here = id.namespace.clone().unwrap_or_default();
        let release_namespace = spec["targetNamespace"].as_str().unwrap_or(&here).to_owned();
        let storage_namespace = spec["storageNamespace"].as_str().unwrap_or(&here);
        if storage_namespace != release_namespace {
            return Err(Failure::input(format!("{id} stores its state in {storage_namespace}, and installs into {release_namespace}"))
                .because("helm, which installs it first, stores it where it installs: Flux would not find it, and install it twice")
                .hint(format!("set storageNamespace: {release_namespace}")));
        }
        Ok(Self {
            release_name: release_name(spec, &id.name),
            release_namespace,
            chart: chart(object, &id, declared)?,
            values: values(spec, &id, sources)?,
            depends_on: depends_on(object),
            object: object.clone(),
            kustomization: kustomization.clone(),
            id,
        })
    }
}

/// helm-controller's rule: `releaseName`, else `[targetNamespace-]name`, shortened with a digest.
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
    let digest = sha256(&long);
    format!("{}-{}", &long[..40], &digest[..12])
}

fn chart(object: &Object, id: &ObjectRef, declared: &[&Object]) -> Result<ChartSource> {
    let spec = &object.data["spec"];
    let here = id.namespace.clone().unwrap_or_default();
    let find = |kind: &str, reference: &Value| -> Result<&Object> {
        let name = reference["name"].as_str().unwrap_or_default();
        let namespace = reference["namespace"].as_str().unwrap_or(&here);
        let is_it = |object: &&&Object| {
            let found = ObjectRef::of(object);
            found.kind == kind
                && found.name == name
                && found.namespace.as_deref().unwrap_or(namespace) == namespace
        };
        declared.iter().find(is_it).copied().ok_or_else(|| {
            Failure::input(format!(
                "{id} takes its chart from {kind} {namespace}/{name}, which is not declared"
            ))
            .hint(format!("declare the {kind} beside the HelmRelease, or correct its reference"))
        })
    };
    let reference = &spec["chartRef"];
    match reference["kind"].as_str() {
        Some("OCIRepository") => oci(find("OCIRepository", reference)?),
        Some("HelmChart") => {
            let chart = find("HelmChart", reference)?;
            of_repository(&chart.data["spec"], |source| find("HelmRepository", source))
        }
        Some(other) => Err(Failure::input(format!(
            "{id} takes its chart from a {other}, which bootstrapper cannot read"
        ))
        .hint("use an OCIRepository, a HelmChart or a HelmRepository")),
        None if spec["chart"]["spec"].is_object() => {
            of_repository(&spec["chart"]["spec"], |source| find("HelmRepository", source))
        }
        None => Err(Failure::input(format!(
            "{id} has neither `chart` nor `chartRef`: nothing says where its chart is"
        ))
        .hint("give it a chartRef to an OCIRepository, or a chart with a sourceRef")),
    }
}

fn oci(source: &Object) -> Result<ChartSource> {
    let spec = &source.data["spec"];
    let id = ObjectRef::of(source);
    let url = spec["url"].as_str().ok_or_else(|| Failure::input(format!("{id} has no url")))?;
    let version = ["tag", "semver"].iter().find_map(|key| spec["ref"][*key].as_str()).ok_or_else(|| {
        Failure::input(format!("{id} pins no version"))
            .because("it has no ref.tag and no ref.semver, so every run could install something else")
            .hint("give it `ref: {tag: …}`")
    })?;
    Ok(ChartSource::Oci { url: url.to_owned(), version: version.to_owned() })
}

fn of_repository<'a>(spec: &Value, find: impl Fn(&Value) -> Result<&'a Object>) -> Result<ChartSource> {
    let source = find(&spec["sourceRef"])?;
    let url = source.data["spec"]["url"].as_str().unwrap_or_default().trim_end_matches('/');
    let chart = spec["chart"].as_str().unwrap_or_default();
    let version = spec["version"].as_str().unwrap_or("*").to_owned();
    Ok(if url.starts_with("oci://") {
        ChartSource::Oci { url: format!("{url}/{chart}"), version }
    } else {
        ChartSource::Repository { url: url.to_owned(), chart: chart.to_owned(), version }
    })
}

fn values(spec: &Value, id: &ObjectRef, sources: &Sources<'_>) -> Result<Value> {
    let namespace = id.namespace.clone().unwrap_or_default();
    let mut values = Value::Object(serde_json::Map::new());
    for reference in spec["valuesFrom"].as_array().into_iter().flatten() {
        let (kind, name) =
            (reference["kind"].as_str().unwrap_or_default(), reference["name"].as_str().unwrap_or_default());
        let key = reference["valuesKey"].as_str().unwrap_or("values.yaml");
        let found = sources.data(kind, &namespace, name).and_then(|mut data| data.remove(key));
        let Some(text) = found else {
            if reference["optional"] == true {
                continue;
            }
            return Err(Failure::input(format!("{id} takes values from {key} of {kind} {namespace}/{name}, which is not declared"))
                .hint("declare it in the repository (a Secret: in bootstrapper.yaml), or mark the reference `optional`"));
        };
        let more = match reference["targetPath"].as_str() {
            Some(path) => at_path(path, scalar(&text))?,
            None => {
                // The text may be a Secret's: where it is wrong is told, never what it says.
                let place = format!("{key} of {kind} {namespace}/{name}");
                yaml::from_str(&text, std::path::Path::new(&place))
                    .map_err(|failure| Failure { because: Vec::new(), ..failure })?
            }
        };
        values = merge(values, more);
    }
    Ok(match &spec["values"] {
        Value::Null => values,
        inline => merge(values, inline.clone()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn read(spec: &Value, others: &[Object]) -> Result<Release> {
        let release = object(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "cilium", "namespace": "kube-system"}, "spec": spec,
        }));
        let config_maps = BTreeMap::from([(
            ("kube-system".to_owned(), "v".to_owned()),
            BTreeMap::from([("values.yaml".to_owned(), "a: {x: 1, y: 2}".to_owned())]),
        )]);
        let sources = Sources { config_maps: &config_maps, secrets: &BTreeMap::new() };
        let by = ObjectRef::cluster_scoped("v1", "K", "k");
        Release::read(&release, &by, &others.iter().collect::<Vec<_>>(), &sources)
    }

    fn repository() -> Object {
        object(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
            "metadata": {"name": "cilium", "namespace": "kube-system"},
            "spec": {"url": "oci://quay.io/cilium/charts/cilium", "ref": {"tag": "1.20.2"}},
        }))
    }

    #[test]
    fn chart_and_values_are_found() {
        let spec = json!({
            "chartRef": {"kind": "OCIRepository", "name": "cilium"},
            "valuesFrom": [{"kind": "ConfigMap", "name": "v"}, {"kind": "ConfigMap", "name": "none", "optional": true}],
            "values": {"a": {"y": 3}},
        });
        let release = read(&spec, &[repository()]).unwrap();
        assert_eq!(release.chart.exact_version(), Some("1.20.2"));
        assert_eq!(release.values, json!({"a": {"x": 1, "y": 3}}));
        assert_eq!(
            (release.release_name.as_str(), release.release_namespace.as_str()),
            ("cilium", "kube-system")
        );
    }

    #[test]
    fn a_release_without_a_source_is_refused() {
        let spec = json!({"chartRef": {"kind": "OCIRepository", "name": "cilium"}});
        assert!(
            read(&spec, &[])
                .unwrap_err()
                .what
                .contains("OCIRepository kube-system/cilium, which is not declared")
        );
        assert!(read(&json!({}), &[]).unwrap_err().what.contains("neither `chart` nor `chartRef`"));
    }

    #[test]
    fn state_elsewhere_is_refused() {
        let spec = json!({"targetNamespace": "x", "chartRef": {"kind": "OCIRepository", "name": "cilium"}});
        assert!(read(&spec, &[repository()]).unwrap_err().hints[0].contains("storageNamespace: x"));
    }

    #[test]
    fn long_names_are_shortened_as_helm_controller_does() {
        let spec = json!({"targetNamespace": "a-namespace-with-quite-a-long-name-indeed"});
        let name = release_name(&spec, "and-a-long-release-name");
        assert_eq!(name.len(), LONGEST_NAME);
        assert!(name.starts_with("a-namespace-with-quite-a-long-name-indee-"));
    }
}
