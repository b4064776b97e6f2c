//! Where the tool keeps what it can make again.

use std::path::PathBuf;

/// `$XDG_CACHE_HOME/bootstrapper`, else `~/.cache/bootstrapper`; none if there is neither.
pub fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("bootstrapper"))
}
