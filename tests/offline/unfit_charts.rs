//! Charts that can never be installed as they are declared, fetched by the real Helm. One whose own version is
//! not its tag is refused by Flux from an OCIRepository, and installed from a HelmRepository or by digest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use common::charts::Charts;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

fn repository(objects: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("clusters/home");
    std::fs::create_dir_all(cluster.join("flux-system")).unwrap();
    std::fs::write(cluster.join("flux-system/gotk-sync.yaml"), common::sync("./clusters/home")).unwrap();
    std::fs::write(cluster.join("releases.yaml"), objects).unwrap();
    folder
}

fn source(kind: &str, more: &str) -> String {
    format!(
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: charts, namespace: default}}\nspec: {{interval: 1h, insecure: true, {more}}}\n"
    )
}

fn release(chart: &str) -> String {
    format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: seen, namespace: default}}\nspec: {{interval: 1h, {chart}}}\n"
    )
}

#[test]
fn validate_refuses_a_chart_that_can_never_be_installed() {
    let charts = Charts::serve();
    charts.tag("seen", "1.0.0", "1.0.1");
    charts.tag("seen", "1.0.0", "latest");
    let manifest = std::fs::read(charts.place("v2/charts/seen/manifests/1.0.0")).unwrap();
    let digest = common::charts::digest(&manifest);
    let host = &charts.host;
    let artifact = |reference: &str| {
        source("OCIRepository", &format!("url: 'oci://{host}/charts/seen', ref: {{{reference}}}"))
            + &release("chartRef: {kind: OCIRepository, name: charts}")
    };
    let registry = source("HelmRepository", &format!("type: oci, url: 'oci://{host}/charts'"))
        + &release(
            "chart: {spec: {chart: seen, version: 1.0.1, sourceRef: {kind: HelmRepository, name: charts}}}",
        );
    let other = "its tag is 1.0.1, but its Chart.yaml says version 1.0.0";
    // What declares it, and why it is refused.
    let table = [
        (artifact("tag: 1.0.1"), Some(other)),
        (artifact("tag: 1.0.0"), None),
        (artifact("tag: latest"), None),
        (artifact(&format!("tag: 1.0.1, digest: '{digest}'")), None),
        (
            registry.replace("chart: seen, version: 1.0.1", "chart: shared, version: 1.0.0"),
            Some("library charts are not installable"),
        ),
        (registry, None),
    ];
    for (objects, refused) in table {
        let repository = repository(&objects);
        let found = common::bootstrapper()
            .args(["validate", "home", "--charts", "--repo"])
            .arg(repository.path())
            .assert();
        match refused {
            Some(why) => {
                let place = contains("releases.yaml").and(contains("ref.digest"));
                found.code(3).stdout(contains("chart-unfit").and(contains(why)).and(place));
            }
            None => {
                found.stdout(contains("chart-unfit").not().and(contains("chart-unfetchable").not()));
            }
        }
    }
}
