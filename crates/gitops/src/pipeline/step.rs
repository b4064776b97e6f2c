//! A step of a pipeline, as used by the rest of the program.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kinds::StepKind;
use bootstrapper_core::failure::{Failure, Location};

/// A step of a stage.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// What it does.
    pub kind: StepKind,
    /// Its timeout; none for the default.
    pub timeout: Option<Duration>,
    /// Its timeout without progress; none for the default.
    pub inactivity: Option<Duration>,
    /// Whether the step is skipped on clusters that do not declare its object.
    pub when: When,
    /// Why the bootstrap needs it, if the task file says so.
    pub why: Option<String>,
    pub(super) own_name: Option<String>,
    pub(super) await_workloads: bool,
    pub(super) location: Location,
}

/// Whether the step is skipped on clusters that do not declare its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The step then fails.
    #[default]
    Always,
    /// The step is then skipped.
    Declared,
}

impl StepSpec {
    /// The location of derived steps: `bootstrapper tasks` prints this file.
    pub const BUILT_IN: &str = "tasks/bootstrap.yaml (built in)";

    /// Whether it is derived, not read from the repository.
    pub fn is_built_in(&self) -> bool {
        self.location.file == Path::new(Self::BUILT_IN)
    }

    /// Its name within the stage: its own, or the default.
    pub fn name(&self) -> String {
        if let Some(name) = &self.own_name {
            return name.clone();
        }
        self.kind.name()
    }

    /// Whether to wait until its objects are ready.
    pub fn await_workloads(&self) -> bool {
        self.await_workloads
    }

    /// Its location in the task file.
    pub fn place(&self) -> &Location {
        &self.location
    }

    /// A failure about this step, at its location in the task file.
    pub fn refuse(&self, what: impl Into<String>) -> Failure {
        Failure::input(what).at(self.location.clone())
    }

    /// A failure of this step's object, located at the step unless it has its own location.
    pub fn placed(&self, failure: Failure) -> Failure {
        if failure.location.is_some() { failure } else { failure.at(self.location.clone()) }
    }
}
