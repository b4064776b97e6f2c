//! Builds the programs from one Go build list, so that shared packages compile once.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use include_dir::{Dir, include_dir};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::set::Set;
use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::cache_folder;

static MODULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/programs/modules");

/// Clients cannot parse the version of a server built without one.
const LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/client-go/pkg/version.gitVersion=v1.36.3 \
    -X helm.sh/helm/v4/internal/version.version=v4.3.1 \
    -X 'github.com/cilium/cilium/pkg/version.ciliumVersion=1.20.2 module 1970-01-01T00:00:00Z'";

const TELL_EVERY: usize = 500;

/// The cache of this build list.
pub(super) fn cache() -> Result<PathBuf> {
    let root = cache_folder().ok_or_else(|| {
        Failure::input("no folder to store programs in: HOME is not set").hint("set XDG_CACHE_HOME")
    })?;
    let mut files: Vec<_> =
        MODULES.find("**/*").into_iter().flatten().filter_map(|entry| entry.as_file()).collect();
    files.sort_by_key(|file| file.path());
    let mut list = LINKER_FLAGS.as_bytes().to_vec();
    for file in files {
        list.extend(file.path().to_string_lossy().as_bytes());
        list.extend(file.contents());
    }
    let name = short_sha256(list, 16);
    Ok(root.join("programs").join(name))
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::step("cannot build the sandbox's programs").caused_by(error)
}

/// Builds all programs of a set into its folder in the cache.
pub(super) async fn build(cache: &Path, set: &Set, say: &(dyn Fn(&str) + Send + Sync)) -> Result<()> {
    let go = which::which("go").map_err(|_| {
        Failure::input("Go is not installed")
            .because("the sandbox's programs are not cached and must be built from source")
            .hint("install Go 1.26 or newer, or pass prebuilt programs with --binaries")
    })?;
    // Another user with write access could have their programs run.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(cache).map_err(|error| failed(&error))?;
    // Two sandboxes may start concurrently: one builds, the other waits.
    let lock = std::fs::File::create(cache.join("build.lock")).map_err(|error| failed(&error))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    if cache.join(set.folder).is_dir() {
        return Ok(());
    }
    let modules = cache.join(set.own_module.map_or("modules".into(), |_| format!("{}.module", set.folder)));
    std::fs::create_dir_all(&modules).map_err(|error| failed(&error))?;
    match set.own_module {
        Some(own) => own.unpack(&modules).await?,
        None => MODULES.extract(&modules).map_err(|error| failed(&error))?,
    }
    let bin = cache.join(format!("{}.new", set.folder));
    std::fs::create_dir_all(&bin).map_err(|error| failed(&error))?;
    say(set.announcement);
    let mut child = tokio::process::Command::new(go)
        .args(["build", "-v", "-trimpath", "-tags", "ipam_provider_operator", "-ldflags", LINKER_FLAGS, "-o"])
        .arg(&bin)
        .args(set.programs.iter().map(|(_, package, _)| package))
        .current_dir(&modules)
        .envs([("GOFLAGS", "-mod=mod"), ("GOGC", "off"), ("CGO_ENABLED", "0"), ("GOWORK", "off")])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut last = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        let mut compiled = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            compiled += usize::from(!line.starts_with("go: "));
            if compiled % TELL_EVERY == 0 && !line.starts_with("go: ") {
                say(&format!("  compiled {compiled} of about {} packages", set.about_packages));
            }
            last.push(line);
            if last.len() > 8 {
                last.remove(0);
            }
        }
    }
    if !child.wait().await.map_err(|error| failed(&error))?.success() {
        let failure = Failure::step("cannot build the sandbox's programs");
        return Err(last
            .into_iter()
            .fold(failure, Failure::because)
            .hint("the build needs the Go module proxy and about 8 GB of disk space"));
    }
    for (name, _, built) in set.programs {
        std::fs::rename(bin.join(built), bin.join(name)).map_err(|error| failed(&error))?;
    }
    std::fs::rename(&bin, cache.join(set.folder)).map_err(|error| failed(&error))?;
    drop(lock);
    Ok(())
}
