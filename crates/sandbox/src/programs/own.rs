//! The sandbox's own program: how it is called, and where a sandbox has it.

use std::io::Error;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::state::{Folder, OWNER_ONLY};
use bootstrapper_core::failure::{Failure, Result};

/// What it is called.
pub(crate) const NAME: &str = "bootstrapper-sandbox";

/// What connectivity checks call it in pods: these programs of Kubernetes' test image.
pub(crate) const OF_TEST_IMAGE: [&str; 2] = ["agnhost", WGET];

pub(crate) const WGET: &str = "wget";

/// Where a sandbox has it.
pub(crate) fn own(folder: &Folder) -> PathBuf {
    folder.path("bin").join(NAME)
}

/// Puts it into a sandbox's folder, by a link: this process's executable under its name.
pub(crate) fn install_own(folder: &Folder) -> Result<()> {
    let link = own(folder);
    let failed = |error: Error| Failure::step(format!("cannot create {}", link.display())).caused_by(&error);
    let this = std::env::current_exe().map_err(failed)?;
    let bin = link.parent().unwrap_or(&folder.0);
    std::fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(bin).map_err(failed)?;
    std::os::unix::fs::symlink(this, &link).map_err(failed)
}
