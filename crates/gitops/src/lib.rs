//! The GitOps repository: the declaration of each cluster, as Flux sees it.
//!
//! `entry` finds Flux's entry point for a cluster, `walk` continues from there, and `build` runs kustomize. The
//! result is a [`Declared`], with its [`Problem`]s.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod order;
pub mod pipeline;
pub mod trust;

pub mod addresses;
mod artifact;
mod build;
mod build_cache;
mod builds;
mod chart;
mod chart_access;
mod chart_signature;
mod ciphertext;
mod common_metadata;
mod crd_manifest;
mod declared;
mod decrypted_build;
mod decryption;
mod dependencies;
mod distribution;
mod documents;
mod entry;
mod fetch;
mod fields;
mod flux;
mod gaps;
mod gather;
mod generator;
mod glob;
mod helm_request;
mod ignore;
mod instance;
mod kept;
mod key_uses;
mod kustomization;
mod layout;
mod load;
mod manifests;
mod named;
mod patched;
mod pin;
mod place;
mod post_renderers;
mod problem;
mod provenance;
mod reach;
mod recipe;
mod references;
mod release;
mod rendering;
mod repository;
mod resource_set;
mod root;
mod roots;
mod seeded;
mod set_path;
mod shape;
mod shared_values;
mod sources;
mod stand_in;
mod substitute;
mod substitution;
mod unbuildable;
mod values;
mod variables;
mod version_range;
mod walk;

pub use chart_signature::UNVERIFIED;
pub use crd_manifest::{manifest, manifest_digest};
pub use declared::Declared;
pub use distribution::{Distribution, Unfit};
pub use fields::{FIELDS, HelmAction, Treatment};
pub use flux::FluxSetup;
pub use gaps::Gap;
pub use helm_request::CrdPolicy;
pub use key_uses::{EncryptedFile, KeyUse};
pub use kustomization::Kustomization;
pub use manifests::BuiltObject;
pub use pin::COMMIT;
pub use place::Written;
pub use problem::{Problem, ProblemKind};
pub use release::Release;
pub use rendering::{Rendering, renderings};
pub use repository::Repository;
pub use seeded::{Piece, SeededSecret, SeededValue, ValueFrom, seeded_secrets};
pub use shape::ranges_of;
pub use sources::{SecretValue, SecretValues, UNKNOWN};
pub use substitute::{SubstituteError, substitute, substitute_text};
pub use values::{ValuesFrom, chart_values};
pub use variables::SubstituteSource;
