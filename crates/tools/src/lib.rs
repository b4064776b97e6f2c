//! Programs that a bootstrap runs: found with `which`, run with duct.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod address;
mod cache;
mod chart;
mod chart_access;
mod chart_archive;
mod chart_fetch;
mod chart_index;
mod chart_metadata;
mod command;
mod cosign;
mod environment;
mod git;
mod git_history;
mod guard;
mod helm;
mod helm_process;
mod kustomize;
mod limits;
pub mod loopback;
mod page;
mod post_render;
mod program;
mod registry;
mod remote;
mod secret_stores;
mod signature;
mod stream;
mod tracked_chart;
pub mod transient;
mod transport;
mod variables;
mod version_range;

pub use address::{Base, Refused, Remote, Use, remote};
pub use cache::{cache_folder, state_folder};
pub use chart::ChartSource;
pub use chart_access::{ChartAccess, Signature, SigningKeys};
pub use command::Command;
pub use environment::Environment;
pub use git::git_revision;
pub use git_history::{PublishedHistory, published_history};
pub use guard::{Guarded, guard, guard_programs_with};
pub use helm::{CHART_DIGEST, Helm, HelmRequest, KubeAccess, Rehearsal, chart_label};
pub use helm_process::{HELM_PROCESS, helm_has_exited, host};
pub use kustomize::Kustomize;
pub use limits::Limits;
pub use page::fetch_page;
pub use post_render::{HookRendering, PostRendering, post_render};
pub use registry::Registry;
pub use remote::{Fetched, Remotes};
pub use secret_stores::{
    Bitwarden, BitwardenSecrets, OnePassword, SecretProgram, SignIn, Sops, SopsFormat, Vault, VaultPath,
    age_key_files, sops_keepers,
};
pub use stream::{Download, open_download};
pub use tracked_chart::without_digest;
