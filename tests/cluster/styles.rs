//! Repositories in the styles that people have, with no task file and with the `bootstrapper.yaml` that `init`
//! writes: bootstrapped to the end, and taken over by Flux as they are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use crate::common;
use crate::others::Rehearsal;
use common::edit;
use common::keeper::Keeper;
use predicates::prelude::*;
use predicates::str::contains;

/// The `bootstrapper.yaml` that `init` writes for a style.
fn initialized(style: &Rehearsal) -> String {
    let file = style.copy.path().join("bootstrapper.yaml");
    std::fs::remove_file(&file).unwrap();
    let mut init = style.command(&["init", "--yes", "--repo"]);
    init.arg(style.copy.path()).assert().success().stderr(contains("wrote bootstrapper.yaml"));
    std::fs::read_to_string(file).unwrap()
}

/// Bootstraps it; Flux owns all of it, changed nothing of what it took over, and a second run writes nothing.
fn is_taken_over_as_it_is(style: &Rehearsal, cluster: &str) {
    let run = [cluster, "--sandbox", "--progress", "plain"];
    style.run(&run).success().stderr(contains("is up: Flux owns").and(contains("nothing changed")));
    style.run(&["handover", cluster, "--sandbox", "--check"]).success();
    style.run(&run).success().stderr(contains("is up to date").and(contains("no writes")));
}

/// A folder with a `ks.yaml` for each app; secrets come from a vault; the operator applies the root.
#[test]
fn a_home_with_external_secrets() {
    let home = Rehearsal::of("../styles/home-ops", "cluster");
    initialized(&home);
    is_taken_over_as_it_is(&home, "cluster");
}

/// Secrets are encrypted with SOPS, and their key lies beside the repository, as `.gitignore` leaves it out.
#[test]
fn a_template_with_sops() {
    let keeper = Keeper::new();
    let files = [
        "kubernetes/components/sops/cluster-secrets.sops.yaml",
        "kubernetes/apps/default/victoria-logs/app/secret.sops.yaml",
    ];
    let template = with_key("cluster-template", "cluster", &keeper, &files);
    let written = initialized(&template);
    assert!(written.contains("age.agekey: {file: age.key}"), "{written}");
    is_taken_over_as_it_is(&template, "cluster");
}

/// Encrypts with this key what was encrypted with one that nobody has; other documents of the file stay.
fn encrypted_anew(file: &Path, keeper: &Keeper) {
    let text = std::fs::read_to_string(file).unwrap();
    let documents = text.split("\n---\n").map(|document| match document.split_once("\nsops:\n") {
        Some((plain, _)) => encrypted(plain, keeper),
        None => document.trim_end().to_owned(),
    });
    std::fs::write(file, documents.collect::<Vec<_>>().join("\n---\n") + "\n").unwrap();
}

fn encrypted(document: &str, keeper: &Keeper) -> String {
    let lines = document.lines().map(|line| match line.split_once(": ENC[") {
        Some((key, _)) if key.ends_with(".dockerconfigjson") => format!("{key}: '{{\"auths\": {{}}}}'"),
        Some((key, _)) => format!("{key}: invented.test"),
        None => line.to_owned(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.yaml");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    keeper.encrypt(&file);
    std::fs::read_to_string(file).unwrap().trim_end().to_owned()
}

/// A style of which these files are encrypted with a key that lies beside the repository.
fn with_key(style: &str, cluster: &'static str, keeper: &Keeper, files: &[&str]) -> Rehearsal {
    let style = Rehearsal::of(&format!("../styles/{style}"), cluster).with_programs(&keeper.programs);
    let root = style.copy.path();
    for file in files {
        encrypted_anew(&root.join(file), keeper);
    }
    std::fs::copy(keeper.key(), root.join("age.key")).unwrap();
    style
}

/// Says which operator is installed, as `init` asks for it.
fn with_operator(style: &Rehearsal) {
    let written = initialized(style);
    let asked = written.lines().find(|line| line.contains("# flux: {operator: VERSION}")).unwrap();
    edit(&style.copy, "bootstrapper.yaml", asked, "    flux: {operator: 0.58.1}");
}

/// `flux bootstrap` has written Flux itself into the repository.
#[test]
fn what_flux_bootstrap_wrote() {
    let keeper = Keeper::new();
    let files = ["apps/marsh/secret.yaml", "infrastructure/configs/settings.yaml"];
    let wrote = with_key("flux-bootstrap", "marsh", &keeper, &files);
    let root = wrote.copy.path();
    let sync = "clusters/marsh/flux-system/gotk-sync.yaml";
    let text = std::fs::read_to_string(root.join(sync)).unwrap();
    let url = text.lines().find_map(|line| line.trim().strip_prefix("url: ")).unwrap().to_owned();
    edit(&wrote.copy, sync, &url, "https://git.invalid/marsh.git");
    edit(&wrote.copy, sync, "  secretRef:\n    name: flux-system\n", "");
    wrote.run(&["sandbox", "up", "marsh"]).success();
    wrote.write_components("clusters/marsh/flux-system/gotk-components.yaml");
    std::fs::remove_file(root.join("flux.yaml")).unwrap();
    initialized(&wrote);
    is_taken_over_as_it_is(&wrote, "marsh");
}

/// Network and apps are ResourceSets; the operator comes from its release manifest.
#[test]
fn a_fleet_of_resource_sets() {
    let keeper = Keeper::new();
    let fleet = with_key("d1-fleet", "delta", &keeper, &["tenants/apps/registry.yaml"]);
    with_operator(&fleet);
    is_taken_over_as_it_is(&fleet, "delta");
}

/// The operator is a release of a ResourceSet, which it reconciles itself.
#[test]
fn an_operator_that_keeps_itself() {
    let keeper = Keeper::new();
    let strait = with_key("operator-bootstrap", "strait", &keeper, &["apps/logs.yaml"]);
    initialized(&strait);
    is_taken_over_as_it_is(&strait, "strait");
}

/// The root is an artifact of a registry, made of a folder of the repository.
#[test]
fn an_artifact_as_the_root() {
    let keeper = Keeper::new();
    let lagoon = with_key("oci-root", "lagoon", &keeper, &["deploy/apps/logs.yaml"]);
    initialized(&lagoon);
    is_taken_over_as_it_is(&lagoon, "lagoon");
}

/// Tenants work with accounts of their own. A sandbox has no repository of a tenant: theirs is a folder.
#[test]
fn tenants_with_accounts_of_their_own() {
    let keeper = Keeper::new();
    let harbour = with_key("multi-tenancy", "harbour", &keeper, &["tenants/harbour/secret.yaml"]);
    let source = "tenants/harbour/source.yaml";
    edit(&harbour.copy, source, "https://git.invalid/pilots/apps.git", "https://git.invalid/harbour.git");
    edit(&harbour.copy, source, "path: ./deploy", "path: ./pilots");
    let pilots = harbour.copy.path().join("pilots");
    std::fs::create_dir(&pilots).unwrap();
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: pilots}\n";
    std::fs::write(pilots.join("settings.yaml"), settings).unwrap();
    with_operator(&harbour);
    is_taken_over_as_it_is(&harbour, "harbour");
}
