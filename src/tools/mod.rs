//! Programs that a bootstrap runs: found with `which`, run with duct.

mod cache;
mod chart;
mod command;
mod environment;
mod git;
mod helm;
mod kustomize;
mod post_render;
mod program;
mod secret_stores;

pub use cache::cache_folder;
pub use chart::ChartSource;
pub use command::Command;
pub use environment::Environment;
pub use git::git_revision;
pub use helm::{Helm, HelmRequest, KubeAccess, Rehearsal};
pub use kustomize::Kustomize;
pub use post_render::{HookRendering, PostRendering, post_render};
pub use secret_stores::{OnePassword, Sops};
