//! The users of a temporary folder: each process that uses it holds a shared lock on it. The system releases
//! a lock however its process ends, so a folder without one is abandoned.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, open, statat};
use rustix::process::geteuid;

/// Keeps a folder in use.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Lease {
    /// Starts using a folder of this user; fails if it is something else, or deleted meanwhile.
    pub fn take(path: &Path) -> io::Result<Self> {
        let lock = open_own(path)?;
        // An exclusive lock means that it is being deleted. Without lock support, no process considers it
        // abandoned either.
        if flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !is_at(path, &lock)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Stops using it, and deletes the folder if it was the last user.
    pub fn end(self) {
        let path = self.path.clone();
        drop(self);
        remove_if_abandoned(&path);
    }
}

/// Deletes a folder of this user that no process uses.
pub(super) fn remove_if_abandoned(path: &Path) {
    let Ok(lock) = open_own(path) else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(path, &lock).unwrap_or(false) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Opens a folder that belongs to this user and that nobody else can open; rejects anything else.
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

/// Whether `path` still refers to the opened folder.
fn is_at(path: &Path, opened: &OwnedFd) -> io::Result<bool> {
    let (there, own) = (statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?, fstat(opened)?);
    Ok((there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
}
