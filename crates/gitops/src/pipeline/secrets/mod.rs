//! The format of `secrets` in `bootstrapper.yaml`: the Secrets, and the sources of their values.

mod one_password;
mod sops_path;
mod source;
mod spec;

pub use one_password::{ConnectSource, OnePasswordSource, Origin, SignInSpec};
pub use sops_path::SopsPath;
pub use source::{AgeSource, BitwardenSource, SecretSource, SopsSource, VariableName, VaultSource};
pub use spec::{ManifestSpec, SecretSpec, TemplateSpec, ValuesSpec};
