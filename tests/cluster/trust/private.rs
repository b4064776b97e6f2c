//! Folders and files that only their owner can open.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the watcher tells what it sees")]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Stands in every secret.
const MARK: &str = "hunter2";

/// Turns a hang into a failure.
const TIMEOUT: Duration = Duration::from_mins(2);

/// What the run makes for itself is called so.
const PREFIX: &str = ".bootstrapper-";

/// A user that has no right to anything of ours.
const NOBODY: u32 = 65_534;

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn program(path: &Path, text: &str) {
    write(path, &format!("#!/bin/sh\n{text}"));
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A repository that decrypts, programs that stand in for kustomize and sops, and folders that
/// everybody may look into: TMPDIR, the cache, the state.
struct Scene {
    root: TempDir,
}

impl Scene {
    /// `kustomize` is done by a script of its own before the objects are written.
    fn new(kustomize: &str) -> Self {
        let scene = Self { root: tempfile::tempdir().unwrap() };
        let sync = crate::common::sync("./kubernetes/clusters/test") + "  decryption: {provider: sops}\n";
        let cluster = scene.path("repository/kubernetes/clusters/test");
        write(&cluster.join("flux-system/gotk-sync.yaml"), &sync);
        write(
            &cluster.join("kustomization.yaml"),
            "resources: [flux-system/gotk-sync.yaml]\nsecretGenerator: [{name: s, envs: [s.env]}]\n",
        );
        write(&cluster.join("s.env"), "A=ENC[x]\nsops_mac=ENC[x]\n");
        let objects = "for folder; do :; done\ncat \"$folder\"/flux-system/gotk-sync.yaml\n";
        program(&scene.path("bin/kustomize"), &format!("{kustomize}\n{objects}"));
        program(&scene.path("bin/sops"), &format!("cat > /dev/null\necho A={MARK}\n"));
        fs::set_permissions(scene.root.path(), Permissions::from_mode(0o755)).unwrap();
        for (folder, mode) in [("tmp", 0o1777), ("cache", 0o755), ("state", 0o755), ("home", 0o755)] {
            fs::create_dir(scene.path(folder)).unwrap();
            fs::set_permissions(scene.path(folder), Permissions::from_mode(mode)).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// With a umask that takes no right from anybody.
    fn verb(&self, words: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask 000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bootstrapper")])
            .args(words)
            .arg("--repo")
            .arg(self.path("repository"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("BOOTSTRAPPER_STATE_DIR", self.path("state"))
            .env("SOPS_AGE_KEY", "AGE-SECRET-KEY-1")
            .env("BOOTSTRAPPER_TRUST", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Child {
        self.verb(&["validate", "test"]).spawn().unwrap()
    }

    /// What runs left in TMPDIR and in memory; that of `pid`, or of all.
    fn left(&self, pid: Option<u32>) -> Vec<PathBuf> {
        let prefix = pid.map_or(PREFIX.to_owned(), |pid| format!("{PREFIX}{pid}-"));
        // Other tests make folders in memory, too.
        let memory = pid.map(|_| PathBuf::from("/dev/shm"));
        let places = [Some(self.path("tmp")), memory].into_iter().flatten();
        let entries = places.flat_map(|place| fs::read_dir(place).into_iter().flatten());
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix)).collect()
    }
}

/// Returns once it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TIMEOUT, "{what}: never");
        std::thread::yield_now();
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// What another user could open so far, and how often it has looked.
#[derive(Default)]
struct Seen {
    opened: BTreeSet<String>,
    passes: usize,
}

/// Another user who tries to list and open everything, all the time.
pub(crate) struct Watcher {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    /// What it is to see, so that it is known to look.
    canary: String,
}

impl Watcher {
    /// Looks into `tmp`, `cache`, `state` and `home` of a folder, and into memory; how often it has looked
    /// stands in the file `passes` of that folder. None if this user cannot become another one.
    pub(crate) fn start(root: &Path) -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            eprintln!("not checked: only root can look as another user");
            return None;
        }
        // Where that user may run it.
        let own = root.join("watcher");
        fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
        let roots = ["tmp", "cache", "state", "home"].map(|name| root.join(name).display().to_string());
        let mut child = Command::new(own)
            .args(["--ignored", "--exact", "trust::private::watch_as_another_user", "--nocapture"])
            .env("WATCHED", roots.join(":"))
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let (lines, told) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&seen));
        let (passes, beside) = (root.join("passes"), root.join("passes.new"));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut told = told.lock().unwrap();
                if let Some(path) = line.strip_prefix("opened ") {
                    told.opened.insert(path.to_owned());
                } else if line == "pass" {
                    told.passes += 1;
                    let _ = fs::write(&beside, told.passes.to_string());
                    let _ = fs::rename(&beside, &passes);
                }
            }
        });
        let canary = root.join("tmp/canary");
        let watcher = Self { child, seen, canary: canary.display().to_string() };
        fs::write(&canary, "").unwrap();
        fs::set_permissions(&canary, Permissions::from_mode(0o644)).unwrap();
        wait_until("the watcher looks", || watcher.seen.lock().unwrap().opened.contains(&watcher.canary));
        fs::remove_file(canary).unwrap();
        Some(watcher)
    }

    /// All but what it may see.
    pub(crate) fn opened(&self) -> BTreeSet<String> {
        let mut opened = self.seen.lock().unwrap().opened.clone();
        opened.remove(&self.canary);
        opened
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "run by others, as another user"]
fn watch_as_another_user() {
    let Ok(roots) = std::env::var("WATCHED") else { return };
    let memory = PathBuf::from("/dev/shm");
    loop {
        for root in roots.split(':') {
            look(Path::new(root), "");
        }
        look(&memory, PREFIX);
        println!("\npass");
    }
}

/// Opens all that lies in a folder, whose names begin so.
fn look(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let path = entry.path();
        if fs::read_dir(&path).is_ok() {
            println!("\nopened {}", path.display());
            look(&path, "");
        } else if fs::File::open(&path).is_ok() {
            println!("\nopened {}", path.display());
        }
    }
}

/// What a program does that has a secret in its temporary folder, and lets the watcher look thrice.
fn leisurely(scene: &str) -> String {
    format!(
        "secret=$(mktemp)
echo {MARK} > \"$secret\"
mkdir -m 777 \"$TMPDIR/open\"
was=$(cat {scene}/passes 2> /dev/null || echo 0)
until [ ! -e {scene}/passes ] || [ \"$(cat {scene}/passes)\" -ge $((was + 3)) ]; do :; done
echo run >> {scene}/log"
    )
}

#[test]
fn another_user_can_open_nothing_that_a_run_makes() {
    let scene = Scene::new("");
    let home = scene.root.path().display().to_string();
    let sync = "for folder; do :; done\ncat \"$folder\"/flux-system/gotk-sync.yaml\n";
    program(&scene.path("bin/kustomize"), &format!("{}\n{sync}", leisurely(&home)));
    let Some(watcher) = Watcher::start(scene.root.path()) else { return };
    for verb in [&["validate", "test"][..], &["graph", "test"], &["validate", "test", "--output", "json"]] {
        let output = scene.verb(verb).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code <= 4), "{verb:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(fs::read_to_string(scene.path("log")).unwrap().contains("run"), "kustomize did not run");
    assert_eq!(watcher.opened(), BTreeSet::new());
    assert_eq!(scene.left(None), Vec::<PathBuf>::new());
}

/// A kustomize that tells that it is at work, and never ends.
fn endless(scene: &Scene) {
    let text = format!(
        "echo {MARK} > \"$TMPDIR/secret\"\ntrap '' TERM\n: > {0}/started\nwhile :; do sleep 1000; done\n",
        scene.root.path().display()
    );
    program(&scene.path("bin/kustomize"), &text);
}

fn started(scene: &Scene) -> Child {
    let child = scene.start();
    wait_until("kustomize runs", || scene.path("started").exists());
    assert_eq!(scene.left(Some(child.id())).len(), 2, "one on disk, one in memory");
    child
}

#[test]
fn a_terminated_run_leaves_nothing_behind() {
    for name in ["-TERM", "-INT", "-HUP"] {
        let scene = Scene::new("");
        endless(&scene);
        let mut child = started(&scene);
        let pid = child.id();
        signal(name, pid);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        wait_until("all is removed", || scene.left(Some(pid)).is_empty());
    }
}

#[test]
fn what_a_killed_run_leaves_is_removed_by_its_guard() {
    let scene = Scene::new("");
    endless(&scene);
    let mut child = started(&scene);
    let pid = child.id();
    signal("-KILL", pid);
    child.wait().unwrap();
    wait_until("all is removed", || scene.left(Some(pid)).is_empty());
}

#[test]
fn what_a_run_leaves_that_is_killed_at_any_moment_is_removed_by_the_next() {
    let scene = Scene::new("");
    let mut killed = Vec::new();
    // A moment is a number of things that were seen to be there.
    for moment in 0..12 {
        let mut child = scene.start();
        let mut seen = BTreeSet::new();
        while seen.len() < moment && child.try_wait().unwrap().is_none() {
            let within = scene.left(Some(child.id())).into_iter().flat_map(walkdir::WalkDir::new);
            seen.extend(within.filter_map(Result::ok).map(walkdir::DirEntry::into_path));
        }
        let _ = child.kill();
        child.wait().unwrap();
        killed.push(child.id());
    }
    let next = scene.verb(&["validate", "test"]).output().unwrap();
    assert!(next.status.code().is_some(), "{}", String::from_utf8_lossy(&next.stderr));
    for pid in killed {
        // Guards may still be at it.
        wait_until("all is removed", || {
            scene.left(Some(pid)).is_empty() || {
                let _ = scene.verb(&["validate", "test"]).output();
                false
            }
        });
    }
}

#[test]
fn a_temporary_folder_that_others_can_replace_is_refused_by_name() {
    let scene = Scene::new("");
    fs::set_permissions(scene.path("tmp"), Permissions::from_mode(0o777)).unwrap();
    let output = scene.verb(&["validate", "test"]).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("other users can write to") && said.contains("TMPDIR"), "{said}");
}

/// Who runs it may have named a cache that others may read.
#[test]
fn a_cache_that_others_could_read_is_closed_to_them() {
    let scene = Scene::new("");
    // What needs no key is kept.
    let cluster = scene.path("repository/kubernetes/clusters/test");
    write(&cluster.join("kustomization.yaml"), "resources: [flux-system/gotk-sync.yaml]\n");
    write(&cluster.join("flux-system/gotk-sync.yaml"), &crate::common::sync("./kubernetes/clusters/test"));
    fs::create_dir(scene.path("cache/bootstrapper")).unwrap();
    fs::set_permissions(scene.path("cache/bootstrapper"), Permissions::from_mode(0o755)).unwrap();
    scene.verb(&["validate", "test"]).output().unwrap();
    let mode = fs::metadata(scene.path("cache/bootstrapper")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(scene.path("cache/bootstrapper/builds").is_dir(), "nothing was kept");
}
