//! The sandbox's own program: its names, and its path in a sandbox.

use std::io::Error;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::state::{Folder, OWNER_ONLY};
use bootstrapper_core::failure::{Failure, Result};

/// Its name.
pub(crate) const NAME: &str = "bootstrapper-sandbox";

/// Its names in the pods of connectivity checks: the programs of Kubernetes' test image.
pub(crate) const OF_TEST_IMAGE: [&str; 2] = ["agnhost", WGET];

pub(crate) const WGET: &str = "wget";

/// Its path in a sandbox.
pub(crate) fn own(folder: &Folder) -> PathBuf {
    folder.path("bin").join(NAME)
}

/// Links this process's executable into a sandbox's folder, under its name.
pub(crate) fn install_own(folder: &Folder) -> Result<()> {
    let link = own(folder);
    let failed = |error: Error| Failure::step(format!("cannot create {}", link.display())).caused_by(&error);
    let this = std::env::current_exe().map_err(failed)?;
    let bin = link.parent().unwrap_or(&folder.0);
    std::fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(bin).map_err(failed)?;
    std::os::unix::fs::symlink(this, &link).map_err(failed)
}
