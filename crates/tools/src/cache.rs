//! The locations of the cache and of the state.

use std::path::PathBuf;

/// `$XDG_CACHE_HOME/bootstrapper`, otherwise `~/.cache/bootstrapper`; none without a home folder.
pub fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("bootstrapper"))
}

/// `$BOOTSTRAPPER_STATE_DIR`, otherwise `$XDG_STATE_HOME/bootstrapper`, otherwise
/// `~/.local/state/bootstrapper`; none without a home folder.
pub fn state_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("BOOTSTRAPPER_STATE_DIR")
        .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("bootstrapper")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/bootstrapper")))
}
