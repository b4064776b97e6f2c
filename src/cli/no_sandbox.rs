//! Replaces `sandbox` in a build without the feature: no command supports `--sandbox`.

use std::path::Path;

use super::args::{RunArgs, SandboxFlag, ValidateArgs};
use super::rehearsal::Rehearsal;
use bootstrapper_core::failure::Result;
use bootstrapper_tools::Environment;

#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
pub(super) fn running(_: &str, _: SandboxFlag) -> Result<Option<Rehearsal>> {
    Ok(None)
}

#[expect(clippy::unused_async, reason = "with the feature it waits")]
pub(super) async fn refreshed(_: &str, _: SandboxFlag, _: Option<&Path>) -> Result<Option<Rehearsal>> {
    Ok(None)
}

#[expect(clippy::unused_async, reason = "with the feature it waits")]
pub(super) async fn brought_up(_: &str, _: &RunArgs) -> Result<Option<Rehearsal>> {
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
pub(super) fn environment_of(_: &ValidateArgs, _: &[String]) -> Result<Environment> {
    Ok(Environment::default())
}
