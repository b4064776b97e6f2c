//! Finds and parses task files, and assembles the pipeline of a cluster: they replace or extend the pipeline
//! that is derived from its declaration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Config;
use super::derive;
use super::file::{BuiltIn, StageFile, TaskFile, add_rule, location_of, step_of};
use super::print;
use super::step::StepSpec;
use crate::Declared;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::files;
use bootstrapper_core::yaml;
use bootstrapper_readiness::CustomRules;

/// The stages of a bootstrap, in order.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The stages, each after all that it needs.
    pub stages: Vec<Stage>,
    /// Readiness rules for custom kinds.
    pub readiness: Arc<CustomRules>,
}

/// A group of steps that starts when the stages that it needs have finished.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The stages that must finish before it starts.
    pub needs: Vec<String>,
    /// Whether its steps run in parallel.
    pub parallel: bool,
    /// Its steps, in order.
    pub steps: Vec<StepSpec>,
}

impl Pipeline {
    /// Every step, in the order of the task files.
    pub fn steps(&self) -> impl Iterator<Item = &StepSpec> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }
}

/// The task files of a repository, by file name; empty if there are none.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    texts: Vec<(PathBuf, String)>,
    extends: bool,
    /// The pipeline of the files alone, if it is independent of the cluster.
    own: Option<Pipeline>,
}

impl Tasks {
    /// Reads `tasks/*.yaml`. Fails if one of them is invalid for every cluster.
    pub fn of_repository(root: &Path) -> Result<Self> {
        let texts = task_files(root)?.into_iter().map(|file| {
            let text = files::read_text(root, &file).map_err(|refusal| {
                Failure::input(format!("cannot read {}", file.display())).because(refusal)
            })?;
            Ok((file, text))
        });
        Self::of_texts(texts.collect::<Result<_>>()?)
    }

    fn of_texts(texts: Vec<(PathBuf, String)>) -> Result<Self> {
        let mut extends = false;
        for (file, text) in &texts {
            let tasks: TaskFile = yaml::from_str(text, file)?;
            extends |= tasks.extends == Some(BuiltIn::BuiltIn);
        }
        let is_whole = !texts.is_empty() && !extends;
        let own = is_whole.then(|| assemble(&[], &texts, false)).transpose()?;
        Ok(Self { texts, extends, own })
    }

    /// The pipeline, if it is the same for every cluster.
    pub fn own(&self) -> Option<&Pipeline> {
        self.own.as_ref()
    }

    /// The pipeline of the cluster with this declaration.
    pub fn pipeline(&self, declared: &Declared, config: &Config) -> Result<Pipeline> {
        if let Some(own) = &self.own {
            return Ok(own.clone());
        }
        assemble(&self.built_in(declared, config), &self.texts, self.extends)
    }

    /// The same as one task file, as a starting point.
    pub fn print(&self, declared: &Declared, config: &Config) -> Result<String> {
        let built_in = self.built_in(declared, config);
        if let ([], [(_, text)]) = (self.texts.as_slice(), built_in.as_slice()) {
            return Ok(text.clone());
        }
        let pipeline = assemble(&built_in, &self.texts, self.extends)?;
        let stages = pipeline.stages.iter().map(|stage| (stage.name.as_str(), stage.needs.as_slice()));
        print::task_file(stages, built_in.iter().chain(&self.texts))
    }

    fn built_in(&self, declared: &Declared, config: &Config) -> Vec<(PathBuf, String)> {
        let is_used = self.texts.is_empty() || self.extends;
        let derived = || derive::task_file(declared, &config.flux_of(&declared.cluster));
        is_used.then(|| (PathBuf::from(StepSpec::BUILT_IN), derived())).into_iter().collect()
    }
}

/// A stage in a file, and its location.
struct Written {
    file: PathBuf,
    stage: StageFile,
}

impl Written {
    fn name(&self) -> &str {
        &self.stage.name.value
    }

    fn is_built_in(&self) -> bool {
        self.file == Path::new(StepSpec::BUILT_IN)
    }
}

/// Assembles a pipeline from the built-in stages and those of the repository.
fn assemble(built_in: &[(PathBuf, String)], own: &[(PathBuf, String)], extends: bool) -> Result<Pipeline> {
    let mut readiness = CustomRules::default();
    let mut written = Vec::new();
    for (file, text) in built_in {
        written.extend(stages_of(file, text, &mut readiness)?);
    }
    let mut added = Vec::new();
    for (file, text) in own {
        added.extend(stages_of(file, text, &mut readiness)?);
    }
    let absent = if extends { hold_places(&mut written, &added)? } else { BTreeSet::new() };
    for stage in added {
        insert(stage, &mut written, extends, &absent)?;
    }
    let mut stages: Vec<Stage> = Vec::new();
    let mut last_built_in: Option<String> = None;
    for one in written {
        let is_built_in = one.is_built_in();
        let Written { file, stage } = one;
        let location = location_of(&stage.name, &file);
        let steps = stage.steps.into_iter().map(|step| step_of(step, &file)).collect::<Result<_>>()?;
        let before = stages.last().map(|before| before.name.clone());
        // A stage that was inserted between two built-in stages does not separate them.
        let own_before = last_built_in.clone().filter(|own| is_built_in && before.as_ref() != Some(own));
        if is_built_in {
            last_built_in = Some(stage.name.value.clone());
        }
        let stage = Stage {
            name: stage.name.value,
            needs: stage.needs.unwrap_or_else(|| own_before.into_iter().chain(before).collect()),
            parallel: stage.parallel,
            steps,
        };
        check(&stage, &stages, location)?;
        stages.push(stage);
    }
    Ok(Pipeline { stages: without(stages, &absent), readiness: Arc::new(readiness) })
}

/// Reserves the positions of stages that exist in other clusters' derived pipelines but not in this one, so
/// that the stages of the repository can refer to them for all clusters. Returns their names.
fn hold_places(written: &mut Vec<Written>, added: &[Written]) -> Result<BTreeSet<String>> {
    let mut absent = BTreeSet::new();
    let mut at = 0;
    for name in derive::STAGES {
        if let Some(found) = written.iter().position(|one| one.name() == name) {
            at = found + 1;
        } else if !added.iter().any(|own| own.name() == name) {
            let text = format!("stages: [{{name: {name}, steps: []}}]");
            let empty = stages_of(Path::new(StepSpec::BUILT_IN), &text, &mut CustomRules::default())?;
            written.splice(at..at, empty);
            at += 1;
            absent.insert(name.to_owned());
        }
    }
    Ok(absent)
}

/// Removes stages; stages that need one of them need its dependencies instead.
fn without(stages: Vec<Stage>, absent: &BTreeSet<String>) -> Vec<Stage> {
    let mut instead: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut left = Vec::new();
    for stage in stages {
        let mut needs: Vec<String> = Vec::new();
        let all = stage.needs.into_iter();
        for need in all.flat_map(|need| instead.get(&need).cloned().unwrap_or_else(|| vec![need])) {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        if absent.contains(&stage.name) {
            instead.insert(stage.name, needs);
        } else {
            left.push(Stage { needs, ..stage });
        }
    }
    left
}

fn stages_of(file: &Path, text: &str, readiness: &mut CustomRules) -> Result<Vec<Written>> {
    let tasks: TaskFile = yaml::from_str(text, file)?;
    for rule in tasks.readiness {
        add_rule(rule, file, readiness)?;
    }
    Ok(tasks.stages.into_iter().map(|stage| Written { file: file.to_owned(), stage }).collect())
}

/// Inserts a stage of the repository before or after the stage that it names; otherwise last.
fn insert(added: Written, stages: &mut Vec<Written>, extends: bool, absent: &BTreeSet<String>) -> Result<()> {
    if let Some(other) = stages.iter().find(|one| one.name() == added.name()) {
        let failure = Failure::input(format!("duplicate stage {}", added.name()))
            .at(location_of(&added.stage.name, &added.file));
        return Err(if other.is_built_in() {
            failure
                .because("the built-in pipeline of this cluster has a stage of that name")
                .hint("rename it, and place it with `before` or `after`")
        } else {
            failure.because(format!("{} has it too", location_of(&other.stage.name, &other.file)))
        });
    }
    let (neighbour, is_after) = match (&added.stage.before, &added.stage.after) {
        (None, None) => {
            stages.push(added);
            return Ok(());
        }
        (Some(before), None) => (before, false),
        (None, Some(after)) => (after, true),
        (Some(before), Some(_)) => {
            return Err(
                Failure::input("a stage has either `before` or `after`").at(location_of(before, &added.file))
            );
        }
    };
    let location = location_of(neighbour, &added.file);
    if !extends {
        return Err(Failure::input("`before` and `after` need `extends: built-in`")
            .at(location)
            .hint("add `extends: built-in` to the file, or order the stages by their place and `needs`"));
    }
    let Some(at) = stages.iter().position(|one| one.name() == neighbour.value) else {
        let names = stages.iter().map(Written::name).filter(|name| !absent.contains(*name));
        let names: Vec<&str> = names.collect();
        return Err(Failure::input(format!("unknown stage `{}`", neighbour.value))
            .at(location)
            .hint(format!("stages of this cluster: {}", names.join(", "))));
    };
    // Stages after the same one keep their order in the file.
    let follows =
        |one: &&Written| one.stage.after.as_ref().is_some_and(|after| after.value == neighbour.value);
    let at = if is_after { at + 1 + stages.iter().skip(at + 1).take_while(follows).count() } else { at };
    stages.insert(at, added);
    Ok(())
}

/// The maximum number of task files.
const FILES: usize = 10_000;

fn task_files(root: &Path) -> Result<Vec<PathBuf>> {
    let tasks = Path::new("tasks");
    let folder = match files::find(root, tasks) {
        Ok(found) => found.path,
        Err(files::Refusal::Missing) => return Ok(Vec::new()),
        Err(refusal) => return Err(Failure::input("cannot read tasks").because(refusal)),
    };
    let is_yaml =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().take(FILES);
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(tasks.join(entry.ok()?.file_name()))).filter(is_yaml).collect();
    files.sort();
    Ok(files)
}

/// A stage needs only earlier stages, so there can be no cycle; the names of its steps are unique.
fn check(stage: &Stage, before: &[Stage], location: Location) -> Result<()> {
    if stage.name.is_empty() || stage.name.contains('/') {
        return Err(Failure::input(format!("invalid stage name `{}`", stage.name)).at(location));
    }
    if let Some(unknown) = stage.needs.iter().find(|need| !before.iter().any(|other| other.name == **need)) {
        return Err(Failure::input(format!(
            "stage {} needs {unknown}, which is not an earlier stage",
            stage.name
        ))
        .at(location)
        .hint("a stage can need only the stages above it"));
    }
    let mut names = BTreeSet::new();
    match stage.steps.iter().find(|step| !names.insert(step.name())) {
        Some(twice) => Err(twice
            .refuse(format!("stage {} has duplicate step {}", stage.name, twice.name()))
            .hint("give one of them its own `name`")),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::kinds::StepKind;
    use super::*;

    /// The task file of this project's repository.
    pub(in crate::pipeline) const OWN: &str = include_str!("../../../../tasks/bootstrap.yaml");

    pub(in crate::pipeline) fn read(text: &str) -> Result<Pipeline> {
        assemble(&[], &[(PathBuf::from("tasks/x.yaml"), text.to_owned())], false)
    }

    fn extended(own: &str) -> Result<Vec<(String, Vec<String>)>> {
        let built_in = "stages: [{name: a, steps: []}, {name: b, steps: []}, {name: c, steps: []}]";
        let built_in = vec![(PathBuf::from(StepSpec::BUILT_IN), built_in.to_owned())];
        let pipeline = assemble(&built_in, &[(PathBuf::from("tasks/x.yaml"), own.to_owned())], true)?;
        Ok(pipeline.stages.into_iter().map(|stage| (stage.name, stage.needs)).collect())
    }

    #[test]
    fn stages_of_the_repository_join_those_that_are_built_in() {
        let own = "extends: built-in
stages:
- {name: last, steps: []}
- {name: x, after: a, steps: []}
- {name: y, after: a, steps: []}
- {name: z, before: c, steps: []}
";
        let stages = extended(own).unwrap();
        let order: Vec<String> =
            stages.iter().map(|(name, needs)| format!("{name}<{}", needs.join(","))).collect();
        assert_eq!(order, ["a<", "x<a", "y<x", "b<a,y", "z<b", "c<b,z", "last<c"]);
        let unknown = extended("stages: [{name: x, after: q, steps: []}]").unwrap_err();
        assert!(
            unknown.what.contains("unknown stage `q`") && unknown.hints[0].contains("a, b, c"),
            "{unknown:?}"
        );
        assert!(read("stages: [{name: x, after: q, steps: []}]").unwrap_err().what.contains("extends"));
    }

    /// The task files apply to all clusters, but a cluster's derived pipeline has only what it needs.
    #[test]
    fn a_stage_may_name_a_built_in_one_that_this_cluster_lacks() {
        let built_in = "stages: [{name: crds, steps: []}, {name: flux, steps: []}]";
        let order = |own: &str| {
            let built_in = vec![(PathBuf::from(StepSpec::BUILT_IN), built_in.to_owned())];
            let own = format!("extends: built-in\nstages: {own}");
            let pipeline = assemble(&built_in, &[(PathBuf::from("tasks/x.yaml"), own)], true)?;
            let shown = |stage: &Stage| format!("{}<{}", stage.name, stage.needs.join(","));
            Ok::<_, Failure>(pipeline.stages.iter().map(shown).collect::<Vec<_>>())
        };
        let table: [(&str, &[&str]); 5] = [
            ("[]", &["crds<", "flux<crds"]),
            ("[{name: x, after: network, steps: []}]", &["crds<", "x<crds", "flux<crds,x"]),
            (
                "[{name: x, after: network, steps: []}, {name: y, before: network, steps: []}, {name: z, after: crds, steps: []}]",
                &["crds<", "z<crds", "y<z", "x<crds,y", "flux<crds,y,x"],
            ),
            ("[{name: x, before: preflight, steps: []}]", &["x<", "crds<x", "flux<crds"]),
            ("[{name: x, needs: [network], steps: []}]", &["crds<", "flux<crds", "x<crds"]),
        ];
        for (own, expected) in table {
            assert_eq!(order(own).unwrap(), expected, "{own}");
        }
        assert_eq!(order("[{name: network, steps: []}]").unwrap().last().unwrap(), "network<flux");
        let unknown = order("[{name: x, after: netwrok, steps: []}]").unwrap_err();
        assert!(unknown.hints[0].ends_with("stages of this cluster: crds, flux"), "{unknown:?}");
    }

    #[test]
    fn a_stage_named_like_a_built_in_one_is_reported_where_it_is_written() {
        for own in ["name: b", "name: b\n  before: a"] {
            let failure = extended(&format!("stages:\n- steps: []\n  {own}\n")).unwrap_err();
            let at = failure.location.clone().unwrap();
            assert_eq!((at.file.as_path(), at.line), (Path::new("tasks/x.yaml"), 3), "{failure}");
            assert!(failure.what.contains("duplicate stage b"), "{failure}");
        }
    }

    #[test]
    fn a_stage_needs_the_one_before_unless_it_says_otherwise() {
        let pipeline =
            read("stages: [{name: a, steps: []}, {name: b, steps: []}, {name: c, needs: [], steps: []}]")
                .unwrap();
        assert_eq!(pipeline.stages[1].needs, ["a"]);
        assert!(pipeline.stages[2].needs.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("stages:\n- name: a\n  step: []\n", 3, "step"),
            ("stages:\n- name: a\n  steps:\n  - release: 5\n    tiemout: 5m\n", 5, "tiemout"),
            ("stages:\n- name: a\n  steps:\n  - release: x\n    timeout: soon\n", 4, "soon"),
            (
                "stages:\n- name: a\n  steps:\n  - release: x\n    wait: {probe: nodes}\n",
                4,
                "exactly one kind",
            ),
            ("stages:\n- name: a\n  steps:\n  - wait: {probe: cilium.bpg}\n", 4, "cilium.b"),
            ("stages:\n- name: a\n  needs: [b]\n  steps: []\n", 2, "needs b"),
            ("stages:\n- name: a\n  steps: []\n- name: a\n  steps: []\n", 4, "duplicate stage"),
            ("stages:\n- name: a\n  steps: [{release: x}, {release: x}]\n", 3, "duplicate step"),
            ("stages:\n- name: a\n  steps:\n  - checks: [tolls]\n", 4, "tolls"),
            ("stages:\n- name: a\n  steps:\n  - namespaces: 7\n", 4, "declared"),
            ("stages:\n- name: a\n  steps:\n  - objects: {path: a, namespcae: b}\n", 4, "namespcae"),
            ("stages:\n- name: a\n  steps:\n  - objects: {path: ''}\n", 4, "needs a path"),
        ];
        for (text, line, said) in cases {
            let failure = read(text).unwrap_err();
            assert!(failure.to_string().contains(said), "{said:?} in {failure}");
            assert_eq!(failure.location.as_ref().map(|at| at.line), Some(line), "{failure}");
        }
    }

    #[test]
    fn objects_are_named_by_a_path_that_may_hold_the_cluster() {
        for (written, path, namespace, name) in [
            ("objects: early/x.yaml", "early/x.yaml", None, "objects-x"),
            ("objects: 'clusters/{{cluster}}/early'", "clusters/infra/early", None, "objects-early"),
            ("objects: 'early/{{cluster}}'", "early/infra", None, "objects-cluster"),
            ("objects: {path: early, namespace: ns}", "early", Some("ns"), "objects-early"),
        ] {
            let pipeline = read(&format!("stages:\n- name: a\n  steps:\n  - {written}\n")).unwrap();
            let step = pipeline.steps().next().unwrap();
            let StepKind::Objects(spec) = &step.kind else { panic!("{written}") };
            assert_eq!((spec.path("infra"), spec.namespace()), (PathBuf::from(path), namespace), "{written}");
            assert_eq!(step.name(), name, "{written}");
        }
    }

    #[test]
    fn anything_may_stand_in_a_task_file() {
        bootstrapper_core::fuzzing::texts(&[OWN, RULES], |text| drop(read(text)));
    }

    const RULES: &str =
        "stages: [{name: a, steps: [{objects: x.yaml, timeout: 5m}, {command: [true, '{{cluster}}']}]}]
readiness: [{apiVersion: a/v1, kind: K, current: has(status.x), failed: 'status.x == 1', inProgress: 'true'}]
";
}
