//! The approval of a `command:` in a task file: its arguments, and the content of the repository's files that
//! it runs.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::request::{Request, RequestKind};
use super::resolve;
use crate::pipeline::StepSpec;
use bootstrapper_core::failure::{Failure, FailureKind, Result};

/// The size limit of the files of one command.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The request of a step that runs `argv`, with this cluster's settings substituted.
pub fn command_request(
    root: &Path,
    cluster: &str,
    stage: &str,
    spec: &StepSpec,
    argv: &[String],
) -> Result<Request> {
    let (what, content) = asked(root, argv).map_err(|failure| spec.placed(failure))?;
    let step = format!("step {stage}/{} of {cluster}", spec.name());
    let request = Request::new(RequestKind::Command, what, step);
    Ok(Request { content, location: Some(spec.place().clone()), ..request })
}

/// What is approved for a program: its arguments, and the digest of the repository's files in them.
pub(super) fn asked(root: &Path, argv: &[String]) -> Result<(String, Option<String>)> {
    let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    let program = argv.first().filter(|name| name.contains('/'));
    let real = program.map(|name| resolve(root, Path::new(name))).filter(|real| !real.starts_with(root));
    let what = match real {
        Some(real) => format!("{} ({})", words.join(" "), real.display()),
        None => words.join(" "),
    };
    Ok((what, content(root, argv)?))
}

/// Fails if what a command runs has changed since it was approved.
pub fn same_command(root: &Path, argv: &[String], approved: Option<&str>) -> Result<()> {
    if content(root, argv)?.as_deref() == approved {
        return Ok(());
    }
    let what = format!("what `{}` runs has changed since it was approved", argv.join(" "));
    Err(Failure::new(FailureKind::NotApproved, what).hint(super::approvals::HOW_TO_APPROVE))
}

/// The digest of all files of the repository in the arguments; none if there are none.
fn content(root: &Path, argv: &[String]) -> Result<Option<String>> {
    let mut files = BTreeSet::new();
    // PATH may include the repository.
    let on_path = argv.first().filter(|name| !name.contains('/')).and_then(|name| which::which(name).ok());
    if let Some(found) = on_path.filter(|found| found.canonicalize().is_ok_and(|real| real.starts_with(root)))
    {
        add(root, &found, &mut files)?;
    }
    for word in argv {
        // Arguments of a shell and options reference files, too: `sh -c './a.sh && ./b.sh'`, `--file=c.yaml`.
        for part in [word.as_str()].into_iter().chain(word.split(|one: char| !is_of_a_path(one))) {
            if !part.is_empty() {
                add(root, Path::new(part), &mut files)?;
            }
        }
    }
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Sha256::new();
    let mut left = LARGEST;
    for file in files {
        let (bytes, kind) = read(&file, &mut left)?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        for part in [name.as_bytes(), kind, &bytes] {
            all.update((part.len() as u64).to_le_bytes());
            all.update(part);
        }
    }
    Ok(Some(bootstrapper_core::digest::hex(&all.finalize())))
}

fn is_of_a_path(one: char) -> bool {
    one.is_alphanumeric() || matches!(one, '.' | '_' | '-' | '/' | '@' | '+' | '~' | '%')
}

/// A script may load files next to it: the approval includes its whole folder, unless that is the root of the
/// repository. Files outside belong to the machine, and the repository cannot change them.
fn add(root: &Path, named: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let named = root.join(named);
    let Ok(real) = named.canonicalize() else { return Ok(()) };
    if !real.starts_with(root) {
        // A symbolic link that leaves the repository may have another target tomorrow.
        if named.starts_with(root) && !named.components().any(|part| part == Component::ParentDir) {
            files.insert(named);
        }
        return Ok(());
    }
    let folder = if real.is_dir() { real.as_path() } else { real.parent().unwrap_or(root) };
    if folder == root && !real.is_dir() {
        files.insert(real);
        return Ok(());
    }
    tree(folder, files)
}

fn tree(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let of_git = |entry: &walkdir::DirEntry| entry.file_name() == ".git";
    for entry in WalkDir::new(folder).into_iter().filter_entry(|entry| !of_git(entry)) {
        let entry =
            entry.map_err(|error| Failure::input("cannot read the files of a command").caused_by(&error))?;
        if !entry.file_type().is_dir() {
            files.insert(entry.into_path());
        }
    }
    Ok(())
}

/// The content of a file; of a symbolic link, also its target.
fn read(file: &Path, left: &mut u64) -> Result<(Vec<u8>, &'static [u8])> {
    let failed =
        |error: std::io::Error| Failure::input(format!("cannot read {}", file.display())).caused_by(&error);
    let about = std::fs::symlink_metadata(file).map_err(failed)?;
    if about.is_symlink() {
        let leads = std::fs::read_link(file).map_err(failed)?.to_string_lossy().into_owned();
        let end = file.canonicalize().unwrap_or_default();
        let mut bytes = leads.into_bytes();
        if end.is_file() {
            bytes.push(0);
            bytes.extend(within(&end, left)?);
        }
        return Ok((bytes, b"link"));
    }
    // A pipe or a device has no content to approve.
    if !about.is_file() {
        return Ok((Vec::new(), b"special"));
    }
    Ok((within(file, left)?, b"file"))
}

fn within(file: &Path, left: &mut u64) -> Result<Vec<u8>> {
    let failed =
        |error: std::io::Error| Failure::input(format!("cannot read {}", file.display())).caused_by(&error);
    let size = std::fs::metadata(file).map_err(failed)?.len();
    *left = left.checked_sub(size).ok_or_else(|| {
        Failure::input("the files of a command are too large to approve")
            .because(format!("the files up to {} exceed 64 MiB", file.display()))
            .hint("move the script to a folder with only the files that it needs")
    })?;
    std::fs::read(file).map_err(failed)
}

/// An argument, quoted for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |one: char| is_of_a_path(one) || matches!(one, '=' | ':' | ',');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn of(folder: &tempfile::TempDir, argv: &[&str]) -> Option<String> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        content(&folder.path().canonicalize().unwrap(), &argv).unwrap()
    }

    #[test]
    fn a_script_is_agreed_to_by_its_bytes_and_those_of_its_neighbours() {
        for argv in [
            &["scripts/a.sh"][..],
            &["./scripts/a.sh", "x"],
            &["bash", "scripts/a.sh"],
            &["sh", "-c", "true;./scripts/a.sh>out"],
            &["tool", "--file=scripts/a.sh"],
            &["tool", "scripts"],
            &["tool", "."],
        ] {
            let folder = repository(&[("scripts/a.sh", "1"), ("scripts/lib/b.sh", "1"), ("c", "1")]);
            let before = of(&folder, argv);
            assert!(before.is_some(), "{argv:?}");
            assert_eq!(before, of(&folder, argv));
            for file in ["scripts/a.sh", "scripts/lib/b.sh"] {
                let path = folder.path().join(file);
                std::fs::write(&path, "2").unwrap();
                assert_ne!(before, of(&folder, argv), "{argv:?} {file}");
                std::fs::write(&path, "1").unwrap();
            }
            std::fs::write(folder.path().join("scripts/new"), "").unwrap();
            assert_ne!(before, of(&folder, argv), "{argv:?}");
        }
    }

    #[test]
    fn what_is_not_the_repositorys_has_no_content() {
        let folder = repository(&[("scripts/a.sh", "1")]);
        assert_eq!(of(&folder, &["true"]), None);
        assert_eq!(of(&folder, &["/bin/sh", "-c", "exit"]), None);
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("shell")).unwrap();
        let before = of(&folder, &["./shell"]);
        std::fs::remove_file(folder.path().join("shell")).unwrap();
        std::os::unix::fs::symlink("/bin/cat", folder.path().join("shell")).unwrap();
        assert!(before.is_some() && before != of(&folder, &["./shell"]));
    }

    #[test]
    fn arguments_are_shown_in_shell_syntax() {
        assert_eq!(quoted("a/b.sh"), "a/b.sh");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
