//! Whoever keeps secrets: an age key, and the real sops.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::oracle;

/// The folder of sops, and a new key.
pub(crate) struct Keeper {
    pub(crate) programs: PathBuf,
    folder: tempfile::TempDir,
}

impl Keeper {
    pub(crate) fn new() -> Self {
        let keeper = Self { programs: oracle::programs("sops"), folder: tempfile::tempdir().unwrap() };
        let made =
            Command::new(keeper.programs.join("age-keygen")).arg("-o").arg(keeper.key()).output().unwrap();
        assert!(made.status.success());
        keeper
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("keys.txt")
    }

    pub(crate) fn recipient(&self) -> String {
        let out = Command::new(self.programs.join("age-keygen")).arg("-y").arg(self.key()).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Encrypts a file where it is.
    pub(crate) fn encrypt(&self, file: &Path) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("env") => "dotenv",
            Some("yaml") => "yaml",
            Some("json") => "json",
            _ => "binary",
        };
        let mut sops = Command::new(self.programs.join("sops"));
        sops.current_dir(self.folder.path()).args(["encrypt", "--in-place", "--age", &self.recipient()]);
        if name != "values.yaml" && kind == "yaml" {
            sops.args(["--encrypted-regex", "^(data|stringData)$"]);
        }
        let done = sops.args(["--input-type", kind, "--output-type", kind]).arg(file).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
