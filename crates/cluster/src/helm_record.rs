//! Helm's storage of a release: a Secret per revision, `sh.helm.release.v1.<name>.v<revision>`. Pure: parses
//! a Secret into a release.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml;

/// The maximum unpacked size of a release.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The newest revision of a release.
#[derive(Debug, Clone)]
pub struct StoredRelease {
    /// The revision.
    pub revision: u64,
    /// Its status.
    pub state: ReleaseState,
    /// The chart's name.
    pub chart_name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The values it was installed with.
    pub values: Value,
    /// The apply method of its objects.
    pub apply_method: ApplyMethod,
    /// When its Secret was created, by the API server's clock: the start of an install or upgrade.
    pub begun: Option<Timestamp>,
    /// Its own labels, which Helm copies from revision to revision.
    pub labels: BTreeMap<String, String>,
    /// The Secret that stores it.
    pub secret: ObjectRef,
    /// Its rendered manifest.
    pub objects: Vec<Object>,
}

/// The status of a revision (`helm.sh/helm/v4/pkg/release/common.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseState {
    /// Deployed.
    Deployed,
    /// It failed, completely or partially.
    Failed,
    /// The first revision is being installed, or Helm was killed.
    PendingInstall,
    /// A later revision is being installed, or Helm was killed.
    PendingUpgrade,
    /// A rollback is in progress.
    PendingRollback,
    /// A newer one is deployed.
    Superseded,
    /// It is being uninstalled, or Helm was killed.
    Uninstalling,
    /// It was uninstalled with `--keep-history`.
    Uninstalled,
    /// Unknown to Helm or to this program.
    #[serde(other)]
    Unknown,
}

impl ReleaseState {
    /// Whether a running or killed Helm has locked it.
    pub fn is_held(self) -> bool {
        matches!(
            self,
            Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback | Self::Uninstalling
        )
    }
}

impl fmt::Display for ReleaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
            Self::Superseded => "superseded",
            Self::Uninstalling => "uninstalling",
            Self::Uninstalled => "uninstalled",
            Self::Unknown => "unknown",
        })
    }
}

/// The apply method of a revision; the next one uses the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum ApplyMethod {
    /// Server-side.
    #[serde(rename = "ssa")]
    ServerSide,
    /// Client-side; Helm 3 always uses this, and does not record it.
    #[default]
    #[serde(other)]
    ClientSide,
}

/// The relevant part of Helm's record (`helm.sh/helm/v4/pkg/release/v1.Release`).
#[derive(Deserialize)]
struct Record {
    name: String,
    version: u64,
    info: Info,
    chart: Chart,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    apply_method: ApplyMethod,
}

#[derive(Deserialize)]
struct Info {
    status: ReleaseState,
}

#[derive(Deserialize)]
struct Chart {
    metadata: ChartMetadata,
}

#[derive(Deserialize)]
struct ChartMetadata {
    #[serde(default)]
    name: String,
    version: String,
}

/// The labels that Helm's storage sets itself.
const OWN_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

impl StoredRelease {
    /// Parses the Secret of a revision of the release `name`. If Helm did not write it, fails with the name
    /// of the Secret.
    pub(super) fn read(secret: &Secret, namespace: &str, name: &str) -> Result<Self> {
        let metadata = &secret.metadata;
        let id =
            ObjectRef::namespaced("v1", "Secret", namespace, metadata.name.as_deref().unwrap_or_default());
        let unreadable = |why: &str| {
            Failure::step(format!("cannot read the state of release {namespace}/{name}"))
                .because(format!("{id} {why}"))
                .hint("check it with `helm history`; if only Helm writes it, delete that Secret, which restores the revision before it")
        };
        let encoded = secret.data.as_ref().and_then(|data| data.get("release"));
        let encoded = encoded.ok_or_else(|| unreadable("contains no release"))?;
        let record = decode(&encoded.0).map_err(|why| unreadable(&why))?;
        if record.name != name {
            return Err(unreadable("contains another release"));
        }
        // Manifests contain secrets: an error has the location, never the content.
        let documents: Vec<Option<Object>> = yaml::from_multiple(&record.manifest, Path::new("manifest"))
            .map_err(|_| unreadable("contains a manifest with invalid YAML"))?;
        let labels = metadata.labels.iter().flatten();
        Ok(Self {
            revision: record.version,
            state: record.info.status,
            chart_name: record.chart.metadata.name,
            chart_version: record.chart.metadata.version,
            values: record.config.unwrap_or_else(|| Value::Object(Map::new())),
            apply_method: record.apply_method,
            begun: metadata.creation_timestamp.as_ref().map(|time| time.0),
            labels: labels
                .filter(|(key, _)| !OWN_LABELS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            secret: id,
            objects: documents.into_iter().flatten().collect(),
        })
    }
}

/// Base64, then gzip, then JSON; very old versions of Helm did not use gzip.
fn decode(encoded: &[u8]) -> Result<Record, String> {
    let packed = STANDARD.decode(encoded).map_err(|_| "contains invalid Base64".to_owned())?;
    let mut json = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        let mut unpacking = GzDecoder::new(packed.as_slice()).take(LARGEST);
        unpacking.read_to_end(&mut json).map_err(|_| "contains truncated data".to_owned())?;
    } else {
        json = packed;
    }
    // serde's message contains the input, which may be a secret.
    serde_json::from_slice(&json).map_err(|error| {
        format!("contains no valid Helm release record (line {}, column {})", error.line(), error.column())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use k8s_openapi::ByteString;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn packed(json: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(json).unwrap();
        STANDARD.encode(gzip.finish().unwrap()).into_bytes()
    }

    fn secret(release: Vec<u8>) -> Secret {
        let labels = [("owner", "helm"), ("status", "deployed"), ("team", "a")];
        let mut secret = Secret::default();
        secret.metadata.name = Some("sh.helm.release.v1.cilium.v3".to_owned());
        secret.metadata.labels = Some(labels.map(|(key, value)| (key.into(), value.into())).into());
        secret.data = Some([("release".to_owned(), ByteString(release))].into());
        secret
    }

    fn record(status: &str) -> Value {
        json!({
            "name": "cilium", "namespace": "kube-system", "version": 3, "apply_method": "ssa",
            "info": {"status": status, "description": "x"},
            "chart": {"metadata": {"name": "cilium", "version": "1.20.2+abc"}, "templates": []},
            "config": {"a": 1},
            "manifest": "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n",
        })
    }

    fn read(release: Vec<u8>) -> Result<StoredRelease> {
        StoredRelease::read(&secret(release), "kube-system", "cilium")
    }

    #[test]
    fn what_helm_stored_is_read() {
        let stored = read(packed(record("pending-upgrade").to_string().as_bytes())).unwrap();
        assert_eq!((stored.revision, stored.state), (3, ReleaseState::PendingUpgrade));
        assert_eq!((stored.chart_name.as_str(), stored.chart_version.as_str()), ("cilium", "1.20.2+abc"));
        assert_eq!(stored.apply_method, ApplyMethod::ServerSide);
        assert_eq!(stored.labels, BTreeMap::from([("team".to_owned(), "a".to_owned())]));
        assert_eq!(stored.objects.len(), 1);
        let mut old = record("deployed");
        old.as_object_mut().unwrap().retain(|key, _| key != "apply_method" && key != "config");
        let stored = read(STANDARD.encode(old.to_string()).into_bytes()).unwrap();
        assert_eq!((stored.apply_method, stored.values), (ApplyMethod::ClientSide, json!({})));
    }

    #[test]
    fn every_state_is_shown_as_helm_shows_it() {
        for told in [
            "deployed",
            "failed",
            "pending-install",
            "pending-upgrade",
            "pending-rollback",
            "superseded",
            "uninstalling",
            "uninstalled",
            "unknown",
        ] {
            let stored = read(packed(record(told).to_string().as_bytes())).unwrap();
            assert_eq!(stored.state.to_string(), told);
            assert_eq!(stored.state.is_held(), told.starts_with("pending") || told == "uninstalling");
        }
        let unheard = read(packed(record("paused").to_string().as_bytes())).unwrap();
        assert_eq!(unheard.state, ReleaseState::Unknown);
    }

    #[test]
    fn an_invalid_helm_record_is_reported_with_its_secret_and_without_its_content() {
        let whole = packed(record("deployed").to_string().as_bytes());
        let mut other = record("deployed");
        other["name"] = "coredns".into();
        let table = [
            (b"?".to_vec(), "Base64"),
            (whole[..whole.len() - 40].to_vec(), "truncated"),
            (packed(b"{\"name\": \"hunter2\"}"), "no valid Helm release record (line 1"),
            (packed(other.to_string().as_bytes()), "another release"),
        ];
        for (release, why) in table {
            let failure = read(release).unwrap_err();
            let told = format!("{failure:?}");
            assert!(
                told.contains("Secret kube-system/sh.helm.release.v1.cilium.v3") && told.contains(why),
                "{told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_may_stand_in_a_secret_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = read(bytes.clone());
            let _ = read(STANDARD.encode(&bytes).into_bytes());
            let whole = packed(record("deployed").to_string().as_bytes());
            let _ = read(whole[..cut.min(whole.len())].to_vec());
        }
    }

    #[test]
    fn anything_may_stand_in_a_releases_secret() {
        let record = record("deployed").to_string();
        bootstrapper_core::fuzzing::texts(&[&record], |text| {
            let _ = read(packed(text.as_bytes()));
        });
        let packed = String::from_utf8(packed(record.as_bytes())).unwrap();
        bootstrapper_core::fuzzing::texts(&[&packed], |text| drop(read(text.as_bytes().to_vec())));
    }
}
