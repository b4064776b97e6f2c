//! The GitOps repository of a command.

use std::path::Path;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::Config;

/// Opens the given repository, or searches upwards from the current folder.
pub(super) fn open_repository(at: Option<&Path>) -> Result<Repository> {
    let root = match at {
        Some(root) => root.to_owned(),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| Failure::input("cannot read the current folder").caused_by(&error))?;
            Repository::root_of(&here)?
        }
    };
    // An invalid configuration is reported where the rest of it is needed.
    let entries = Config::load(&root).map(|config| config.entries()).unwrap_or_default();
    Repository::open_with(&root, &entries)
}
