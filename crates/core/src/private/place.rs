//! The locations of temporary folders: on disk and in memory.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::exposure::{exposure, is_trusted};
use crate::failure::{Failure, Result};

/// The locations of in-memory file systems.
const MEMORY: &str = "/dev/shm";

/// The purpose of a temporary folder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Disk,
    Memory,
}

/// The folder that replaces both locations, for a child process of this program.
static NEST: OnceLock<PathBuf> = OnceLock::new();

/// From now on this process creates its temporary folders in `folder`, and they are deleted with it.
pub fn nest_in(folder: &Path) {
    let _ = NEST.set(folder.to_owned());
}

/// Where to create temporary folders.
pub(super) fn base(place: Place) -> Result<PathBuf> {
    if let Some(nest) = NEST.get() {
        return Ok(nest.clone());
    }
    let of_session = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    let in_memory = of_session.into_iter().chain([PathBuf::from(MEMORY)]);
    let usable = |folder: PathBuf| folder.canonicalize().ok().filter(|folder| exposure(folder).is_none());
    match place {
        Place::Memory => {
            in_memory.filter_map(usable).find(|folder| is_writable(folder)).map_or_else(on_disk, Ok)
        }
        Place::Disk => on_disk(),
    }
}

fn on_disk() -> Result<PathBuf> {
    let named = std::env::temp_dir();
    let unusable = || Failure::input(format!("unsafe temporary folder {}", named.display()));
    let hint = "set TMPDIR to a folder of your own";
    let folder = named.canonicalize().map_err(|error| unusable().caused_by(&error).hint(hint))?;
    match exposure(&folder) {
        Some(why) => Err(unusable().because(why).hint(hint)),
        None => Ok(folder),
    }
}

fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// Creates a persistent folder (cache or state) with its parents, for this user only; restricts it if others
/// could open it. Fails if other users could replace it.
pub fn secure(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let real = folder.canonicalize()?;
    if let Some(why) = real.parent().and_then(exposure) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let metadata = fs::symlink_metadata(&real)?;
    if !is_trusted(metadata.uid()) {
        let why = format!("{} belongs to another user (uid {})", real.display(), metadata.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(&real, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_stays_is_closed_to_others() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        secure(&folder).unwrap();
        assert_eq!((mode(&folder), mode(&root.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        secure(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        fs::set_permissions(root.path().join("a"), Permissions::from_mode(0o777)).unwrap();
        assert!(secure(&folder).unwrap_err().to_string().contains("other users can write to"));
    }
}
