//! Where the tool keeps what it can make again, and what it cannot.

use std::path::PathBuf;

/// `$XDG_CACHE_HOME/bootstrapper`, else `~/.cache/bootstrapper`; none if there is neither.
pub fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("bootstrapper"))
}

/// `$BOOTSTRAPPER_STATE_DIR`, else `$XDG_STATE_HOME/bootstrapper`, else `~/.local/state/bootstrapper`; none if
/// there is none of them.
pub fn state_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("BOOTSTRAPPER_STATE_DIR")
        .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("bootstrapper")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/bootstrapper")))
}
