//! A task file under construction.

use std::fmt;

use bootstrapper_core::yaml::written::flow_scalar as scalar;

/// The stages of a task file.
pub(super) struct Draft {
    pub(super) cluster: String,
    pub(super) stages: Vec<DraftStage>,
}

/// A stage.
pub(super) struct DraftStage {
    pub(super) name: &'static str,
    pub(super) parallel: bool,
    pub(super) steps: Vec<DraftStep>,
}

/// A step: its lines, and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftStep {
    kind: String,
    why: String,
    others: Vec<String>,
}

impl DraftStep {
    pub(super) fn new(kind: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind: kind.into(), why: why.into(), others: Vec::new() }
    }

    /// Adds a field.
    #[must_use]
    pub(super) fn with(mut self, field: impl Into<String>) -> Self {
        self.others.push(field.into());
        self
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name comes from a folder, and may contain characters that YAML comments cannot.
        let name: String = self.cluster.chars().filter(|one| !one.is_control()).collect();
        writeln!(f, "# What bootstraps {name}, derived from what the repository declares for it.")?;
        writeln!(f, "# Saved as tasks/bootstrap.yaml it replaces the derived pipeline, for every cluster.")?;
        writeln!(
            f,
            "# To add stages only: a file with `extends: built-in`, and `before:` or `after:` a stage."
        )?;
        writeln!(f, "stages:")?;
        for stage in &self.stages {
            writeln!(f, "  - name: {}", stage.name)?;
            if stage.parallel {
                writeln!(f, "    parallel: true")?;
            }
            writeln!(f, "    steps:")?;
            for step in &stage.steps {
                writeln!(f, "      - {}", step.kind)?;
                writeln!(f, "        why: {}", scalar(&step.why))?;
                for other in &step.others {
                    writeln!(f, "        {other}")?;
                }
            }
        }
        Ok(())
    }
}

/// A YAML flow list.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().map(scalar).collect::<Vec<_>>().join(", "))
}
