//! The start of every command for a cluster: the repository, the cluster, and the plan that combines them.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{SandboxFlag, Selection, Target};
use super::consent;
use super::fleet::names_of_secrets;
use super::rehearsal::Rehearsal;
use super::repository::open_repository;
use super::sandbox;
use super::{out, problems};
use bootstrapper_cluster::{Cluster, ConnectOptions, Identity, IdentityRecord};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_engine::{Graph, PlannedStep, StepId};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::{
    self, Awaits, Check, ChecksSpec, Config, Pipeline, Scope, Selected, StepKind, Tasks,
};
use bootstrapper_gitops::trust::{self, RequestKind};
use bootstrapper_report::Extent;
use bootstrapper_steps::adoption::Adoption;
use bootstrapper_steps::plan::{self, Inputs, ManifestSources, SecretSources};
use bootstrapper_tools::{Environment, Helm, Kustomize};

/// An opened cluster and its plan.
pub(super) struct Session {
    /// The folder of the repository.
    pub(super) root: PathBuf,
    pub(super) cluster: Cluster,
    pub(super) declared: Arc<Declared>,
    pub(super) graph: Graph,
    pub(super) adoption: Adoption,
    /// Whether preflight checks the secrets, and lists all missing ones.
    checks_secrets: bool,
    /// The selected stages and steps, if not all.
    part: Option<Vec<String>>,
    /// Whether a step that is not skipped waits for the hand-over.
    hands_over: bool,
    is_sandbox: bool,
}

impl Session {
    /// Opens the cluster `name`. Reads only.
    pub(super) async fn open(
        name: &str,
        target: &Target,
        selection: &Selection,
        rehearsal: Option<&Rehearsal>,
    ) -> Result<Self> {
        let repository = open_repository(target.repo.as_deref())?;
        repository.require(name)?;
        let config = Config::load(&repository.root)?;
        let tasks = Tasks::of_repository(&repository.root)?;
        if let Some(own) = tasks.own() {
            pipeline::select(own, &selection.selector())?;
        }
        let mut environment =
            rehearsal.map_or_else(Environment::default, |rehearsal| rehearsal.environment.clone());
        environment.withheld = config.secret_variables();

        // A context from the command line needs no approval: so an unreachable cluster fails immediately.
        let connect = connect_options(name, target, &config, rehearsal);
        let is_own_context = rehearsal.is_some() || connect.context == name || target.context.is_some();
        let early = if is_own_context { Some(connected_as(name, &connect, &config).await?) } else { None };

        // Lists the requests without reading any value: secrets have only names.
        let kustomize = Arc::new(Kustomize::find(&environment)?);
        let names = names_of_secrets(&repository.root, &config, name)?;
        let unread = repository.load(name, &kustomize, &names).await?;
        let asking = tasks.pipeline(&unread, &config)?;
        pipeline::select(&asking, &selection.selector())?;
        let list = trust::requests(&repository.root, &config, &asking, &unread)?;
        let approvals =
            consent::approvals(&repository.root, name, &list, target.trust.as_deref(), rehearsal.is_some())?;
        let decrypts =
            list.iter().any(|request| request.kind == RequestKind::Keys && approvals.allows(request));
        let repository = if decrypts { repository.with_own_keys() } else { repository };

        let (cluster, identity_record) = match early {
            Some(connected) => connected,
            None => connected_as(name, &connect, &config).await?,
        };
        let helm = Helm::find(&environment).await;

        let mut secrets = plan::resolve_secrets(&SecretSources {
            name,
            config: &config,
            root: &repository.root,
            environment: &environment,
            cluster: Some(&cluster),
            approvals: &approvals,
            in_sandbox: rehearsal.is_some(),
        })
        .await?;
        let declared = repository.load(name, &kustomize, &secrets.values).await?;
        let declared = Arc::new(if rehearsal.is_some() { declared.without_signatures() } else { declared });
        // The decrypted files may contain more requests than were listed.
        let pipeline = tasks.pipeline(&declared, &config)?;
        let selected = pipeline::select(&pipeline, &selection.selector())?;
        let scope = Scope::of(&pipeline, &selected, &declared, &repository.root);
        declared.require_valid(&scope)?;
        problems::warn(name, &problems::split(&declared, &scope).1);
        let checks_secrets = checks_secrets(&pipeline, &selected);
        if let Some(identity_record) = &identity_record {
            identity_record.require(&Identity::declared(name, &declared.settings))?;
        }
        let part = (!selected.is_whole()).then(|| running(&pipeline, &selected));
        // Before planning: a key that decrypts nothing must not be seeded.
        let proof = plan::prove_keys(&declared, &repository.root, &secrets, &environment).await;
        secrets.unresolved.extend(proof.failures);
        proof.unproven.iter().for_each(|why| out::say(&format!("warning: {why}")));
        let manifests = plan::build_manifests(&ManifestSources {
            name,
            pipeline: &pipeline,
            repository: &repository,
            kustomize: &kustomize,
            secrets: &secrets.values,
            approvals: &approvals,
            in_sandbox: rehearsal.is_some(),
        })
        .await;
        let neighbours = repository.neighbours_of(name)?;
        let helm = helm.map(Arc::new);
        let adoption =
            Adoption { cluster: cluster.clone(), declared: Arc::clone(&declared), helm: helm.clone() };
        let graph = plan::build(&Inputs {
            pipeline: &pipeline,
            selected: &selected,
            timeout: selection.timeout,
            inactivity: selection.inactivity,
            repository: &repository,
            declared: Arc::clone(&declared),
            distribution: config.distribution_of(name),
            neighbours,
            cluster: cluster.clone(),
            helm,
            kustomize,
            environment,
            secrets,
            manifests,
            approvals,
        })?;
        let hands_over = hands_over(&pipeline, &graph);
        Ok(Self {
            root: repository.root,
            cluster,
            declared,
            graph,
            adoption,
            checks_secrets,
            part,
            hands_over,
            is_sandbox: rehearsal.is_some(),
        })
    }

    /// Whether the whole pipeline is selected.
    pub(super) fn is_whole(&self) -> bool {
        self.part.is_none()
    }

    /// Which part of the bootstrap runs.
    pub(super) fn extent(&self) -> Extent<'_> {
        match &self.part {
            Some(part) => Extent::Part(part),
            None if self.hands_over => Extent::HandedOver,
            None => Extent::WithoutFlux,
        }
    }

    /// Fails if a step needs an unknown value: before anything is written, not half-way.
    pub(super) fn require_known(&self) -> Result<()> {
        let mut unknown = self.graph.steps().filter_map(PlannedStep::impossible);
        // Preflight lists all unreadable secrets, and blocks the other stages.
        let is_reported_by_preflight =
            |failure: &Failure| self.checks_secrets && failure.kind == FailureKind::Preflight;
        unknown.find(|failure| !is_reported_by_preflight(failure)).cloned().map_or(Ok(()), Err)
    }

    /// `sandbox`, or the address of the API server: each sandbox of a cluster has another one.
    pub(super) fn place(&self) -> String {
        if self.is_sandbox { "sandbox".to_owned() } else { self.cluster.server_url().to_owned() }
    }

    /// One line: the cluster and its server.
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

/// Whether a step that is not skipped waits for the hand-over.
fn hands_over(pipeline: &Pipeline, graph: &Graph) -> bool {
    pipeline.stages.iter().any(|stage| {
        let mut waits = stage.steps.iter().filter(|step| matches!(step.kind.awaits(), Awaits::Flux));
        waits.any(|step| {
            let id = StepId { stage: stage.name.clone(), name: step.name() };
            graph.steps().any(|planned| planned.id == id && planned.skip_reason().is_none())
        })
    })
}

/// Connects to the cluster `name`, unless its identity is different.
async fn connected_as(
    name: &str,
    connect: &ConnectOptions,
    config: &Config,
) -> Result<(Cluster, Option<IdentityRecord>)> {
    let cluster = connected(connect, config).await?;
    let identity_record = cluster.identity_record().await?;
    if let Some(identity_record) = &identity_record {
        identity_record.require(&Identity::named(name))?;
    }
    Ok((cluster, identity_record))
}

/// The selection: whole stages, and single steps of the others.
fn running(pipeline: &Pipeline, selected: &Selected) -> Vec<String> {
    let of_stage = |stage: &pipeline::Stage| {
        let runs = |name: &String| selected.reason_to_skip(&stage.name, name).is_none();
        let names: Vec<String> = stage.steps.iter().map(pipeline::StepSpec::name).collect();
        if names.iter().all(runs) {
            return vec![stage.name.clone()];
        }
        names.iter().filter(|name| runs(name)).map(|name| format!("{}/{name}", stage.name)).collect()
    };
    pipeline.stages.iter().filter(|stage| !stage.steps.is_empty()).flat_map(of_stage).collect()
}

/// Whether preflight checks the secrets, and stops the run if one is missing.
fn checks_secrets(pipeline: &Pipeline, selected: &Selected) -> bool {
    pipeline.stages.iter().any(|stage| {
        stage.steps.iter().any(|step| {
            matches!(&step.kind, StepKind::Checks(ChecksSpec(checks)) if checks.contains(&Check::Secrets))
                && selected.reason_to_skip(&stage.name, &step.name()).is_none()
        })
    })
}

/// Connects to the cluster `name`, for commands that need only the contexts of a repository.
pub(super) async fn connect_named(name: &str, target: &Target, flag: SandboxFlag) -> Result<Cluster> {
    let rehearsal = sandbox::running(name, flag)?;
    // Without a repository, the name is the context.
    let repository = open_repository(target.repo.as_deref()).ok();
    let config =
        repository.as_ref().map(|repository| Config::load(&repository.root)).transpose()?.unwrap_or_default();
    if let Some(repository) = repository.as_ref().filter(|_| rehearsal.is_none()) {
        consent::context(&repository.root, name, target, &config)?;
    }
    connected(&connect_options(name, target, &config, rehearsal.as_ref()), &config).await
}

/// Connects, after printing warnings about an insecure connection: all commands use this.
pub(super) async fn connected(options: &ConnectOptions, config: &Config) -> Result<Cluster> {
    let warn = |warning| out::say(&format!("warning: {warning}"));
    Cluster::connect_with_warnings(options, &config.secret_variables(), &warn).await
}

pub(super) fn connect_options(
    name: &str,
    target: &Target,
    config: &Config,
    rehearsal: Option<&Rehearsal>,
) -> ConnectOptions {
    match rehearsal {
        Some(rehearsal) => ConnectOptions {
            kubeconfig: Some(rehearsal.kubeconfig.clone()),
            context: rehearsal.context.clone(),
        },
        None => ConnectOptions {
            kubeconfig: target.kubeconfig.clone(),
            context: target.context.clone().unwrap_or_else(|| config.context_of(name).to_owned()),
        },
    }
}
