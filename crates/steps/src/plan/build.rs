//! Each step of the pipeline, joined with what the cluster declares.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::digest;
use super::secrets::Secrets;
use crate::adoption::Adoption;
use crate::{
    Awaited, Checks, Command, Confirm, CrdSource, Crds, Explainer, FluxOwner, Foretell, GatewayRepair,
    Handover, NamedObjects, Objects, Release, Subject, Wait, WithLocation,
};
use bootstrapper_cluster::{Cluster, FIELD_MANAGER};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef, is_crd};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Graph, Limits, PlannedStep, Stage, Step, StepId, Work};
use bootstrapper_gitops::pipeline::{
    self, CrdSpec, Moment, Named, Pipeline, Repair, Selected, StepKind, StepSpec, WaitSpec, When,
};
use bootstrapper_gitops::trust::{self, Agreed};
use bootstrapper_gitops::{self as gitops, Declared, Kustomization, Repository};
use bootstrapper_readiness::{Expressions, OwnRules, Texts};
use bootstrapper_tools::{self as tools, Environment, Helm, Kustomize};

/// How long a step may take unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
/// How long nothing may change meanwhile, unless it says otherwise.
const DEFAULT_INACTIVITY: Duration = Duration::from_mins(10);

/// No file of manifests is larger.
const LARGEST_MANIFEST: u64 = 64 * 1024 * 1024;

/// All that a plan is made of.
pub struct Inputs<'a> {
    /// The bootstrap as data.
    pub pipeline: &'a Pipeline,
    /// Which of its steps run.
    pub selected: &'a Selected,
    /// How long every step may take, instead of what the task files say.
    pub timeout: Option<Duration>,
    /// How long nothing may change in any step, instead of what the task files say.
    pub inactivity: Option<Duration>,
    /// The repository, for paths that task files name.
    pub repository: &'a Repository,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
    /// Settings of the other clusters of the repository.
    pub neighbours: Vec<(String, BTreeMap<String, String>)>,
    /// The API server.
    pub cluster: Cluster,
    /// Helm, or why there is none.
    pub helm: Result<Arc<Helm>>,
    /// Kustomize.
    pub kustomize: Arc<Kustomize>,
    /// What programs see.
    pub environment: Environment,
    /// The declared secrets.
    pub secrets: Secrets,
    /// What the person has agreed to.
    pub agreed: Agreed,
}

/// What a step comes to here, and what it is called.
struct Planned {
    title: String,
    work: Work,
}

impl Planned {
    fn step(title: impl Into<String>, step: impl Step + 'static) -> Self {
        Self { title: title.into(), work: Work::Step(Arc::new(step)) }
    }

    fn skipped(title: String, reason: String) -> Self {
        Self { title, work: Work::Skipped { reason } }
    }
}

/// Joins the pipeline with what the cluster declares. Fails if a step names what is not declared.
pub fn build(inputs: Inputs<'_>) -> Result<Graph> {
    let builder = Builder { inputs };
    let stages =
        builder.inputs.pipeline.stages.iter().map(|stage| builder.stage(stage)).collect::<Result<_>>()?;
    Ok(Graph { stages })
}

struct Builder<'a> {
    inputs: Inputs<'a>,
}

impl Builder<'_> {
    fn stage(&self, stage: &pipeline::Stage) -> Result<Stage> {
        let steps = stage.steps.iter().map(|spec| self.planned(stage, spec)).collect::<Result<_>>()?;
        Ok(Stage { name: stage.name.clone(), needs: stage.needs.clone(), parallel: stage.parallel, steps })
    }

    fn planned(&self, stage: &pipeline::Stage, spec: &StepSpec) -> Result<PlannedStep> {
        let id = StepId { stage: stage.name.clone(), name: spec.name() };
        let limits = Limits {
            timeout: self.inputs.timeout.or(spec.timeout).unwrap_or(DEFAULT_TIMEOUT),
            inactivity: self.inputs.inactivity.or(spec.inactivity).unwrap_or(DEFAULT_INACTIVITY),
        };
        let deselected = self.inputs.selected.reason_to_skip(&stage.name, &id.name);
        let Planned { title, work } = self.built(&stage.name, spec)?;
        let work = match (work, deselected) {
            (_, Some(reason)) => Work::Skipped { reason },
            (Work::Step(step), None) => {
                Work::Step(Arc::new(WithLocation { step, declared: Arc::clone(&self.inputs.declared) }))
            }
            (other @ (Work::Skipped { .. } | Work::Impossible { .. }), None) => other,
        };
        Ok(PlannedStep { id, title, limits, digest: self.digest(spec), work })
    }

    fn built(&self, stage: &str, spec: &StepSpec) -> Result<Planned> {
        let Inputs { cluster, declared, .. } = &self.inputs;
        let cluster = cluster.clone();
        Ok(match &spec.kind {
            StepKind::Checks(checks) => Planned::step(
                count(checks.len(), "check"),
                Checks { subject: self.subject(), checks: checks.clone() },
            ),
            StepKind::Namespaces(wanted) => {
                let objects = self.namespaces(wanted);
                Planned::step(count(objects.len(), "namespace"), self.objects("namespace", objects, None))
            }
            StepKind::Secrets(_) => self.secrets(),
            StepKind::Objects(path) => return self.objects_of(spec, path),
            StepKind::Kustomization(name) => {
                let Some(kustomization) = declared.kustomization(name) else {
                    return self.absent(spec, "Kustomization", name);
                };
                let objects = match kustomization.applicable() {
                    Ok(objects) => objects,
                    Err(failure) => {
                        let title = format!("Kustomization {name}");
                        let named = kustomization.objects.clone();
                        return Ok(self.impossible(title, spec.placed(failure), "object", named));
                    }
                };
                let step = self.objects("object", objects, Some(kustomization.id.clone()));
                Planned::step(format!("Kustomization {name}"), step)
            }
            StepKind::Crds(source) => return self.crds(spec, source),
            StepKind::Release(name) => return self.release(spec, name),
            StepKind::Wait(wait) => self.wait(wait)?,
            StepKind::Repair(Repair::CiliumGateway) => {
                Planned::step("cilium-operator and the Gateway API".to_owned(), GatewayRepair::new(cluster))
            }
            StepKind::Source(_) => Planned::step(
                ObjectRef::of(&declared.source).to_string(),
                self.objects("source", vec![Complete::of_own(declared.source.clone())], None),
            ),
            StepKind::Sync(_) => {
                let id = ObjectRef::of(&declared.sync);
                Planned::step(
                    id.to_string(),
                    self.objects("sync", vec![Complete::of_own(declared.sync.clone())], None),
                )
            }
            StepKind::Adoption(Moment::Foretold) => {
                Planned::step("what Flux will change", Foretell(self.adoption()))
            }
            StepKind::Adoption(Moment::Confirmed) => {
                Planned::step("what Flux did change", Confirm(self.adoption()))
            }
            StepKind::Handover(_) => {
                let kustomizations =
                    declared.kustomizations.iter().map(|kustomization| kustomization.id.clone());
                let releases = declared.releases.iter().map(|release| release.id.clone());
                Planned::step(
                    format!(
                        "{}, {}",
                        count(declared.kustomizations.len(), "Kustomization"),
                        count(declared.releases.len(), "HelmRelease")
                    ),
                    Handover {
                        cluster,
                        declared: kustomizations.chain(releases).collect(),
                        source: Some(ObjectRef::of(&declared.source)),
                        explainer: Explainer::default(),
                    },
                )
            }
            StepKind::Command(argv) => return self.command_step(stage, spec, argv),
        })
    }

    fn secrets(&self) -> Planned {
        let secrets = &self.inputs.secrets;
        let all = secrets.objects.len() + secrets.lacking.len();
        if let Some(failure) = lacking_secrets(&secrets.unresolved) {
            let objects = secrets.objects.iter().map(|secret| Object::clone(secret));
            let objects = secrets.lacking.iter().cloned().chain(objects).collect();
            return self.impossible(count(all, "secret"), failure, "secret", objects);
        }
        let step = Objects { readiness: None, ..self.objects("secret", secrets.objects.clone(), None) };
        Planned::step(count(all, "secret"), step)
    }

    fn objects_of(&self, spec: &StepSpec, path: &Path) -> Result<Planned> {
        let title = format!("objects of {}", path.display());
        match self.manifests(path).map_err(|failure| spec.placed(failure)) {
            Ok(objects) => {
                let objects = objects.into_iter().map(Complete::of_own).collect();
                Ok(Planned::step(title, self.objects("object", objects, None)))
            }
            Err(failure) if self.inputs.declared.unknown_settings.is_empty() => Err(failure),
            Err(failure) => Ok(self.impossible(title, failure, "object", Vec::new())),
        }
    }

    fn release(&self, spec: &StepSpec, name: &str) -> Result<Planned> {
        let Some(release) = self.inputs.declared.release(name) else {
            return self.absent(spec, "HelmRelease", name);
        };
        if release.is_suspended() {
            let reason = "it is suspended: Flux would not install it".to_owned();
            return Ok(Planned::skipped(release.id.to_string(), reason));
        }
        let title = format!(
            "release {}/{} {}",
            release.release_namespace,
            release.release_name,
            release.chart.version_text()
        );
        let step = Release {
            cluster: self.inputs.cluster.clone(),
            helm: self.inputs.helm.clone(),
            declared: Arc::new(release.clone()),
            await_workloads: spec.await_workloads(),
            explainer: Explainer::default(),
        };
        if let Err(failure) = release.installable() {
            let failure = spec.placed(failure);
            return Ok(Planned { title, work: Work::Impossible { failure, undo: Arc::new(step) } });
        }
        Ok(Planned::step(title, step))
    }

    fn command_step(&self, stage: &str, spec: &StepSpec, argv: &[String]) -> Result<Planned> {
        let Inputs { cluster, declared, agreed, .. } = &self.inputs;
        let argv = match trust::command_words(argv, declared).map_err(|failure| spec.placed(failure)) {
            Ok(argv) => argv,
            Err(failure) if declared.unknown_settings.is_empty() => return Err(failure),
            Err(failure) => return Ok(self.impossible(argv.join(" "), failure, "object", Vec::new())),
        };
        let run = self.command(&argv).map_err(|failure| spec.placed(failure))?;
        let request = trust::command_request(run.folder(), &declared.cluster, stage, spec, &run.words())?;
        agreed.require(&request)?;
        let step = Command { cluster: cluster.clone(), agreed: request.content, unless: None, run };
        Ok(Planned::step(step.run.to_string(), step))
    }

    /// The digest of what a step is to bring about, where that stands in the repository.
    fn digest(&self, spec: &StepSpec) -> Option<String> {
        let Inputs { declared, secrets, .. } = &self.inputs;
        let of_objects = |objects: &[Object]| digest::of_objects(objects, &secrets.values);
        match &spec.kind {
            StepKind::Objects(path) => of_objects(&self.manifests(path).ok()?),
            StepKind::Kustomization(name) => {
                let objects = declared.kustomization(name)?.applicable().ok()?;
                digest::of_objects(objects.iter().map(|object| &**object), &secrets.values)
            }
            StepKind::Crds(CrdSpec::Kustomization(name)) => {
                let all = declared.with_brought(name);
                let objects: Vec<&Object> = all.iter().flat_map(|one| &one.objects).collect();
                digest::of_objects(objects, &secrets.values)
            }
            StepKind::Release(name) => {
                let release = declared.release(name)?;
                let text = format!("{} {}", release.chart, release.values);
                Some(digest::of_text(text, &secrets.values))
            }
            StepKind::Source(_) => of_objects(std::slice::from_ref(&declared.source)),
            StepKind::Sync(_) => of_objects(std::slice::from_ref(&declared.sync)),
            _ => None,
        }
    }

    /// A step about something that the cluster does not declare.
    fn absent(&self, spec: &StepSpec, kind: &str, name: &str) -> Result<Planned> {
        let cluster = &self.inputs.declared.cluster;
        if spec.when == When::Declared {
            let reason = format!("{cluster} declares no {kind} {name}");
            return Ok(Planned::skipped(format!("{kind} {name}"), reason));
        }
        let failure = spec.refuse(format!("{cluster} declares no {kind} called `{name}`"));
        let folder = self.inputs.declared.folder.display();
        Err(if self.inputs.pipeline.is_built_in {
            failure.hint(format!("declare it under {folder}, or write the repository's own tasks/bootstrap.yaml, with the names that it has"))
        } else {
            failure.hint(format!("declare it under {folder}, or give the step `when: declared`"))
        })
    }

    fn adoption(&self) -> Adoption {
        Adoption {
            cluster: self.inputs.cluster.clone(),
            declared: Arc::clone(&self.inputs.declared),
            helm: self.inputs.helm.clone(),
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            cluster: self.inputs.cluster.clone(),
            declared: Arc::clone(&self.inputs.declared),
            neighbours: self.inputs.neighbours.clone(),
            helm: self.inputs.helm.clone(),
            unresolved_secrets: self.inputs.secrets.unresolved.clone(),
        }
    }

    /// A step that something lacks which is not known. What an earlier run has made of it can be removed.
    fn impossible(&self, title: String, failure: Failure, noun: &str, objects: Vec<Object>) -> Planned {
        let undo = Arc::new(NamedObjects {
            cluster: self.inputs.cluster.clone(),
            noun: noun.to_owned(),
            objects,
            manager: FIELD_MANAGER,
        });
        Planned { title, work: Work::Impossible { failure, undo } }
    }

    fn objects(&self, noun: &str, objects: Vec<Complete<Object>>, owner: Option<ObjectRef>) -> Objects {
        Objects {
            cluster: self.inputs.cluster.clone(),
            noun: noun.to_owned(),
            objects,
            owner: owner.map(FluxOwner),
            manager: FIELD_MANAGER,
            readiness: Some(Arc::clone(&self.inputs.pipeline.readiness)),
            explainer: Explainer::default(),
        }
    }

    /// Those that are named, or all that the declared objects and secrets lie in.
    fn namespaces(&self, wanted: &Named) -> Vec<Complete<Object>> {
        let names = match wanted {
            Named::These(names) => names.iter().cloned().collect(),
            Named::Declared => {
                let mut names = self.inputs.declared.namespaces();
                names.extend(
                    self.inputs.secrets.objects.iter().filter_map(|secret| secret.metadata.namespace.clone()),
                );
                names.extend(
                    self.inputs.secrets.lacking.iter().filter_map(|secret| secret.metadata.namespace.clone()),
                );
                names
            }
        };
        let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
        // Those that every API server makes by itself are nobody's to declare.
        let own = |name: &String| {
            !matches!(name.as_str(), "default" | "kube-system" | "kube-public" | "kube-node-lease")
        };
        names
            .into_iter()
            .filter(own)
            .map(|name| {
                let bare = || Complete::of_own(Object::new(&name, &resource));
                self.inputs.declared.namespace(&name).unwrap_or_else(bare)
            })
            .collect()
    }

    fn crds(&self, spec: &StepSpec, source: &CrdSpec) -> Result<Planned> {
        let Inputs { cluster, declared, kustomize, .. } = &self.inputs;
        let (title, source) = match source {
            CrdSpec::Kustomization(name) => {
                let all = declared.with_brought(name);
                let Some((kustomization, brought)) = all.split_first() else {
                    return self.absent(spec, "Kustomization", name);
                };
                let title = format!("CRDs of Kustomization {name}");
                let crds = all.iter().map(|one| one.complete(is_crd)).collect::<Result<Vec<_>>>();
                let crds = match crds {
                    Ok(crds) => crds.concat(),
                    Err(failure) => {
                        let named = all.iter().flat_map(|one| &one.objects).filter(|object| is_crd(object));
                        return Ok(self.impossible(
                            title,
                            spec.placed(failure),
                            "CRD",
                            named.cloned().collect(),
                        ));
                    }
                };
                let owner = Some(FluxOwner(kustomization.id.clone()));
                let brings = brought.iter().map(|one| one.id.clone()).collect();
                let step = Crds::new(cluster.clone(), CrdSource::Objects(crds), owner);
                return Ok(Planned::step(title, step.with_brought(brings)));
            }
            CrdSpec::Manifest { location, sha256 } => {
                let location = self.address(location).map_err(|failure| spec.placed(failure))?;
                let title = format!("CRDs of {}", location.rsplit("://").next().unwrap_or(&location));
                if !location.contains("://") {
                    self.path(Path::new(&location)).map_err(|failure| spec.placed(failure))?;
                }
                let sha256 = self.sha256(sha256.as_deref()).map_err(|failure| spec.placed(failure))?;
                let root = self.inputs.repository.root.clone();
                let place = spec.place().clone();
                let kustomize = Arc::clone(kustomize);
                (title, CrdSource::Manifest { location, sha256, place, root, kustomize })
            }
            CrdSpec::Releases(_) => {
                let fetchable = declared.releases.iter().filter(|release| release.is_fetchable());
                let releases: Vec<_> = fetchable.cloned().map(Arc::new).collect();
                let title = format!("CRDs of {}", count(releases.len(), "release"));
                (title, CrdSource::Releases { releases, helm: self.inputs.helm.clone() })
            }
        };
        Ok(Planned::step(title, Crds::new(cluster.clone(), source, None)))
    }

    fn wait(&self, wait: &WaitSpec) -> Result<Planned> {
        let cluster = self.inputs.cluster.clone();
        Ok(match wait {
            WaitSpec::Probe(probe) => {
                Planned::step(probe.to_string(), Wait::new(cluster, Awaited::Probe(*probe)))
            }
            WaitSpec::Object { id, ready, failed } => {
                let awaited = if ready.is_some() || failed.is_some() {
                    let texts = Texts { current: ready.clone(), failed: failed.clone(), ..Texts::default() };
                    let mut rules = OwnRules::default();
                    rules.add(id.api_version.clone(), id.kind.clone(), Expressions::compile(&texts)?);
                    Arc::new(rules)
                } else {
                    Arc::clone(&self.inputs.pipeline.readiness)
                };
                let id = id.clone();
                Planned::step(id.to_string(), Wait::new(cluster, Awaited::Object { id, readiness: awaited }))
            }
        })
    }

    fn manifests(&self, path: &Path) -> Result<Vec<Object>> {
        let file = self.path(path)?;
        let text = String::from_utf8(trust::read_file(&file, LARGEST_MANIFEST)?)
            .map_err(|_| Failure::input(format!("{} is not UTF-8 text", path.display())))?;
        bootstrapper_core::yaml::from_multiple(&self.substituted(&text)?, path)
    }

    fn command(&self, argv: &[String]) -> Result<tools::Command> {
        let Inputs { repository, declared, environment, .. } = &self.inputs;
        tools::Command::new(argv, &repository.root, &declared.cluster, environment)
    }

    /// The text with its variables, if none of them holds a value of a secret.
    fn address(&self, text: &str) -> Result<String> {
        if let Some(address) = self.inputs.declared.substituted_openly(text)? {
            return Ok(address);
        }
        Err(Failure::input("the address of a manifest holds a value of a secret")
            .because("whoever answers there would be sent it: nothing is fetched")
            .hint("take the variable out of it"))
    }

    /// A declared digest. A setting that is empty declares none.
    fn sha256(&self, declared: Option<&str>) -> Result<Option<String>> {
        let Some(text) = declared else { return Ok(None) };
        let digest = self.substituted(text)?.trim().to_ascii_lowercase();
        if digest.is_empty() || pipeline::is_sha256(&digest) {
            return Ok(Some(digest).filter(|digest| !digest.is_empty()));
        }
        Err(Failure::input(format!("sha256 of a manifest is `{text}`, which is no SHA-256"))
            .hint("give 64 hexadecimal digits, as `sha256sum` prints them"))
    }

    fn substituted(&self, text: &str) -> Result<String> {
        self.inputs.declared.substituted(text)
    }

    /// Where a path of a task file leads: within the repository, and nowhere else.
    fn path(&self, path: &Path) -> Result<PathBuf> {
        let root = &self.inputs.repository.root;
        let real = trust::resolve(root, path);
        if real.starts_with(root) {
            return Ok(real);
        }
        Err(Failure::input(format!("{} lies outside of the repository", path.display()))
            .because(format!("it leads to {}", real.display()))
            .hint("copy it into the repository: nothing outside of it is read"))
    }
}

/// All that the declared secrets lack, as one failure; none if they lack nothing.
fn lacking_secrets(unresolved: &[Failure]) -> Option<Failure> {
    let (first, others) = unresolved.split_first()?;
    let failure = others.iter().fold(first.clone(), Failure::because);
    Some(others.iter().flat_map(|other| &other.hints).fold(failure, |failure, hint| {
        if failure.hints.contains(hint) { failure } else { failure.hint(hint) }
    }))
}

/// Checks, without a cluster, that every step names something that is declared and that the
/// bootstrap can apply.
pub fn check(pipeline: &Pipeline, declared: &Declared) -> Result<()> {
    for spec in pipeline.stages.iter().flat_map(|stage| &stage.steps) {
        let (kind, name, found) = match &spec.kind {
            StepKind::Kustomization(name) => {
                let found = declared.kustomization(name);
                found.map(Kustomization::applicable).transpose().map_err(|failure| spec.placed(failure))?;
                ("Kustomization", name, found.is_some())
            }
            StepKind::Crds(CrdSpec::Kustomization(name)) => {
                ("Kustomization", name, declared.kustomization(name).is_some())
            }
            StepKind::Release(name) => {
                let found = declared.release(name);
                found
                    .filter(|release| !release.is_suspended())
                    .map(gitops::Release::installable)
                    .transpose()
                    .map_err(|failure| spec.placed(failure))?;
                ("HelmRelease", name, found.is_some())
            }
            _ => continue,
        };
        if !found && spec.when == When::Always && !pipeline.is_built_in {
            return Err(spec.refuse(format!("{} declares no {kind} called `{name}`", declared.cluster)));
        }
    }
    Ok(())
}
