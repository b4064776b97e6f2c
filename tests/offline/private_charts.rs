//! Charts that not everybody is given, fetched by the real Helm with the credentials that their sources
//! name: from a repository and from a registry that ask who it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;

use bootstrapper::gitops::{Rendering, Repository, SecretValues, renderings};
use bootstrapper::tools::{Environment, Helm, Kustomize};
use common::charts::Charts;
use serde_json::json;
use tempfile::TempDir;

const USER: &str = "reader";
const PASSWORD: &str = "hunter2";

/// One release of each kind of source.
fn repository(charts: &Charts) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("clusters/home");
    std::fs::create_dir_all(cluster.join("flux-system")).unwrap();
    std::fs::write(cluster.join("flux-system/gotk-sync.yaml"), common::sync("./clusters/home")).unwrap();
    let (host, url) = (&charts.host, &charts.url);
    let secret = "secretRef: {name: registry}, insecure: true, interval: 1h";
    let release = |name: &str, chart: &str| {
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: default}}\nspec: {{interval: 1h, {chart}}}\n"
        )
    };
    let source = |kind: &str, name: &str, more: &str| {
        format!(
            "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: default}}\nspec: {{{secret}, {more}}}\n"
        )
    };
    let of = |source: &str| {
        format!(
            "chart: {{spec: {{chart: seen, version: 1.x, sourceRef: {{kind: HelmRepository, name: {source}}}}}}}"
        )
    };
    let all = [
        source("HelmRepository", "classic", &format!("url: {url}")),
        release("of-repository", &of("classic")),
        source("HelmRepository", "registry", &format!("type: oci, url: 'oci://{host}/charts'")),
        release("of-registry", &of("registry").replace("1.x", "1.0.0")),
        source("OCIRepository", "artifact", &format!("url: 'oci://{host}/charts/seen', ref: {{tag: 1.0.0}}")),
        release("of-artifact", "chartRef: {kind: OCIRepository, name: artifact}"),
    ];
    std::fs::write(cluster.join("releases.yaml"), all.concat()).unwrap();
    folder
}

fn secret(entries: &[(&str, String)]) -> SecretValues {
    let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
    SecretValues::from([(("default".to_owned(), "registry".to_owned()), entries.collect())])
}

/// What becomes of each release.
async fn outcomes(charts: &Charts, secrets: &SecretValues) -> BTreeMap<String, Result<(), Vec<String>>> {
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let helm = Helm::find(&environment).await.unwrap();
    let folder = repository(charts);
    let repository = Repository::open(folder.path()).unwrap();
    let declared = repository.load("home", &kustomize, secrets).await.unwrap();
    let made = renderings(&declared.releases, &environment, Some(&helm)).await;
    made.into_iter()
        .map(|(id, made)| match made {
            Rendering::Takes { .. } => (id.name, Ok(())),
            Rendering::Fails { said, .. } => (id.name, Err(said)),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_served_only_with_the_password() {
    // What was fetched once is known of a place: each is asked by one only.
    let charts = || Charts::serve_to(Some((USER, PASSWORD)));
    let user = |password: &str| secret(&[("username", USER.to_owned()), ("password", password.to_owned())]);
    let given = outcomes(&charts(), &user(PASSWORD)).await;
    assert_eq!(given.len(), 3);
    assert!(given.values().all(Result::is_ok), "{given:#?}");

    let registry = charts();
    let config = json!({"auths": {&registry.host: {"username": USER, "password": PASSWORD}}}).to_string();
    let given = outcomes(&registry, &secret(&[(".dockerconfigjson", config)])).await;
    assert!(given["of-registry"].is_ok() && given["of-artifact"].is_ok(), "{given:#?}");

    for secrets in [user("wrong"), SecretValues::new()] {
        let refused = outcomes(&charts(), &secrets).await;
        assert_eq!(refused.len(), 3);
        assert!(refused.values().all(Result::is_err), "{refused:#?}");
        assert!(!format!("{refused:?}").contains(PASSWORD));
    }
}
