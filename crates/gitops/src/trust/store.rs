//! The store of approvals: a file for each repository, in the user's state folder, which no other user can read
//! or write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::request::Request;
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::private;
use bootstrapper_tools::state_folder;

/// The approvals for one repository.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    repository: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    repository: PathBuf,
    /// The digest of each request, and its text as shown to the user.
    #[serde(rename = "approved")]
    approved: BTreeMap<String, String>,
}

impl Store {
    /// The store for a repository, by its real path.
    pub fn of(repository: &Path) -> Result<Self> {
        let state = state_folder().ok_or_else(|| {
            Failure::input("cannot store approvals without HOME").hint("set BOOTSTRAPPER_STATE_DIR")
        })?;
        let repository = repository.canonicalize().unwrap_or_else(|_| repository.to_owned());
        Ok(Self { folder: state.join("trust"), repository })
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.json", sha256(self.repository.as_os_str().as_encoded_bytes())))
    }

    /// The digests of the approvals. A file that another user could have written is rejected.
    pub fn approved(&self) -> Result<BTreeSet<String>> {
        Ok(self.read()?.approved.into_keys().collect())
    }

    fn read(&self) -> Result<Kept> {
        let file = self.file();
        let nothing = Kept { repository: self.repository.clone(), approved: BTreeMap::new() };
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot read {}", file.display())).caused_by(error)
        };
        let mut open = match files::open(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nothing),
            opened => opened.map_err(|error| failed(&error))?,
        };
        let about = open.metadata().map_err(|error| failed(&error))?;
        let folder = std::fs::metadata(&self.folder).map_err(|error| failed(&error))?;
        let own = rustix::process::geteuid().as_raw();
        let is_own = |about: &std::fs::Metadata| about.uid() == own && about.mode() & 0o022 == 0;
        if !about.is_file() || !is_own(&about) || !is_own(&folder) {
            return Err(Failure::step(format!("{} may have been written by another user", file.display()))
                .because("it and its folder must be yours, and not writable by others")
                .hint("delete it, and approve again with `bootstrapper trust`"));
        }
        let mut text = String::new();
        open.read_to_string(&mut text).map_err(|error| failed(&error))?;
        let kept: Kept = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        Ok(if kept.repository == self.repository { kept } else { nothing })
    }

    /// Adds approvals.
    pub fn add<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) -> Result<()> {
        let mut kept = self.read()?;
        kept.approved.extend(requests.into_iter().map(|request| (request.digest(), request.to_string())));
        self.write(&kept)
    }

    /// Revokes all approvals; returns whether there were any.
    pub fn revoke(&self) -> Result<bool> {
        match std::fs::remove_file(self.file()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                Err(Failure::step(format!("cannot delete {}", self.file().display())).caused_by(&error))
            }
        }
    }

    fn write(&self, kept: &Kept) -> Result<()> {
        let file = self.file();
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot write {}", file.display())).caused_by(error)
        };
        let text = serde_json::to_string_pretty(kept).map_err(|error| failed(&error))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(|error| failed(&error))?;
        private::replace(&file, text.as_bytes()).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::request::RequestKind;
    use super::*;

    fn store(state: &Path, repository: &str) -> Store {
        Store { folder: state.join("trust"), repository: repository.into() }
    }

    #[test]
    fn what_was_agreed_for_one_repository_does_not_hold_for_another() {
        let state = tempfile::tempdir().unwrap();
        let request = Request::new(RequestKind::Variable, "A", "x");
        store(state.path(), "/one").add([&request]).unwrap();
        assert!(store(state.path(), "/one").approved().unwrap().contains(&request.digest()));
        assert!(store(state.path(), "/two").approved().unwrap().is_empty());
        assert!(store(state.path(), "/one").revoke().unwrap());
        assert!(!store(state.path(), "/one").revoke().unwrap());
        assert!(store(state.path(), "/one").approved().unwrap().is_empty());
    }

    #[test]
    fn the_store_is_private_and_a_file_writable_by_others_is_rejected() {
        let state = tempfile::tempdir().unwrap();
        let one = store(state.path(), "/one");
        one.add([&Request::new(RequestKind::Variable, "A", "x")]).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&one.folder), mode(&one.file())), (0o700, 0o600));
        for (path, open) in [(one.file(), 0o622), (one.folder.clone(), 0o770)] {
            let before = std::fs::metadata(&path).unwrap().permissions();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
            assert!(one.approved().is_err(), "{}", path.display());
            std::fs::set_permissions(&path, before).unwrap();
        }
        assert_eq!(one.approved().unwrap().len(), 1);
    }
}
