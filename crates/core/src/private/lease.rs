//! Who uses a temporary folder: each process that does holds a shared lock of it. The system frees a
//! lock however its process ends, so a folder without one is abandoned.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, open, statat};
use rustix::process::geteuid;

/// A use of a folder.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Lease {
    /// Uses a folder of this user; fails if it is anything else, or removed meanwhile.
    pub fn take(path: &Path) -> io::Result<Self> {
        let lock = open_own(path)?;
        // Who has it locked is removing it. Where there are no locks, nobody takes it for abandoned either.
        if flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !is_at(path, &lock)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Ends this use, and removes the folder if it was the last.
    pub fn end(self) {
        let path = self.path.clone();
        drop(self);
        remove_if_abandoned(&path);
    }
}

/// Removes a folder of this user that no process uses.
pub(super) fn remove_if_abandoned(path: &Path) {
    let Ok(lock) = open_own(path) else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(path, &lock).unwrap_or(false) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Opens a folder of this user that nobody else can open, and nothing else that may be there.
fn open_own(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let opened = open(path, flags, Mode::empty())?;
    let status = fstat(&opened)?;
    let others = Mode::RWXG | Mode::RWXO;
    if status.st_uid != geteuid().as_raw() || Mode::from_raw_mode(status.st_mode).intersects(others) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a private folder of this user"));
    }
    Ok(opened)
}

/// Whether `path` still leads to the opened folder.
fn is_at(path: &Path, opened: &OwnedFd) -> io::Result<bool> {
    let (there, own) = (statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?, fstat(opened)?);
    Ok((there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
}
