//! Git without any configuration: not the user's, the system's, the repository's or the server's. No hook,
//! filter, alias, helper or monitor runs, and TLS is the only protocol.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Environment;
use super::address::Base;
use super::limits::Work;
use super::program::{Call, Program};
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::files;
use bootstrapper_core::private::Folder;

/// Global options. The command line overrides every configuration file.
const SETTINGS: [&str; 15] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.pager=cat",
    "core.askPass=",
    "core.sshCommand=false",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
];

/// The timeout for reading the state of a working tree.
pub(super) const GLANCE: Duration = Duration::from_secs(20);

/// The maximum number of files in a remote base, and their maximum total size.
const FILES: usize = 100_000;
const BYTES: u64 = 1024 * 1024 * 1024;

/// Git without any configuration.
pub(super) struct Git {
    program: Program,
    environment: Environment,
}

impl Git {
    /// Finds it on PATH, if it is installed.
    pub(super) fn find(environment: &Environment) -> Option<Self> {
        Some(Self { program: Program::find("git", environment)?, environment: environment.clone() })
    }

    /// Runs it; `home` is an empty folder, and `more` are variables.
    pub(super) async fn run(
        &self,
        home: &Path,
        arguments: &[&str],
        more: &[(&str, &Path)],
    ) -> Result<Vec<u8>> {
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        let call = Call::new(settings.chain(arguments.iter().copied()))
            .within(home)
            .sealed(self.variables(home, more))
            .doing(if arguments.first() == Some(&"fetch") { Work::Fetch } else { Work::Ask })
            .named(format!("git {}", arguments.first().unwrap_or(&"")));
        self.program.run(call).await
    }

    /// Its environment: only network settings, nothing of the user's.
    fn variables(&self, home: &Path, more: &[(&str, &Path)]) -> Vec<(OsString, OsString)> {
        let mut variables = self.environment.network();
        variables.extend(std::env::var_os("PATH").map(|path| ("PATH".into(), path)));
        for name in ["HOME", "XDG_CONFIG_HOME"] {
            variables.push((name.into(), home.into()));
        }
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_ALLOW_PROTOCOL", "https"),
            ("GIT_PROTOCOL_FROM_USER", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "false"),
            ("SSH_ASKPASS", "false"),
            ("GIT_SSH_COMMAND", "false"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("LC_ALL", "C"),
        ] {
            variables.push((name.into(), value.into()));
        }
        variables.extend(more.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        variables
    }

    /// Fetches one revision of a repository, and checks it out in `folder`; returns its path.
    pub(super) async fn clone_into(&self, base: &Base, folder: &Path) -> Result<PathBuf> {
        let failed = |failure: Failure| unfetched(failure, base);
        let tree = folder.join("tree");
        let bare = folder.join("git");
        let home = folder.join("home");
        for one in [&tree, &home] {
            fs::create_dir(one)
                .map_err(|error| Failure::step("cannot use the folder of a remote base").caused_by(&error))?;
        }
        let places: [(&str, &Path); 2] = [("GIT_DIR", &bare), ("GIT_WORK_TREE", &tree)];
        let of = async |arguments: &[&str]| self.run(&home, arguments, &places).await;
        of(&["init", "--quiet", "--template="]).await.map_err(failed)?;
        let reference = self.environment.served_commit(base.reference.as_deref().unwrap_or("HEAD"));
        of(&[
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-recurse-submodules",
            "--end-of-options",
            &base.url,
            reference,
        ])
        .await
        .map_err(failed)?;
        let listed = of(&["ls-tree", "-r", "-l", "-z", "FETCH_HEAD"]).await.map_err(failed)?;
        within_bounds(&listed).map_err(|why| failed(Failure::step("checkout failed").because(why)))?;
        of(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]).await.map_err(failed)?;
        Ok(tree)
    }
}

/// Counts the files of a tree before checking it out: a few objects can reference millions of files.
fn within_bounds(listed: &[u8]) -> Result<(), String> {
    let (mut files, mut bytes) = (0, 0_u64);
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        files += 1;
        let head = String::from_utf8_lossy(entry.split(|byte| *byte == b'\t').next().unwrap_or_default());
        bytes += head.split_whitespace().nth(3).and_then(|size| size.parse().ok()).unwrap_or(0);
        if files > FILES {
            return Err(format!("it has more than {FILES} files"));
        }
        if bytes > BYTES {
            return Err(format!("it is larger than {} MiB", BYTES / 1024 / 1024));
        }
    }
    Ok(())
}

/// Git's errors when a server does not respond.
const NO_ANSWER: [&str; 9] = [
    "Could not resolve",
    "Failed to connect",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Operation too slow",
    "Operation timed out",
    "early EOF",
    "The requested URL returned error: 5",
];

fn unfetched(failure: Failure, base: &Base) -> Failure {
    let may_pass = failure.because.iter().any(|said| NO_ANSWER.iter().any(|text| said.contains(text)));
    let failure = Failure { what: format!("cannot fetch {}", base.url), ..failure };
    if may_pass { failure.retry(Retry::MayHelp) } else { failure }
}

/// Branch and commit of a working tree, `main@3f2c1ab`, with `+changes` if there are uncommitted changes.
/// None if it is not a git repository, belongs to another user, or git is not installed.
pub async fn git_revision(folder: &Path) -> Option<String> {
    let tree = WorkingTree::of(folder)?;
    let (branch, commit) = tree.head()?;
    let changes = tokio::time::timeout(GLANCE, tree.changes(folder, &commit)).await.ok()??;
    let mark = if changes { "+changes" } else { "" };
    Some(format!("{branch}@{}{mark}", commit.get(..7)?))
}

/// A working tree that is only read: git gets its objects and index, without its configuration, hooks and
/// attributes.
pub(super) struct WorkingTree {
    top: PathBuf,
    /// The git folder of this working tree: `HEAD`, `index`.
    own: PathBuf,
    /// The git folder shared by all working trees: objects and branches.
    pub(super) common: PathBuf,
}

impl WorkingTree {
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let top = folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())?;
        let marker = top.join(".git");
        let metadata = marker.symlink_metadata().ok()?;
        // As in git itself: files of other users are not trusted.
        (metadata.uid() == rustix::process::geteuid().as_raw()).then_some(())?;
        let own = if metadata.is_dir() {
            marker.clone()
        } else {
            let text = String::from_utf8(files::read_regular(&marker).ok()?).ok()?;
            let own = top.join(text.strip_prefix("gitdir:")?.trim()).canonicalize().ok()?;
            // The repository must list its working trees: a `.git` file alone is not enough.
            let back = String::from_utf8(files::read_regular(&own.join("gitdir")).ok()?).ok()?;
            (own.join(back.trim()).canonicalize().ok()? == marker.canonicalize().ok()?).then_some(())?;
            own
        };
        let common = match files::read_regular(&own.join("commondir")) {
            Ok(text) => own.join(String::from_utf8(text).ok()?.trim()).canonicalize().ok()?,
            Err(_) => own.clone(),
        };
        Some(Self { top: top.to_owned(), own, common })
    }

    /// The branch (or `HEAD` if detached), and the commit.
    pub(super) fn head(&self) -> Option<(String, String)> {
        let text =
            |path: PathBuf| Some(String::from_utf8(files::read_regular(&path).ok()?).ok()?.trim().to_owned());
        let head = text(self.own.join("HEAD"))?;
        let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
            return is_commit(&head).then(|| ("HEAD".to_owned(), head.clone()));
        };
        let is_plain = name.starts_with("refs/") && !name.contains("..") && !name.contains(char::is_control);
        is_plain.then_some(())?;
        let packed = || {
            let all = text(self.common.join("packed-refs"))?;
            let line = all.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' '))?;
            Some(line.to_owned())
        };
        let commit = text(self.common.join(name)).filter(|commit| is_commit(commit)).or_else(packed)?;
        let branch = name.strip_prefix("refs/heads/").unwrap_or(name);
        is_commit(&commit).then(|| (branch.to_owned(), commit.clone()))
    }

    /// A repository in `folder` with only this one's objects; `folder/home` is an empty folder. Returns the
    /// repository, and the path of the objects.
    pub(super) fn shown_to_git(&self, folder: &Path, commit: &str) -> Option<(PathBuf, PathBuf)> {
        let repository = folder.join("git");
        for one in ["git/objects", "git/refs", "home"] {
            fs::create_dir_all(folder.join(one)).ok()?;
        }
        fs::write(repository.join("HEAD"), format!("{commit}\n")).ok()?;
        let format = if commit.len() == 64 {
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
        } else {
            "[core]\n\trepositoryformatversion = 0\n"
        };
        fs::write(repository.join("config"), format).ok()?;
        Some((repository, self.common.join("objects")))
    }

    /// Whether there are uncommitted changes below `folder/kubernetes`.
    async fn changes(&self, folder: &Path, commit: &str) -> Option<bool> {
        let git = Git::find(&Environment::default())?;
        let kept = Folder::new().ok()?;
        let (repository, objects) = self.shown_to_git(kept.path(), commit)?;
        let index = repository.join("index");
        if let Ok(content) = files::read_regular(&self.own.join("index")) {
            fs::write(&index, content).ok()?;
        }
        let places: [(&str, &Path); 4] = [
            ("GIT_DIR", &repository),
            ("GIT_WORK_TREE", &self.top),
            ("GIT_INDEX_FILE", &index),
            ("GIT_OBJECT_DIRECTORY", &objects),
        ];
        let looked_at = folder.join("kubernetes");
        let looked_at = looked_at.strip_prefix(&self.top).ok()?.to_str()?;
        let arguments = [
            "status",
            "--porcelain",
            "--ignore-submodules=all",
            "--no-renames",
            "--",
            &format!(":(top,literal){looked_at}"),
        ];
        let printed = git.run(&kept.path().join("home"), &arguments, &places).await.ok()?;
        Some(!printed.is_empty())
    }
}

pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text, 40) || is_hex(text, 64)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use super::*;

    /// Git's output for a repository, without any configuration.
    pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
        let done = Command::new("git")
            .current_dir(folder)
            .args(["-c", "user.name=t", "-c", "user.email=t@x.test", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn repository() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("r");
        fs::create_dir_all(root.join("kubernetes")).unwrap();
        fs::write(root.join("kubernetes/a.yaml"), "a: 1\n").unwrap();
        git(&root, &["init", "--quiet"]);
        git(&root, &["add", "."]);
        git(&root, &["commit", "--quiet", "-m", "x"]);
        (folder, root)
    }

    #[tokio::test]
    async fn a_working_tree_tells_branch_commit_and_changes() {
        let (folder, root) = repository();
        let clean = git_revision(&root).await.unwrap();
        assert!(clean.starts_with("main@") && clean.len() == "main@1234567".len(), "{clean}");
        fs::write(root.join("README"), "elsewhere").unwrap();
        assert_eq!(git_revision(&root).await.unwrap(), clean);
        fs::write(root.join("kubernetes/b.yaml"), "b: 1\n").unwrap();
        assert_eq!(git_revision(&root).await.unwrap(), format!("{clean}+changes"));
        git(&root, &["pack-refs", "--all"]);
        assert_eq!(git_revision(&root.join("kubernetes")).await.unwrap(), clean);
        let second = folder.path().join("second");
        git(&root, &["worktree", "add", "--quiet", "-b", "side", &second.display().to_string()]);
        let of_second = git_revision(&second.canonicalize().unwrap()).await.unwrap();
        assert_eq!(of_second, clean.replace("main", "side"));
        git(&second, &["checkout", "--quiet", "--detach"]);
        assert!(git_revision(&second.canonicalize().unwrap()).await.unwrap().starts_with("HEAD@"));
        assert_eq!(git_revision(folder.path()).await, None);
    }

    #[tokio::test]
    async fn what_a_repository_configures_does_not_run() {
        let (folder, root) = repository();
        let canary = folder.path().join("ran");
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\ntouch {}\ncat\n", canary.display())).unwrap();
        std::process::Command::new("chmod").arg("+x").arg(&program).status().unwrap();
        let program = program.display().to_string();
        fs::create_dir_all(root.join(".git/hooks")).unwrap();
        for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction"] {
            std::os::unix::fs::symlink(&program, root.join(".git/hooks").join(hook)).unwrap();
        }
        let included = folder.path().join("included");
        fs::write(&included, format!("[core]\n\tfsmonitor = {program}\n")).unwrap();
        let config = format!(
            "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = {program}\n\thooksPath = {}\n\tsshCommand = {program}\n\tpager = {program}\n[filter \"f\"]\n\tclean = {program}\n\tsmudge = {program}\n\tprocess = {program}\n\trequired = true\n[diff]\n\texternal = {program}\n[include]\n\tpath = {}\n[alias]\n\tstatus = !{program}\n[remote \"origin\"]\n\turl = file:///nowhere\n\tpromisor = true\n\tuploadpack = {program}\n[extensions]\n\tpartialClone = origin\n",
            root.join(".git/hooks").display(),
            included.display()
        );
        fs::write(root.join(".git/config"), config).unwrap();
        fs::write(root.join(".git/info/attributes"), "* filter=f diff=f\n").unwrap();
        fs::write(root.join(".gitattributes"), "* filter=f diff=f\n").unwrap();
        fs::write(root.join("kubernetes/a.yaml"), "a: 2\n").unwrap();
        assert!(git_revision(&root).await.unwrap().ends_with("+changes"));
        assert!(!canary.exists());
    }

    #[tokio::test]
    async fn a_file_alone_makes_no_working_tree_of_anothers_repository() {
        let (folder, root) = repository();
        let stranger = folder.path().join("stranger");
        fs::create_dir(&stranger).unwrap();
        fs::write(stranger.join(".git"), format!("gitdir: {}\n", root.join(".git").display())).unwrap();
        assert_eq!(git_revision(&stranger).await, None);
    }

    #[test]
    fn a_tree_of_too_many_files_is_counted_first() {
        let entry = |size: u64| format!("100644 blob {} {size}\tx\0", "0".repeat(40));
        assert_eq!(within_bounds(entry(7).repeat(3).as_bytes()), Ok(()));
        assert!(within_bounds(entry(7).repeat(FILES + 1).as_bytes()).is_err());
        assert!(within_bounds(entry(BYTES).repeat(2).as_bytes()).is_err());
    }
}
