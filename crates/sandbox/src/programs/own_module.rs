//! Programs that are built in a copy of their own module: Go forbids other modules to use their packages.

use std::path::Path;

use super::assets::{copy, download};
use bootstrapper_core::failure::{Failure, Result};

/// A module with a program, and what its build lacks.
#[derive(Debug)]
pub(crate) struct OwnModule {
    /// Its path and version.
    pub(super) module: &'static str,
    /// Embedded files that exist only in its releases.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Additions to its `go.mod`.
    pub(super) replaces: &'static str,
    /// Additions to its `go.sum`.
    pub(super) sums: &'static str,
}

impl OwnModule {
    /// Writes the copy into `folder`.
    pub(super) async fn unpack(&self, folder: &Path) -> Result<()> {
        let failed =
            |error: std::io::Error| Failure::step(format!("cannot unpack {}", self.module)).caused_by(&error);
        let source = download(self.module).await?;
        copy(&source, folder).map_err(failed)?;
        for (path, text) in self.files {
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(folder)).map_err(failed)?;
            std::fs::write(file, text).map_err(failed)?;
        }
        for (name, added) in [("go.mod", self.replaces), ("go.sum", self.sums)] {
            let file = folder.join(name);
            let text = std::fs::read_to_string(&file).map_err(failed)?;
            std::fs::write(&file, format!("{text}\n{added}\n")).map_err(failed)?;
        }
        Ok(())
    }
}
