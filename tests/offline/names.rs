//! What a person means by a name, and what that needs: of this repository's own cluster.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use bootstrapper::gitops::{Declared, Repository, SecretValues};
use bootstrapper::object::ObjectRef;
use bootstrapper::tools::{Environment, Kustomize};

fn declared() -> Declared {
    let copy = common::repository();
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let repository = Repository::open(copy.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(repository.load("apps", &kustomize, &SecretValues::new())).unwrap()
}

fn texts(ids: &[ObjectRef]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_means_all_that_are_called_so_and_needs_what_comes_before() {
    let declared = declared();
    let named = |name: &str| texts(&declared.reconciled(name).unwrap());
    assert_eq!(named("cilium"), ["Kustomization flux-system/cilium", "HelmRelease kube-system/cilium"]);
    assert_eq!(named("Kustomization/cilium"), ["Kustomization flux-system/cilium"]);
    assert_eq!(named("kube-system/cilium"), ["HelmRelease kube-system/cilium"]);
    let failure = declared.reconciled("cilum").unwrap_err();
    assert_eq!(failure.what, "apps declares no Kustomization or HelmRelease `cilum`");
    assert_eq!(failure.hints, ["did you mean `cilium`?"]);

    let release = declared.reconciled("HelmRelease/cilium").unwrap();
    assert_eq!(texts(&declared.parents(&release[0]))[0], "Kustomization flux-system/cilium");
    let needed = texts(&declared.with_needed(&declared.reconciled("tenants").unwrap()));
    for one in ["tenants", "cilium-gateway", "cilium", "flux-system"] {
        assert!(needed.contains(&format!("Kustomization flux-system/{one}")), "{one}: {needed:?}");
    }
    assert!(!needed.iter().any(|id| id.contains("dragonfly")), "{needed:?}");
}
