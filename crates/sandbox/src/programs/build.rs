//! Builds the programs from one Go build list, so that shared packages compile once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use include_dir::{Dir, include_dir};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::records::Record;
use super::set::Set;
use bootstrapper_core::digest::short_sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::secure;
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

/// How many failed downloads an error lists.
const SHOWN: usize = 3;

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

/// The version of a module in the build list, or of a module with its own.
pub(super) fn version_of(module: &str) -> Result<String> {
    let own = super::assets::FLUX_OPERATOR.split_once('@').filter(|(path, _)| *path == module);
    if let Some((_, version)) = own {
        return Ok(version.to_owned());
    }
    let required = |line: &str| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next().map(str::to_owned)).flatten()
    };
    let list = text_of("go.mod");
    let before_replacements = list.split("\nreplace").next().unwrap_or_default();
    before_replacements
        .lines()
        .find_map(required)
        .ok_or_else(|| Failure::internal(format!("the build list has no module {module}")))
}

/// The hash of `path@version`, if the build list has it.
pub(super) fn sum_of(module: &str) -> Option<String> {
    let (path, version) = module.split_once('@')?;
    let start = format!("{path} {version} ");
    text_of("go.sum").lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

fn text_of(file: &str) -> &'static str {
    MODULES.get_file(file).and_then(include_dir::File::contents_utf8).unwrap_or_default()
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::step("cannot build the sandbox's programs").caused_by(error)
}

/// Builds programs of a set into its folder in the cache. `tried` says why they were not downloaded; the cache is
/// locked.
pub(super) async fn build(
    cache: &Path,
    set: &Set,
    missing: &[&str],
    tried: &[Failure],
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<()> {
    let go = which::which("go").map_err(|_| without_go(missing, tried))?;
    let modules = cache.join(set.own_module.map_or("modules".into(), |_| format!("{}.module", set.folder)));
    std::fs::create_dir_all(&modules).map_err(|error| failed(&error))?;
    match set.own_module {
        Some(own) => own.unpack(&modules).await?,
        None => MODULES.extract(&modules).map_err(|error| failed(&error))?,
    }
    let bin = cache.join(format!("{}.new", set.folder));
    std::fs::create_dir_all(&bin).map_err(|error| failed(&error))?;
    let programs: Vec<_> = set.programs.iter().filter(|(name, ..)| missing.contains(name)).collect();
    say(set.announcement);
    let mut child = tokio::process::Command::new(go)
        .args(["build", "-v", "-trimpath", "-tags", "ipam_provider_operator", "-ldflags", LINKER_FLAGS, "-o"])
        .arg(&bin)
        .args(programs.iter().map(|(_, package, _)| package))
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
    let folder = cache.join(set.folder);
    secure(&folder).map_err(|error| failed(&error))?;
    for (name, _, built) in programs {
        Record::remove_beside(&folder.join(name));
        std::fs::rename(bin.join(built), folder.join(name)).map_err(|error| failed(&error))?;
    }
    let _ = std::fs::remove_dir_all(&bin);
    Ok(())
}

/// What to do without Go.
pub(super) fn without_go(missing: &[&str], tried: &[Failure]) -> Failure {
    let needs = "install Go 1.26 or newer, or pass prebuilt programs with --binaries";
    let what = match missing {
        [] => "the sandbox's charts and CRDs".to_owned(),
        names => names.join(", "),
    };
    if tried.is_empty() {
        return Failure::input("Go is not installed")
            .because(format!("{what} must be built or fetched with it: nothing was to be downloaded"))
            .hint(needs);
    }
    let failure =
        Failure::input("cannot download the sandbox's programs, and Go is not installed to build them")
            .because(format!("missing: {what}"));
    let shown = tried.iter().take(SHOWN).map(|tried| format!("{}: {}", tried.what, tried.because.join(": ")));
    shown
        .fold(failure, Failure::because)
        .hint("allow HTTPS to dl.k8s.io, get.helm.sh, github.com, ghcr.io, quay.io and proxy.golang.org (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and GOPROXY are used)")
        .hint(format!("or {needs}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_build_list_everywhere() {
        for (module, version) in [
            ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion="),
            ("k8s.io/kubernetes", "k8s.io/client-go/pkg/version.gitVersion="),
            ("helm.sh/helm/v4", "helm.sh/helm/v4/internal/version.version="),
        ] {
            let flag = format!("{version}{} ", version_of(module).unwrap());
            assert!(LINKER_FLAGS.contains(&flag), "{flag}");
        }
        let cilium = version_of("github.com/cilium/cilium").unwrap();
        assert!(LINKER_FLAGS.contains(&format!("ciliumVersion={} ", cilium.trim_start_matches('v'))));
        assert!(version_of("github.com/cilium").is_err() && version_of("k8s.io/api").is_err());
    }

    #[test]
    fn without_go_the_error_says_what_was_tried() {
        let failure = without_go(&["helm"], &[]);
        assert_eq!(failure.what, "Go is not installed");
        let tried = Failure::step("cannot fetch https://get.helm.sh/x").because("connection refused");
        let failure = without_go(&["helm"], &[tried]);
        assert_eq!(
            failure.because,
            ["missing: helm", "cannot fetch https://get.helm.sh/x: connection refused"]
        );
    }
}
