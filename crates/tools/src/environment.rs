//! What programs see.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
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
    /// Commits that a sandbox's git server cannot have, each with the one that it has instead.
    #[serde(default)]
    pub commits: BTreeMap<String, String>,
}

impl Environment {
    /// Finds a program. Folders of PATH that count from the working directory are left out: that may
    /// be a repository of somebody else's.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return which::which(name).ok();
        }
        let of_system = std::env::var_os("PATH").unwrap_or_default();
        let of_system = std::env::split_paths(&of_system).filter(|folder| folder.is_absolute());
        let on_path = || {
            of_system.into_iter().find_map(|folder| which::which_in_global(name, Some(folder)).ok()?.next())
        };
        self.find_beside(name).or_else(on_path)
    }

    /// Finds a program in the folders that are searched before PATH.
    pub(super) fn find_beside(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().find_map(|folder| which::which_in_global(name, Some(folder)).ok()?.next())
    }

    /// The variable by the first of these names that is set: here, or else in this process.
    pub(super) fn variable(&self, names: &[&str]) -> Option<String> {
        let here = names.iter().find_map(|name| self.variables.get(*name).cloned());
        let value = here.or_else(|| names.iter().find_map(|name| std::env::var(name).ok()));
        value.filter(|value| !value.is_empty())
    }

    /// The commit to fetch where this one is declared: itself, unless a sandbox stands in.
    pub fn served_commit<'a>(&'a self, declared: &'a str) -> &'a str {
        self.commits.get(declared).map_or(declared, String::as_str)
    }

    /// What says by which way the network is reached, and whom to trust there.
    pub(super) fn network(&self) -> Vec<(OsString, OsString)> {
        let of_process = NETWORK.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
        let own = self.variables.iter().filter(|(name, _)| NETWORK.contains(&name.as_str()));
        let own = own.map(|(name, value)| (name.into(), value.into()));
        of_process.chain(own).collect::<BTreeMap<OsString, OsString>>().into_iter().collect()
    }
}

/// Variables about the network.
const NETWORK: [&str; 12] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "https_proxy",
    "no_proxy",
];
