//! Charts whose source requires a signature, fetched by the real Helm from a registry that asks for a password:
//! with the public key at hand, they are installed only if its owner signed them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::gitops::{HelmAction, Repository, SecretValues};
use bootstrapper::tools::{Environment, Helm, Kustomize};
use common::charts::{Charts, digest};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};
use tempfile::TempDir;

const LOGIN: (&str, &str) = ("reader", "hunter2");
const KIND: &str = "application/vnd.in-toto+json";

/// A registry with the chart `seen`, as `helm push` leaves it.
struct Registry {
    charts: Charts,
    chart: String,
}

impl Registry {
    fn new() -> Self {
        let charts = Charts::serve_to(Some(LOGIN));
        let manifest = std::fs::read(charts.place("v2/charts/seen/manifests/1.0.0")).unwrap();
        Self { charts, chart: digest(&manifest) }
    }

    fn put(&self, place: &str, content: &[u8]) {
        let place = self.charts.place("v2/charts/seen").join(place);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }

    fn layer(&self, content: &[u8], annotations: &Value) -> Value {
        self.put(&format!("blobs/{}", digest(content)), content);
        json!({"digest": digest(content), "size": content.len(), "annotations": annotations})
    }

    /// As `cosign sign --key` does before version 3: of whatever has that digest.
    fn sign(&self, by: &KeyPair, of: &str) {
        let payload = json!({
            "critical": {"identity": {"docker-reference": ""}, "image": {"docker-manifest-digest": of}, "type": "cosign container image signature"},
            "optional": null,
        })
        .to_string();
        let signature = STANDARD.encode(by.sign(payload.as_bytes()).unwrap());
        let layer = self.layer(payload.as_bytes(), &json!({"dev.cosignproject.cosign/signature": signature}));
        let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string();
        self.put(&format!("manifests/{}.sig", self.chart.replace(':', "-")), manifest.as_bytes());
    }

    /// As version 3 does; `index` is where the list of referrers lies.
    fn sign_with_bundle(&self, by: &KeyPair, index: &str) {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": self.chart.trim_start_matches("sha256:")}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
        })
        .to_string();
        let signed = format!("DSSEv1 {} {KIND} {} {statement}", KIND.len(), statement.len());
        let signature = STANDARD.encode(by.sign(signed.as_bytes()).unwrap());
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "dsseEnvelope": {"payload": STANDARD.encode(&statement), "payloadType": KIND, "signatures": [{"sig": signature}]},
        });
        let layer = self.layer(bundle.to_string().as_bytes(), &json!({}));
        let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string();
        let place = digest(manifest.as_bytes());
        self.put(&format!("manifests/{place}"), manifest.as_bytes());
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let referrers = json!({"schemaVersion": 2, "manifests": [{"digest": place, "artifactType": kind}]});
        self.put(index, referrers.to_string().as_bytes());
    }

    /// A release by each kind of source, with `verify` in it.
    fn repository(&self, verify: &str, keys: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let cluster = folder.path().join("clusters/home");
        std::fs::create_dir_all(cluster.join("flux-system")).unwrap();
        std::fs::write(cluster.join("flux-system/gotk-sync.yaml"), common::sync("./clusters/home")).unwrap();
        let host = &self.charts.host;
        let object = |kind: &str, name: &str, spec: &str| {
            format!(
                "---\napiVersion: {kind}\nmetadata: {{name: {name}, namespace: default}}\nspec: {{interval: 1h, {spec}}}\n"
            )
        };
        let source = "insecure: true, secretRef: {name: registry}";
        let oci = "source.toolkit.fluxcd.io/v1\nkind: OCIRepository";
        let helm = "source.toolkit.fluxcd.io/v1\nkind: HelmRepository";
        let release = "helm.toolkit.fluxcd.io/v2\nkind: HelmRelease";
        let all = [
            object(
                oci,
                "artifact",
                &format!("{source}, url: 'oci://{host}/charts/seen', ref: {{tag: 1.0.0}}, {verify}"),
            ),
            object(helm, "registry", &format!("{source}, type: oci, url: 'oci://{host}/charts'")),
            object(release, "of-artifact", "chartRef: {kind: OCIRepository, name: artifact}"),
            object(
                release,
                "of-registry",
                &format!(
                    "chart: {{spec: {{chart: seen, version: 1.0.0, sourceRef: {{kind: HelmRepository, name: registry}}, {verify}}}}}"
                ),
            ),
        ];
        let keys = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "default"},
            "stringData": {"cosign.pub": keys, "readme": "no key"},
        });
        std::fs::write(cluster.join("releases.yaml"), format!("{}---\n{keys}\n", all.concat())).unwrap();
        folder
    }

    /// What is said of both releases, the same of each: none if the chart is taken.
    async fn outcome(&self, verify: &str, keys: &str) -> Option<String> {
        let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
        let kustomize = Kustomize::find(&environment).unwrap();
        let helm = Helm::find(&environment).await.unwrap();
        let folder = self.repository(verify, keys);
        let repository = Repository::open(folder.path()).unwrap();
        let login = [("username", LOGIN.0), ("password", LOGIN.1)];
        let login = login.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
        let secrets = SecretValues::from([(("default".into(), "registry".into()), login.into())]);
        let declared = repository.load("home", &kustomize, &secrets).await.unwrap();
        assert_eq!(declared.releases.len(), 2, "{:?}", declared.problems);
        let mut said = Vec::new();
        for release in &declared.releases {
            let request = release.helm_request(HelmAction::Install);
            let outcome = helm.pull(&request.chart, &request.access).await;
            said.push(outcome.err().map(|failure| format!("{failure:?}")));
        }
        let last = said.pop().flatten();
        assert_eq!(said[0].is_none(), last.is_none(), "{said:?} {last:?}");
        last
    }
}

const BY_KEY: &str = "verify: {provider: cosign, secretRef: {name: keys}}";

#[tokio::test(flavor = "multi_thread")]
async fn only_a_chart_signed_with_the_key_is_accepted() {
    let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (key, others) = (own.public_key_pem(), other.public_key_pem());
    let refused = async |registry: &Registry, key: &str, why: &str| {
        let said = registry.outcome(BY_KEY, key).await.unwrap_or_else(|| panic!("taken in spite of {why}"));
        assert!(said.contains(why) && said.contains("bootstrapper/unverified"), "{said}");
    };

    let registry = Registry::new();
    refused(&registry, &key, "it has no signature").await;
    assert_eq!(registry.outcome("", &key).await, None, "nothing requires a signature");
    let keyless = "verify: {provider: cosign, matchOIDCIdentity: [{issuer: x, subject: y}]}";
    assert_eq!(registry.outcome(keyless, &key).await, None, "it is left to Flux");

    registry.sign(&own, &registry.chart);
    assert_eq!(registry.outcome(BY_KEY, &key).await, None);
    refused(&registry, &others, "its signature is by another key").await;
    refused(&registry, "no PEM", "no usable public key").await;

    // A signature of another artifact proves nothing of this one.
    registry.sign(&own, &digest(b"another"));
    refused(&registry, &key, "it has no signature").await;
    registry.sign(&other, &registry.chart);
    refused(&registry, &key, "its signature is by another key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_found_among_the_referrers_or_at_their_tag() {
    let own = KeyPair::generate().unwrap();
    let key = own.public_key_pem();
    for by_tag in [false, true] {
        let registry = Registry::new();
        let place = if by_tag {
            format!("manifests/{}", registry.chart.replace(':', "-"))
        } else {
            format!("referrers/{}", registry.chart)
        };
        registry.sign_with_bundle(&KeyPair::generate().unwrap(), &place);
        assert!(registry.outcome(BY_KEY, &key).await.is_some_and(|said| said.contains("another key")));
        registry.sign_with_bundle(&own, &place);
        assert_eq!(registry.outcome(BY_KEY, &key).await, None, "{place}");
    }
}
