//! The bootstrap as data: `tasks/*.yaml` declare stages and steps; `bootstrapper.yaml` maps
//! clusters to contexts and secrets.

mod config;
mod derive;
mod file;
mod kinds;
mod load;
mod print;
mod scope;
mod select;
mod step;
mod words;

pub use config::{Config, SecretSource, SecretSpec};
pub use file::schema;
pub use kinds::{
    AdoptionSpec, Applies, Awaits, Check, ChecksSpec, CommandSpec, CrdsSpec, HandoverSpec, KustomizationSpec,
    Manifest, NamespacesSpec, ObjectsSpec, PartSpec, ReleaseSpec, RepairSpec, SecretsSpec, SourceSpec,
    StepKind, SyncSpec, WaitSpec, is_sha256,
};
pub use load::{Pipeline, Stage, Tasks};
pub use scope::Scope;
pub use select::{Selected, Selector, select};
pub use step::{StepSpec, When};
pub use words::{DeclaredWord, Named, parse_duration};

/// The JSON Schema of `bootstrapper.yaml`.
pub fn config_schema() -> schemars::Schema {
    config::schema()
}
