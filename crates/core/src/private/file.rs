//! Files that only this user can open.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::folder::Folder;

/// An anonymous file, in memory if the system supports it: deleted when closed.
#[cfg(target_os = "linux")]
pub fn anonymous() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    match memfd_create("bootstrapper", MemfdFlags::CLOEXEC) {
        Ok(file) => Ok(file.into()),
        Err(_) => tempfile::tempfile(),
    }
}

/// An anonymous file: deleted when closed.
#[cfg(not(target_os = "linux"))]
pub fn anonymous() -> io::Result<File> {
    tempfile::tempfile()
}

/// Writes a file that only this user can open, atomically; replaces an existing file or link.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = Folder::within(parent)?;
    let file = beside.path().join("new");
    create(&file, content)?;
    fs::rename(file, path)
}

fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (other, path) = (folder.path().join("other"), folder.path().join("file"));
        fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        replace(&path, b"own").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert_eq!(fs::read_to_string(&path).unwrap(), "own");
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
