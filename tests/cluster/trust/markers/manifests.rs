//! What the repository declares.

use serde_json::{Value, json};

pub(super) const TASKS: &str = "
stages:
  - name: ground
    steps: [{namespaces: declared}, {secrets: declared}]
  - name: network
    steps: [{release: cilium, await: false}]
  - name: app
    steps:
      - kustomization: app
      - release: seen
      - {name: own, command: [scripts/own.sh, '{{cluster}}']}
  - name: flux
    steps: [{release: flux-operator}, {release: flux-instance}, {wait: {probe: flux.controllers}}]
  - name: sync
    steps: [{adoption: forecast}, {source: declared}, {sync: declared}]
  - name: handover
    steps: [{handover: declared}, {adoption: verify}]
";

/// What is appended for a while: whatever runs fails, and repeats secrets.
pub(super) const FAILING: &str = "
  - name: failing
    parallel: true
    steps:
      - release: failing
      - release: checked
      - {name: spills, command: [scripts/spills.sh]}
";

pub(super) const FLUX: &str = "
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: cilium, namespace: kube-system}
spec: {type: oci, interval: 24h, url: 'oci://quay.io/cilium/charts'}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cilium, namespace: kube-system}
spec:
  interval: 30m
  chart: {spec: {chart: cilium, version: 1.20.x, sourceRef: {kind: HelmRepository, name: cilium}}}
  values: {cluster: {name: markers, id: 1}}
";

pub(super) const RELEASES: &str = "
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 10m
  path: ./app
  prune: true
  sourceRef: {kind: GitRepository, name: flux-system}
  decryption: {provider: sops, secretRef: {name: sops-age}}
  postBuild: {substituteFrom: [{kind: Secret, name: variables}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: app}
";

/// A HelmRelease in the namespace `app`, with the password of Secret `whole` at `path`.
pub(super) fn release(name: &str, chart: &str, source: &str, path: &str) -> String {
    format!(
        "---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: app}}
spec:
  interval: 1h
  chart: {{spec: {{chart: {chart}, version: 1.x, sourceRef: {{kind: HelmRepository, name: {source}}}}}}}
  valuesFrom: [{{kind: Secret, name: whole, valuesKey: password, targetPath: {path}}}]
"
    )
}

pub(super) fn of_flux(name: &str, values: &str) -> String {
    format!(
        "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  url: oci://ghcr.io/controlplaneio-fluxcd/charts/{name}
  ref: {{tag: 0.58.1}}
  layerSelector: {{mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  chartRef: {{kind: OCIRepository, name: {name}}}
  releaseName: {name}
  values: {values}
"
    )
}

pub(super) fn secret(name: &str, namespace: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data})
}

/// Whoever declares this has secrets in a ConfigMap, and wants that.
pub(super) fn settings(word: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "app"},
        "data": {"address": "https://${DOMAIN}/", "pin": "x${PIN}y", "word": word}})
    .to_string()
}
