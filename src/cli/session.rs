//! What every verb about a cluster begins with: the repository, the cluster, and the plan that
//! joins them.

use std::path::Path;
use std::sync::Arc;

use super::args::{Selection, Target};
use crate::adoption::Adoption;
use crate::cluster::{Cluster, ConnectOptions, Identity};
use crate::engine::Graph;
use crate::failure::{Failure, Result};
use crate::gitops::{Declared, Repository};
use crate::pipeline::{self, Check, Config, Pipeline, Selected, StepKind};
use crate::plan::{self, Inputs};
use crate::sandbox::{self, Sandbox};
use crate::tools::{Environment, Helm, Kustomize};

/// An opened cluster and its plan.
pub(super) struct Session {
    pub(super) cluster: Cluster,
    pub(super) declared: Arc<Declared>,
    pub(super) graph: Graph,
    pub(super) adoption: Adoption,
    /// Whether the whole pipeline was asked for.
    pub(super) is_whole: bool,
}

/// Finds the repository: where told, else upwards from here.
pub(super) fn open_repository(at: Option<&Path>) -> Result<Repository> {
    let root = match at {
        Some(root) => root.to_owned(),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| Failure::input("the current folder cannot be read").caused_by(&error))?;
            Repository::root_of(&here)?
        }
    };
    // A configuration that cannot be read is told by whoever needs the rest of it.
    let entries = Config::load(&root).map(|config| config.entries()).unwrap_or_default();
    Repository::open_with(&root, &entries)
}

impl Session {
    /// Opens the cluster called `name`. Reads only.
    pub(super) async fn open(
        name: &str,
        target: &Target,
        selection: &Selection,
        sandbox: Option<&Sandbox>,
    ) -> Result<Self> {
        let repository = open_repository(target.repo.as_deref())?;
        repository.require(name)?;
        let config = Config::load(&repository.root)?;
        let pipeline = Pipeline::of_repository(&repository.root)?;
        let selected = pipeline::select(&pipeline, &selection.selector())?;
        let mut environment =
            sandbox.map_or_else(Environment::default, |sandbox| sandbox.environment.clone());
        environment.withheld = config.secret_variables();

        let connect = connect_options(name, target, &config, sandbox);
        let (cluster, helm) = tokio::join!(Cluster::connect(&connect), Helm::find(&environment));
        let (cluster, kustomize) = (cluster?, Arc::new(Kustomize::find(&environment)?));
        let remembered = cluster.remembered().await?;
        if let Some(remembered) = &remembered {
            remembered.require(&Identity::named(name))?;
        }

        let specs = config.secrets_of(name);
        let secrets =
            plan::resolve_secrets(specs, &repository.root, &environment, Some(&cluster), sandbox.is_some())
                .await?;
        if let Some(failure) = secrets.unresolved.first().filter(|_| !checks_secrets(&pipeline, &selected)) {
            return Err(failure.clone());
        }
        let declared = Arc::new(repository.load(name, &kustomize, &secrets.values).await?);
        declared.require_sound()?;
        if let Some(remembered) = &remembered {
            remembered.require(&Identity::declared(name, &declared.settings))?;
        }
        let neighbours = repository.neighbours_of(name)?;
        let helm = helm.map(Arc::new);
        let adoption =
            Adoption { cluster: cluster.clone(), declared: Arc::clone(&declared), helm: helm.clone() };
        let graph = plan::build(Inputs {
            pipeline: &pipeline,
            selected: &selected,
            timeout: selection.timeout,
            inactivity: selection.inactivity,
            repository: &repository,
            declared: Arc::clone(&declared),
            neighbours,
            cluster: cluster.clone(),
            helm,
            kustomize,
            environment,
            secrets,
        })?;
        Ok(Self { cluster, declared, graph, adoption, is_whole: selected.is_whole() })
    }

    /// One line: what is bootstrapped, against which server.
    pub(super) fn headline(&self) -> String {
        format!(
            "{}  {}  {}  repo {}",
            self.declared.cluster,
            self.cluster.server_url(),
            self.cluster.server_version_text(),
            self.declared.revision.as_deref().unwrap_or("no git revision"),
        )
    }
}

/// Whether preflight will look at the secrets, and stop the run if one is missing.
fn checks_secrets(pipeline: &Pipeline, selected: &Selected) -> bool {
    pipeline.stages.iter().any(|stage| {
        stage.steps.iter().any(|step| {
            matches!(&step.kind, StepKind::Checks(checks) if checks.contains(&Check::Secrets))
                && selected.reason_to_skip(&stage.name, &step.name()).is_none()
        })
    })
}

/// Connects to the cluster called `name`, for what needs no more of a repository than its contexts.
pub(super) async fn connect_named(name: &str, target: &Target, in_sandbox: bool) -> Result<Cluster> {
    let sandbox = in_sandbox.then(|| sandbox::load(name)).transpose()?;
    // Without a repository, the name is the context.
    let repository = open_repository(target.repo.as_deref()).ok();
    let config = repository.map(|repository| Config::load(&repository.root)).transpose()?.unwrap_or_default();
    Cluster::connect(&connect_options(name, target, &config, sandbox.as_ref())).await
}

pub(super) fn connect_options(
    name: &str,
    target: &Target,
    config: &Config,
    sandbox: Option<&Sandbox>,
) -> ConnectOptions {
    match sandbox {
        Some(sandbox) => {
            ConnectOptions { kubeconfig: Some(sandbox.kubeconfig.clone()), context: sandbox.context.clone() }
        }
        None => ConnectOptions {
            kubeconfig: target.kubeconfig.clone(),
            context: target.context.clone().unwrap_or_else(|| config.context_of(name).to_owned()),
        },
    }
}
