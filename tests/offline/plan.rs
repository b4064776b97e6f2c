//! The plan of the layout's clusters, made against an API server in memory: which steps there are, what each is
//! about, which are skipped or cannot run, and why.

use std::sync::Arc;

use bootstrapper::cluster::mock::ApiServer;
use bootstrapper::engine::{self, Graph, Observation, Work};
use bootstrapper::failure::{Failure, Result};
use bootstrapper::gitops::Repository;
use bootstrapper::pipeline::{self, Config, Selector, Tasks};
use bootstrapper::plan::{self, Inputs, ManifestSources, SecretSources};
use bootstrapper::tools::{Environment, Kustomize};
use bootstrapper::trust::Approvals;

use predicates::prelude::*;
use predicates::str::contains;

use crate::common::{bootstrapper, edit, programs, repository, root};

/// Whose plan is made, and what may be read for it.
pub(crate) struct Planned<'a> {
    pub(crate) folder: &'a std::path::Path,
    pub(crate) cluster: &'a str,
    pub(crate) selector: &'a Selector,
    pub(crate) environment: Environment,
    pub(crate) approvals: Approvals,
    /// A sandbox has values of its own for secrets.
    pub(crate) in_sandbox: bool,
}

/// A plan against an API server in memory, without Helm.
pub(crate) async fn planned(of: Planned<'_>) -> Result<(Graph, ApiServer)> {
    let Planned { folder, cluster, selector, environment, approvals, in_sandbox } = of;
    let kustomize = Arc::new(Kustomize::find(&environment)?);
    let repository = Repository::open(folder)?;
    let config = Config::load(&repository.root)?;
    let server = ApiServer::default();
    let api = server.connect();
    let secrets = plan::resolve_secrets(&SecretSources {
        name: cluster,
        config: &config,
        root: &repository.root,
        environment: &environment,
        cluster: Some(&api),
        approvals: &approvals,
        in_sandbox,
    })
    .await?;
    let declared = Arc::new(repository.load(cluster, &kustomize, &secrets.values).await?);
    let pipeline = Tasks::of_repository(&repository.root)?.pipeline(&declared, &config)?;
    let selected = pipeline::select(&pipeline, selector)?;
    if in_sandbox {
        // Nothing is demanded of keys that are made up.
        assert!(
            plan::prove_keys(&declared, &repository.root, &secrets, &environment).await.failures.is_empty()
        );
    }
    let manifests = plan::build_manifests(&ManifestSources {
        name: cluster,
        pipeline: &pipeline,
        repository: &repository,
        kustomize: &kustomize,
        secrets: &secrets.values,
        approvals: &approvals,
        in_sandbox,
    })
    .await;
    let graph = plan::build(&Inputs {
        pipeline: &pipeline,
        selected: &selected,
        timeout: None,
        inactivity: None,
        repository: &repository,
        declared,
        distribution: config.distribution_of(cluster),
        neighbours: repository.neighbours_of(cluster)?,
        cluster: api,
        helm: Err(Failure::step("no Helm in this test")),
        kustomize,
        environment,
        secrets,
        manifests,
        approvals,
    })?;
    Ok((graph, server))
}

async fn plan_of(folder: &std::path::Path, cluster: &str, selector: &Selector) -> Result<(Graph, ApiServer)> {
    let environment = Environment { path: vec![programs().to_owned()], ..Environment::default() };
    let approvals = Approvals::nothing();
    planned(Planned { folder, cluster, selector, environment, approvals, in_sandbox: true }).await
}

fn lines(graph: &Graph) -> String {
    let line = |step: &bootstrapper::engine::PlannedStep| {
        let state = match &step.work {
            Work::Step(_) => String::new(),
            Work::Skipped { reason } => format!("  (skipped: {reason})"),
            Work::Impossible { failure, .. } => format!("  (impossible: {})", failure.what),
        };
        format!("{}: {}{state}", step.id, step.title)
    };
    graph.steps().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_plan_of_infra() {
    let (graph, server) = plan_of(root(), "infra", &Selector::default()).await.unwrap();
    insta::assert_snapshot!(lines(&graph));
    assert!(server.writes().is_empty());
}

/// The history tells by it whether a step was to bring about something else.
#[tokio::test]
async fn steps_with_objects_in_the_repository_have_a_digest() {
    let (graph, _) = plan_of(root(), "infra", &Selector::default()).await.unwrap();
    let with_digest = |name: &str| {
        let starts = ["release-", "kustomization-", "crds-", "source", "sync"];
        name != "crds-releases" && starts.iter().any(|start| name.starts_with(start))
    };
    for step in graph.steps() {
        assert_eq!(step.digest.is_some(), with_digest(&step.id.name), "{}", step.id);
    }
}

#[tokio::test]
async fn the_plan_of_apps() {
    insta::assert_snapshot!(lines(&plan_of(root(), "apps", &Selector::default()).await.unwrap().0));
}

#[tokio::test]
async fn what_is_not_selected_is_skipped_with_the_flag_that_says_so() {
    let selector = Selector { only: vec!["sync".to_owned()], ..Selector::default() };
    let (graph, _) = plan_of(root(), "infra", &selector).await.unwrap();
    let runs: Vec<String> =
        graph.steps().filter(|step| step.skip_reason().is_none()).map(|step| step.id.to_string()).collect();
    assert_eq!(runs, ["sync/adoption-forecast", "sync/source", "sync/sync"]);
    assert!(graph.steps().all(|step| step.id.stage == "sync" || step.undo().is_none()));
}

#[tokio::test]
async fn a_step_about_what_is_not_declared_is_refused_with_its_place_or_skipped() {
    let copy = repository();
    let task =
        |when: &str| format!("stages:\n  - name: early\n    steps:\n      - release: not-there{when}\n");
    edit(&copy, "tasks/bootstrap.yaml", "stages:\n", &task(""));
    let Err(failure) = plan_of(copy.path(), "infra", &Selector::default()).await else {
        panic!("it was planned")
    };
    assert!(failure.what.contains("declares no HelmRelease"), "{failure}");
    let text = std::fs::read_to_string(copy.path().join("tasks/bootstrap.yaml")).unwrap();
    let line = text.lines().position(|line| line.contains("not-there")).unwrap() + 1;
    assert_eq!(failure.location.map(|at| at.line), Some(line));
    let copy = repository();
    edit(&copy, "tasks/bootstrap.yaml", "stages:\n", &task("\n        when: declared"));
    let (graph, _) = plan_of(copy.path(), "infra", &Selector::default()).await.unwrap();
    assert_eq!(graph.steps().next().unwrap().skip_reason(), Some("infra declares no HelmRelease not-there"));
}

/// On a cluster that has nothing yet, each step says what it would make or what it waits for, and writes nothing.
#[tokio::test]
async fn an_empty_cluster_is_observed_without_a_write() {
    let selector =
        Selector { only: vec!["prerequisites".to_owned(), "sync".to_owned()], ..Selector::default() };
    let (graph, server) = plan_of(root(), "infra", &selector).await.unwrap();
    for (step, observed) in engine::observe(&graph).await {
        let is_new = matches!(observed, Ok(Observation::Missing(_)));
        let is_forecast =
            step.id.name == "adoption-forecast" && matches!(observed, Ok(Observation::Drifted(_)));
        assert!(is_new || is_forecast, "{}: {observed:?}", step.id);
    }
    assert!(server.writes().is_empty());
}

#[test]
fn several_clusters_have_a_plan_each_and_a_file_has_one() {
    let copy = repository();
    let plan = |arguments: &[&str]| {
        bootstrapper().arg("plan").args(arguments).arg("--repo").arg(copy.path()).assert()
    };
    plan(&["infra", "apps", "--offline"])
        .success()
        .stdout(contains("plan of infra, not compared").and(contains("plan of apps, not compared")));
    plan(&["infra", "apps", "--out", "plan.json"]).code(3).stderr(contains("the plan of one cluster"));
    plan(&["infra", "--offline", "--exit-code"]).code(2);
}
