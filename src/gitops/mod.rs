//! The GitOps repository: what each cluster declares, as Flux will see it.

pub mod addresses;
mod build;
mod build_cache;
mod dependencies;
mod glob;
mod kustomization;
mod load;
mod locate;
mod release;
mod repository;
mod substitute;
mod values;

pub use kustomization::Kustomization;
pub use load::{Declared, SecretValues};
pub use release::Release;
pub use repository::Repository;
pub use substitute::{SubstituteError, substitute, substitute_text};
