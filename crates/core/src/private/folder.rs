//! A temporary folder: deleted when dropped, or after its process has ended.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::lease::{Lease, remove_if_abandoned};
use super::place::{Place, base};
use crate::failure::{Failure, Result};

/// The prefix of each name; the process id follows.
const PREFIX: &str = ".bootstrapper-";

/// Until its lock is held, a folder may be considered abandoned and be deleted.
const ATTEMPTS: usize = 64;

/// A temporary folder that only this user can open. It is deleted when dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    held_by: HeldBy,
}

/// Marks the folder as in use.
#[derive(Debug)]
enum HeldBy {
    /// Its own lease.
    Lease(Option<Lease>),
    /// The lease of its parent folder.
    Outer(#[allow(dead_code, reason = "keeps the outer folder alive")] Arc<Folder>),
}

impl Folder {
    /// On disk: for large data.
    pub fn new() -> Result<Self> {
        run_folder(Place::Disk).and_then(Self::inside)
    }

    /// In memory if possible: for secrets.
    pub fn in_memory() -> Result<Self> {
        run_folder(Place::Memory).and_then(Self::inside)
    }

    /// In an existing folder; for data that will be moved within the same disk. Also deletes the folders of
    /// killed processes there.
    pub fn within(parent: &Path) -> io::Result<Self> {
        for abandoned in siblings(parent) {
            remove_if_abandoned(&abandoned);
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for _ in 0..ATTEMPTS {
            let taken = made(&format!("{PREFIX}{}-", std::process::id()), parent)
                .and_then(|path| Lease::take(&path).map(|lease| (path, lease)));
            match taken {
                Ok((path, lease)) => return Ok(Self { path, held_by: HeldBy::Lease(Some(lease)) }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn inside(outer: Arc<Self>) -> Result<Self> {
        let path = made("", &outer.path).map_err(|error| {
            Failure::step(format!("cannot create a temporary folder in {}", outer.path.display()))
                .caused_by(&error)
        })?;
        Ok(Self { path, held_by: HeldBy::Outer(outer) })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a subfolder, which is deleted with it.
    pub fn subfolder(&self) -> io::Result<PathBuf> {
        made("", &self.path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        if let HeldBy::Lease(lease) = &mut self.held_by
            && let Some(lease) = lease.take()
        {
            // A terminating program may have written meanwhile: then its guard deletes the folder.
            lease.end();
        }
    }
}

/// The folder of this process in each location, while it is in use.
static DISK: Mutex<Weak<Folder>> = Mutex::new(Weak::new());
static IN_MEMORY: Mutex<Weak<Folder>> = Mutex::new(Weak::new());

/// The folder that contains all temporary folders of this process; created if missing.
fn run_folder(place: Place) -> Result<Arc<Folder>> {
    let kept = match place {
        Place::Disk => &DISK,
        Place::Memory => &IN_MEMORY,
    };
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = kept.upgrade() {
        return Ok(folder);
    }
    let base = base(place)?;
    let made = Folder::within(&base).map_err(|error| {
        Failure::step(format!("cannot create a temporary folder in {}", base.display()))
            .caused_by(&error)
            .hint("set TMPDIR to a folder of your own")
    })?;
    let folder = Arc::new(made);
    *kept = Arc::downgrade(&folder);
    Ok(folder)
}

/// The existing folders that [`run_folder`] created.
pub fn run_folders() -> Vec<PathBuf> {
    let living = |kept: &Mutex<Weak<Folder>>| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).upgrade().map(|one| one.path().to_owned())
    };
    [&DISK, &IN_MEMORY].into_iter().filter_map(living).collect()
}

/// Deletes all temporary folders at program exit: running threads may still hold some.
pub fn remove_all() {
    for folder in run_folders() {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Creates a folder with an unused name.
fn made(prefix: &str, parent: &Path) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o700));
    let path = builder.tempdir_in(parent)?.keep();
    // A umask can also remove the owner's permissions.
    fs::set_permissions(&path, Permissions::from_mode(0o700))?;
    Ok(path)
}

fn siblings(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(std::result::Result::ok);
    let own = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    own.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn only_the_owner_can_open_it_and_it_goes_when_dropped() {
        for folder in [Folder::new().unwrap(), Folder::in_memory().unwrap()] {
            let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            let outer = folder.path().parent().unwrap();
            assert_eq!(fs::metadata(outer).unwrap().permissions().mode() & 0o777, 0o700);
            fs::write(folder.path().join("x"), "x").unwrap();
            let path = folder.path().to_owned();
            drop(folder);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_is_abandoned_is_removed_and_what_is_used_stays() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = made(PREFIX, parent.path()).unwrap();
        fs::write(abandoned.join("secret"), "x").unwrap();
        let used = Folder::within(parent.path()).unwrap();
        assert!(!abandoned.exists());
        let other = Folder::within(parent.path()).unwrap();
        assert!(used.path().exists() && other.path().exists());
        drop((used, other));
        assert_eq!(names(parent.path()), 0);
    }

    #[test]
    fn folders_that_are_made_while_others_look_for_abandoned_ones_stay() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let folder = Folder::within(parent.path()).unwrap();
                        fs::write(folder.path().join("x"), "x").unwrap();
                    }
                });
            }
        });
        assert_eq!(names(parent.path()), 0);
    }

    #[test]
    fn the_last_user_of_a_folder_removes_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = made(PREFIX, parent.path()).unwrap();
        let (first, second) = (Lease::take(&path).unwrap(), Lease::take(&path).unwrap());
        first.end();
        assert!(path.exists());
        second.end();
        assert!(!path.exists());
        assert!(Lease::take(&path).is_err());
    }

    #[test]
    fn nothing_of_others_is_removed_or_used() {
        let parent = tempfile::tempdir().unwrap();
        let precious = parent.path().join("precious");
        fs::create_dir(&precious).unwrap();
        let link = parent.path().join(format!("{PREFIX}link"));
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let open = parent.path().join(format!("{PREFIX}open"));
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        let file = parent.path().join(format!("{PREFIX}file"));
        fs::write(&file, "").unwrap();
        drop(Folder::within(parent.path()).unwrap());
        assert_eq!(names(parent.path()), 4);
        for one in [link, open, file] {
            assert!(Lease::take(&one).is_err(), "{}", one.display());
        }
    }
}
