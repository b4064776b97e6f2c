//! The gallery: failures made on a real control plane, and the line that must be printed first for
//! each; and healthy scenes that are only slow, for which nothing may be called wrong.
//!
//! A scene is a file in `tests/gallery/wrong` or `tests/gallery/well`: objects in a namespace of its
//! own, what is waited for, and what must be said. All share one sandbox, side by side; those that
//! break something for all come after the others, one by one. Each leaves things as it found them.
//!
//! `SCENE=quota cargo test --test cluster gallery::` makes those whose name holds that. With `GALLERY_WRITE`
//! set, a whole play writes the table in `docs/failures/gallery.md` anew. `GALLERY_STATE=<folder>`
//! keeps the sandbox in that folder, and uses the one that is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use crate::common;
mod large;
mod play;
mod sandbox;
mod scene;
mod stage;
mod table;

use bootstrapper::object::ObjectRef;
use common::root;
use futures::stream::{self, StreamExt as _};
use play::Outcome;
use predicates::str::contains;
use sandbox::{NAME, Sandbox};
use scene::Deed;
use serde_json::json;
use stage::{Part, Stage};

const SIDE_BY_SIDE: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_named_and_nothing_healthy_is_called_wrong() {
    let sandbox = Sandbox::up();
    sandbox.bootstrap().await;
    let cluster = sandbox.cluster().await;
    let node = cluster.get(&ObjectRef::cluster_scoped("v1", "Node", "infra-1")).await.unwrap().unwrap();
    let kubelet_port = node.data["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_i64().unwrap();
    let stage = Stage { cluster, client: sandbox.client().await, kubelet_port };

    // A cluster that is well is one line.
    sandbox
        .run(&["doctor", NAME, "--sandbox"])
        .assert()
        .success()
        .stdout(contains("infra: no problems found"));
    a_cause_is_found_in_the_repository(&sandbox, &stage).await;

    let all = scene::of("wrong").into_iter().chain(scene::of("well"));
    let (alone, together): (Vec<_>, Vec<_>) = all.partition(|(_, scene)| scene.alone);
    let mut outcomes: Vec<Outcome> = stream::iter(together)
        .map(|(name, scene)| play::play(&stage, name, scene))
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    for (name, scene) in alone {
        outcomes.push(play::play(&stage, name, scene).await);
    }
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));

    let is_whole = std::env::var_os("SCENE").is_none();
    if std::env::var_os("GALLERY_WRITE").is_some() && is_whole {
        std::fs::write(root().join("docs/failures/gallery.md"), table::table(&outcomes)).unwrap();
    }
    eprintln!("{}", table::sum(&outcomes));
    let problems = outcomes.iter().filter_map(|outcome| Some((&outcome.name, outcome.problem.as_ref()?)));
    let told: Vec<String> = problems.map(|(name, problem)| format!("{name}: {problem}")).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Of a workload that a chart brings, it is the release that is declared.
async fn a_cause_is_found_in_the_repository(sandbox: &Sandbox, stage: &Stage) {
    let mut part = Part::of(stage, "declared").await;
    let dns = ObjectRef::namespaced("apps/v1", "Deployment", "kube-system", "coredns");
    let with = json!({"spec": {"template": {"metadata": {"annotations": {"gallery": "broken"}}, "spec": {"serviceAccountName": "nobody"}}}});
    part.act(&[Deed::Patch { object: dns, with }]).await;
    let doctor = || sandbox.run(&["doctor", NAME, "--sandbox"]).output().unwrap();
    // Until the controller has seen it, nothing is wrong yet.
    let said = (0..30).map(|_| doctor()).find(|output| !output.status.success());
    part.put_away().await;
    let said = String::from_utf8(said.expect("it is wrong in time").stdout).unwrap();
    assert!(said.contains("ServiceAccount kube-system/nobody does not exist"), "{said}");
    assert!(said.contains("declared in kubernetes/bases/coredns/release.yaml:1:1"), "{said}");
}

#[test]
fn every_scene_is_of_a_known_failure() {
    for (name, scene) in scene::of("wrong") {
        let code = scene.code.unwrap_or_else(|| panic!("{name} names no code"));
        assert!(bootstrapper::diagnosis::code_named(&code).is_some(), "{name}: {code}");
        assert!(scene.says.is_some(), "{name} says nothing");
    }
    assert!(scene::of("well").iter().all(|(_, scene)| scene.code.is_none()));
}

#[test]
fn the_pages_are_those_of_the_catalogue() {
    for page in bootstrapper::diagnosis::pages() {
        let file = root().join("docs/failures").join(&page.name);
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(written, page.text, "{}: run `bootstrapper explain --write docs/failures`", page.name);
    }
}
