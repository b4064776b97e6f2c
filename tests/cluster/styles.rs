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
    let template = Rehearsal::of("../styles/cluster-template", "cluster").with_programs(&keeper.programs);
    let root = template.copy.path();
    for file in
        ["components/sops/cluster-secrets.sops.yaml", "apps/default/victoria-logs/app/secret.sops.yaml"]
    {
        encrypted_anew(&root.join("kubernetes").join(file), &keeper);
    }
    std::fs::copy(keeper.key(), root.join("age.key")).unwrap();
    let written = initialized(&template);
    assert!(written.contains("age.agekey: {file: age.key}"), "{written}");
    is_taken_over_as_it_is(&template, "cluster");
}

/// Encrypts with this key what was encrypted with one that nobody has.
fn encrypted_anew(file: &Path, keeper: &Keeper) {
    let text = std::fs::read_to_string(file).unwrap();
    let plain = text.split("\nsops:\n").next().unwrap();
    let lines = plain.lines().map(|line| match line.split_once(": ENC[") {
        Some((key, _)) => format!("{key}: invented.test"),
        None => line.to_owned(),
    });
    std::fs::write(file, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    keeper.encrypt(file);
}

/// `flux bootstrap` has written Flux itself into the repository.
#[test]
fn what_flux_bootstrap_wrote() {
    let keeper = Keeper::new();
    let wrote = Rehearsal::of("../styles/flux-bootstrap", "marsh").with_programs(&keeper.programs);
    let root = wrote.copy.path();
    for file in ["apps/marsh/secret.yaml", "infrastructure/configs/settings.yaml"] {
        encrypted_anew(&root.join(file), &keeper);
    }
    let sync = "clusters/marsh/flux-system/gotk-sync.yaml";
    let text = std::fs::read_to_string(root.join(sync)).unwrap();
    let url = text.lines().find_map(|line| line.trim().strip_prefix("url: ")).unwrap().to_owned();
    edit(&wrote.copy, sync, &url, "https://git.invalid/marsh.git");
    edit(&wrote.copy, sync, "  secretRef:\n    name: flux-system\n", "");
    std::fs::copy(keeper.key(), root.join("age.key")).unwrap();
    wrote.run(&["sandbox", "up", "marsh"]).success();
    wrote.write_components("clusters/marsh/flux-system/gotk-components.yaml");
    std::fs::remove_file(root.join("flux.yaml")).unwrap();
    initialized(&wrote);
    is_taken_over_as_it_is(&wrote, "marsh");
}
