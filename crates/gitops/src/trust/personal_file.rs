//! Files that a repository references. Approvals apply to their real paths.

use std::path::{Component, Path, PathBuf};

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;

/// The real path: symbolic links and `..` resolved. For a missing file, the existing parent is resolved.
pub fn resolve(root: &Path, path: &Path) -> PathBuf {
    let joined = root.join(path);
    let mut rest = Vec::new();
    for ancestor in joined.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return rest.iter().rev().fold(real, |path: PathBuf, part| stepped(path, part));
        }
        rest.extend(ancestor.components().next_back());
    }
    joined
}

/// The real path of a user's file: `~/` is the home folder, other paths are relative to the repository.
pub fn resolve_personal(root: &Path, path: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (path.strip_prefix("~"), home) {
        (Ok(within), Some(home)) => resolve(Path::new(&home), within),
        _ => resolve(root, path),
    }
}

fn stepped(mut path: PathBuf, part: &Component<'_>) -> PathBuf {
    match part {
        Component::ParentDir => {
            path.pop();
        }
        Component::CurDir => {}
        other => path.push(other),
    }
    path
}

/// The content of a file at its real path. Devices, pipes, files larger than `largest` bytes, and symbolic
/// links are rejected.
pub fn read_file(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let unreadable = || Failure::input(format!("cannot read {}", path.display()));
    let file = files::open(path).map_err(|error| unreadable().caused_by(&error))?;
    let about = file.metadata().map_err(|error| unreadable().caused_by(&error))?;
    if !about.is_file() {
        return Err(unreadable()
            .because("it is not a regular file")
            .hint("use a regular file, not a device, pipe, socket or folder"));
    }
    files::read_up_to(largest, file)
        .map_err(|error| unreadable().caused_by(&error))?
        .ok_or_else(|| unreadable().because(format!("it is larger than {largest} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: u64 = 1024 * 1024;

    #[test]
    fn a_path_is_where_it_really_leads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("repository/a")).unwrap();
        std::fs::write(root.join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("repository/link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("repository/up")).unwrap();
        let repository = root.join("repository");
        for (path, leads) in [
            ("link", "outside"),
            ("a/../../outside", "outside"),
            ("up/outside", "outside"),
            ("up/none/x", "none/x"),
            ("none/../y", "repository/y"),
        ] {
            assert_eq!(resolve(&repository, Path::new(path)), root.join(leads), "{path}");
        }
        assert_eq!(resolve(&repository, Path::new("/dev/null")), Path::new("/dev/null"));
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("small"), "x").unwrap();
        std::fs::write(at("large"), vec![0; 1024 * 1024 + 1]).unwrap();
        std::os::unix::fs::symlink("small", at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        assert_eq!(read_file(&at("small"), LARGEST).unwrap(), b"x");
        let refused = ["large", "link", "pipe", "none"].map(at);
        for path in refused.iter().map(PathBuf::as_path).chain([Path::new("/dev/zero"), folder.path()]) {
            let failure = read_file(path, LARGEST).unwrap_err();
            assert!(failure.what.contains(&path.display().to_string()), "{failure}");
        }
    }
}
