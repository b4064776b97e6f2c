//! What programs see.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where programs are looked for, and what they find in their environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Environment {
    /// Folders that are searched before PATH.
    pub path: Vec<PathBuf>,
    /// Variables beside those of this process.
    pub variables: BTreeMap<String, String>,
    /// Variables of this process that hold secrets, which no program sees that does not need them.
    #[serde(default)]
    pub withheld: BTreeSet<String>,
}

impl Environment {
    /// Finds a program.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        self.find_beside(name).or_else(|| which::which(name).ok())
    }

    /// Finds a program in the folders that are searched before PATH.
    pub(super) fn find_beside(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().find_map(|folder| which::which_in_global(name, Some(folder)).ok()?.next())
    }
}
