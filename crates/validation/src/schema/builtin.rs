//! Schemas of the built-in kinds of Kubernetes, for each supported version.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::upstream::{patch, unpacked};
use super::{Known, Schema, Scope};

/// Newest first.
static VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(|| {
    let mut versions = Vec::new();
    let mut schemas = Value::Null;
    for change in unpacked::<Vec<Value>>(include_bytes!("upstream/kubernetes.json.gz")).unwrap_or_default() {
        patch(&mut schemas, &change);
        versions.extend(Version::deserialize(&schemas));
    }
    versions
});

/// One version of Kubernetes.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    /// `1.36`.
    #[serde(rename = "version")]
    pub(super) name: String,
    /// By version and kind: `apps/v1/Deployment`.
    kinds: BTreeMap<String, Kind>,
    definitions: Value,
}

#[derive(Debug, Deserialize)]
struct Kind {
    schema: String,
    scope: Scope,
}

/// Kinds that moved to another group: the old group, the kind, and the new group.
const RENAMED: [(&str, &str, &str); 6] = [
    ("extensions", "Ingress", "networking.k8s.io/v1"),
    ("extensions", "Deployment", "apps/v1"),
    ("extensions", "DaemonSet", "apps/v1"),
    ("extensions", "ReplicaSet", "apps/v1"),
    ("extensions", "NetworkPolicy", "networking.k8s.io/v1"),
    ("events.k8s.io", "Event", "events.k8s.io/v1"),
];

/// The versions that a cluster may have, newest first: the declared one, or all. For an unknown one, the
/// nearest.
pub(super) fn versions(declared: Option<&str>) -> &'static [Version] {
    let all = VERSIONS.as_slice();
    let Some(declared) = declared else { return all };
    let is_it = |version: &Version| number(&version.name) <= number(declared);
    let at = all.iter().position(is_it).unwrap_or(all.len().saturating_sub(1));
    all.get(at..=at).unwrap_or_default()
}

/// `1.36`, `v1.36.3` → 1 and 36.
fn number(version: &str) -> (u64, u64) {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Whether an API server serves this version of a built-in kind only if it is enabled.
pub(super) fn is_off_by_default(version: &str) -> bool {
    version.contains("alpha") || version.contains("beta")
}

impl Version {
    pub(super) fn known(&self, api_version: &str, kind: &str) -> Known<'_> {
        if let Some(found) = self.kinds.get(&format!("{api_version}/{kind}")) {
            return Known::Schema(Schema {
                root: &self.definitions[&found.schema],
                definitions: &self.definitions,
                scope: found.scope,
                source: format!("Kubernetes {}", self.name),
            });
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let renamed = RENAMED.iter().find(|(old, of, _)| *of == kind && group == *old);
        let others: Vec<String> = match renamed {
            Some((_, _, new)) => vec![(*new).to_owned()],
            None => self.versions_of(group, kind).filter(|version| !is_off_by_default(version)).collect(),
        };
        if others.is_empty() { Known::Nothing } else { Known::OtherVersions(others) }
    }

    fn versions_of<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = String> + 'a {
        self.kinds.keys().filter_map(move |known| {
            let (api_version, of) = known.rsplit_once('/')?;
            let its_group = api_version.split_once('/').map_or("", |(group, _)| group);
            (of == kind && its_group == group).then(|| api_version.to_owned())
        })
    }

    /// The schema of `metadata`.
    pub(super) fn metadata(&self) -> &Value {
        &self.definitions["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_version_and_group() {
        let newest = &versions(None)[0];
        let scope = |api_version: &str, kind: &str| match newest.known(api_version, kind) {
            Known::Schema(schema) => Some(schema.scope),
            _ => None,
        };
        assert_eq!(scope("apps/v1", "Deployment"), Some(Scope::Namespaced));
        assert_eq!(scope("v1", "Namespace"), Some(Scope::Cluster));
        let others = |api_version: &str, kind: &str| match newest.known(api_version, kind) {
            Known::OtherVersions(others) => others,
            _ => Vec::new(),
        };
        assert_eq!(others("policy/v1beta1", "PodDisruptionBudget"), ["policy/v1"]);
        assert_eq!(others("extensions/v1beta1", "Ingress"), ["networking.k8s.io/v1"]);
        assert!(others("example.org/v1", "Deployment").is_empty());
    }

    #[test]
    fn a_declared_version_is_the_nearest_of_the_known_ones() {
        let names =
            |declared| versions(declared).iter().map(|version| version.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(None), ["1.36", "1.35", "1.34", "1.33"]);
        assert_eq!(names(Some("1.34")), ["1.34"]);
        assert_eq!(names(Some("v1.35.4")), ["1.35"]);
        assert_eq!(names(Some("1.40")), ["1.36"]);
        assert_eq!(names(Some("1.30")), ["1.33"]);
    }

    #[test]
    fn versions_differ_in_what_they_know() {
        let knows = |version: &Version| {
            matches!(version.known("resource.k8s.io/v1", "DeviceClass"), Known::Schema(_))
        };
        assert_eq!(versions(None).iter().map(knows).collect::<Vec<_>>(), [true, true, true, false]);
    }
}
