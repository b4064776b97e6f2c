//! Finds and reads task files: those of the repository, else the ones that come with the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{TaskFile, add_rule, location_of, step_of};
use super::step::StepSpec;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::files;
use bootstrapper_core::yaml;
use bootstrapper_readiness::CustomRules;

const DEFAULT: &str = include_str!("../../../../tasks/bootstrap.yaml");

/// The stages of a bootstrap, in order.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The stages, each after all that it needs.
    pub stages: Vec<Stage>,
    /// Readiness rules for custom kinds.
    pub readiness: Arc<CustomRules>,
    /// Whether it is the built-in pipeline, which has no names of this repository.
    pub is_built_in: bool,
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
    /// The pipeline of a repository: its `tasks/*.yaml`, by file name, else the default one.
    pub fn of_repository(root: &Path) -> Result<Self> {
        let all = task_files(root)?;
        if all.is_empty() {
            let own = (PathBuf::from("tasks/bootstrap.yaml (built in)"), DEFAULT.to_owned());
            return Ok(Self { is_built_in: true, ..Self::from_texts([own])? });
        }
        let texts = all
            .into_iter()
            .map(|file: PathBuf| {
                let text = files::read_text(root, &file).map_err(|refusal| {
                    Failure::input(format!("cannot read {}", file.display())).because(refusal)
                })?;
                Ok((file, text))
            })
            .collect::<Result<Vec<_>>>()?;
        Self::from_texts(texts)
    }

    /// Every step, in the order in which they are written.
    pub fn steps(&self) -> impl Iterator<Item = &StepSpec> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    fn from_texts(texts: impl IntoIterator<Item = (PathBuf, String)>) -> Result<Self> {
        let mut stages: Vec<Stage> = Vec::new();
        let mut readiness = CustomRules::default();
        for (file, text) in texts {
            let tasks: TaskFile = yaml::from_str(&text, &file)?;
            for stage in tasks.stages {
                let location = location_of(&stage.name, &file);
                let steps: Vec<StepSpec> =
                    stage.steps.into_iter().map(|step| step_of(step, &file)).collect::<Result<_>>()?;
                let before = stages.last().map(|before| before.name.clone());
                let stage = Stage {
                    name: stage.name.value,
                    needs: stage.needs.unwrap_or_else(|| before.into_iter().collect()),
                    parallel: stage.parallel,
                    steps,
                };
                check(&stage, &stages, location)?;
                stages.push(stage);
            }
            for rule in tasks.readiness {
                add_rule(rule, &file, &mut readiness)?;
            }
        }
        Ok(Self { stages, readiness: Arc::new(readiness), is_built_in: false })
    }
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

/// Names are unique, and a stage needs only stages before it, so there can be no cycle.
fn check(stage: &Stage, before: &[Stage], location: Location) -> Result<()> {
    if stage.name.is_empty() || stage.name.contains('/') {
        return Err(Failure::input(format!("invalid stage name `{}`", stage.name)).at(location));
    }
    if before.iter().any(|other| other.name == stage.name) {
        return Err(Failure::input(format!("duplicate stage {}", stage.name)).at(location));
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
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Pipeline> {
        Pipeline::from_texts([(PathBuf::from("tasks/x.yaml"), text.to_owned())])
    }

    #[test]
    fn the_default_pipeline_is_valid() {
        let pipeline = read(DEFAULT).unwrap();
        let names: Vec<_> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(
            names,
            ["preflight", "prerequisites", "crds", "cilium", "core", "flux", "sync", "handover"]
        );
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
        ];
        for (text, line, said) in cases {
            let failure = read(text).unwrap_err();
            assert!(failure.to_string().contains(said), "{said:?} in {failure}");
            assert_eq!(failure.location.as_ref().map(|at| at.line), Some(line), "{failure}");
        }
    }

    #[test]
    fn anything_may_stand_in_a_task_file() {
        bootstrapper_core::fuzzing::texts(&[DEFAULT, RULES], |text| drop(read(text)));
    }

    const RULES: &str =
        "stages: [{name: a, steps: [{objects: x.yaml, timeout: 5m}, {command: [true, '{{cluster}}']}]}]
readiness: [{apiVersion: a/v1, kind: K, current: has(status.x), failed: 'status.x == 1', inProgress: 'true'}]
";
}
