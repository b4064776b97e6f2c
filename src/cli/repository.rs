//! The GitOps repository that a verb works on.

use std::path::Path;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::Config;

/// Finds the repository: where told, else upwards from here.
pub(super) fn open_repository(at: Option<&Path>) -> Result<Repository> {
    let root = match at {
        Some(root) => root.to_owned(),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| Failure::input("cannot read the current folder").caused_by(&error))?;
            Repository::root_of(&here)?
        }
    };
    // A configuration that cannot be read is told by whoever needs the rest of it.
    let entries = Config::load(&root).map(|config| config.entries()).unwrap_or_default();
    Repository::open_with(&root, &entries)
}
