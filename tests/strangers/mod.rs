//! Another user of the machine, and a page in a browser: what a sandbox may not answer.

pub(crate) mod probe;
pub(crate) mod sockets;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use probe::{as_somebody_else, is_root};
use sockets::processes;

/// Where it has networks of its own, their addresses are nobody's.
pub(crate) fn nobody_enters_its_networks(folder: &Path) {
    for process in processes(folder).into_iter().filter(|_| is_root()) {
        for file in ["ns/net", "environ", "root", "cwd"] {
            let path = PathBuf::from(format!("/proc/{}/{file}", process.id));
            let read = as_somebody_else(move || std::fs::File::open(&path).map(drop));
            assert!(read.is_err(), "{} gives its {file} to anybody", process.program);
        }
    }
}

/// Whatever the umask.
pub(crate) fn its_files_are_its_owners(folder: &Path) {
    let mut open = Vec::new();
    let entries = walkdir::WalkDir::new(folder.parent().unwrap()).into_iter().filter_map(Result::ok);
    for entry in entries.filter(|entry| !entry.path_is_symlink()) {
        let Ok(found) = entry.path().symlink_metadata() else { continue };
        if found.mode() & 0o077 != 0 {
            open.push(format!("{:o} {}", found.mode() & 0o7777, entry.path().display()));
        }
    }
    assert!(open.is_empty(), "others may open:\n{}", open.join("\n"));
}
