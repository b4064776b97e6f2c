//! The bootstrap as data: `tasks/*.yaml` declare stages and steps; `bootstrapper.yaml` maps
//! clusters to contexts and secrets.

mod config;
mod file;
mod load;
mod select;
mod step;
mod words;

pub use config::{Config, SecretSource, SecretSpec};
pub use file::{is_sha256, schema};
pub use load::{Pipeline, Stage};
pub use select::{Selected, Selector, select};
pub use step::{Check, CrdSpec, Moment, Repair, StepKind, StepSpec, WaitSpec, When};
pub use words::{DeclaredWord, Named, parse_duration};

/// The JSON Schema of `bootstrapper.yaml`.
pub fn config_schema() -> schemars::Schema {
    config::schema()
}
