//! The bootstrap as data: `tasks/*.yaml` declare stages and steps; `bootstrapper.yaml` maps
//! clusters to contexts and secrets.

mod config;
mod derive;
mod file;
mod kinds;
mod load;
mod print;
mod scope;
mod secrets;
mod select;
mod step;
mod word_or;
mod words;

pub use config::{Config, FluxVersions};
pub use file::schema;
pub use kinds::{
    AdoptionSpec, Applies, Awaits, Check, ChecksSpec, CommandSpec, CrdsSpec, HandoverSpec, KustomizationSpec,
    Manifest, NamespacesSpec, ObjectsSpec, PartSpec, ReleaseSpec, RemoteManifestSpec, RepairSpec,
    SecretsSpec, SourceSpec, StepKind, SyncSpec, WaitSpec, is_sha256,
};
pub use load::{Pipeline, Stage, Tasks};
pub use scope::Scope;
pub use secrets::{
    AgeSource, BitwardenSource, ConnectSource, ManifestSpec, OnePasswordSource, Origin, SecretSource,
    SecretSpec, SignInSpec, SopsPath, SopsSource, TemplateSpec, ValuesSpec, VariableName, VaultSource,
};
pub use select::{Selected, Selector, select};
pub use step::{StepSpec, When};
pub use words::{DeclaredWord, Named, parse_duration};

/// The JSON Schema of `bootstrapper.yaml`.
pub fn config_schema() -> schemars::Schema {
    config::schema()
}
