//! The environment of programs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where to search for programs, and their environment variables.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Environment {
    /// Folders that are searched before PATH.
    pub path: Vec<PathBuf>,
    /// Variables in addition to those of this process.
    pub variables: BTreeMap<String, String>,
    /// Variables of this process that contain secrets; removed from all programs that do not need them.
    #[serde(default)]
    pub withheld: BTreeSet<String>,
    /// Commits that a sandbox's git server cannot serve, with their replacements.
    #[serde(default)]
    pub commits: BTreeMap<String, String>,
}

impl Environment {
    /// Finds a program. Skips relative folders of PATH: the working directory may be an untrusted repository.
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

    /// The first of these variables that is set, here or in this process.
    pub(super) fn variable(&self, names: &[&str]) -> Option<String> {
        let here = names.iter().find_map(|name| self.variables.get(*name).cloned());
        let value = here.or_else(|| names.iter().find_map(|name| std::env::var(name).ok()));
        value.filter(|value| !value.is_empty())
    }

    /// The commit to fetch for a declared one: the same, except in a sandbox.
    pub fn served_commit<'a>(&'a self, declared: &'a str) -> &'a str {
        self.commits.get(declared).map_or(declared, String::as_str)
    }

    /// The variables with proxies and trusted CAs.
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
