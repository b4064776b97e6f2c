//! The programs of a sandbox out of official releases, from an internet on this machine. No Go is installed, except
//! where a test says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use assert_cmd::Command;
use common::charts::digest;
use common::internet::{Internet, Page};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

/// The publishers' digests of these are known, so nothing else is taken for them.
const PINNED: [&str; 2] = ["source-controller", "cilium-operator-generic"];

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The version of a module in the build list.
fn version(module: &str) -> String {
    let list = common::root().join("crates/sandbox/src/programs/modules/go.mod");
    let list = std::fs::read_to_string(list).unwrap();
    let line = list.lines().find(|line| line.trim().starts_with(&format!("{module} v"))).unwrap();
    line.trim().split(' ').nth(1).unwrap().to_owned()
}

fn helm_url() -> String {
    format!("https://get.helm.sh/helm-{}-linux-{}.tar.gz", version("helm.sh/helm/v4"), arch())
}

fn kwok_url() -> String {
    let version = version("sigs.k8s.io/kwok");
    format!("https://github.com/kubernetes-sigs/kwok/releases/download/{version}/kwok-linux-{}", arch())
}

fn kubernetes_url(name: &str) -> String {
    let version = version("k8s.io/kubernetes");
    format!("https://dl.k8s.io/release/{version}/bin/linux/{}/{name}", arch())
}

/// A program that says its name.
fn program(name: &str) -> String {
    format!("#!/bin/sh\necho 'this is {name}'\n")
}

fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn sha256(content: &[u8]) -> String {
    digest(content).trim_start_matches("sha256:").to_owned()
}

/// A machine without a cache and without programs, and an internet that has all releases.
struct Scene {
    internet: Internet,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { internet: Internet::new(), folder: tempfile::tempdir().unwrap() };
        for folder in ["home", "path", "binaries"] {
            std::fs::create_dir(scene.at(folder)).unwrap();
        }
        for name in PINNED {
            scene.give(name);
        }
        scene.publish();
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Puts a program into `--binaries`.
    fn give(&self, name: &str) {
        write_program(&self.at("binaries").join(name), &program(name));
    }

    /// Puts the charts and CRDs of this machine into the cache.
    fn give_assets(self) -> Self {
        let assets = real_assets();
        let cache = self.cache();
        std::fs::create_dir_all(&cache).unwrap();
        std::os::unix::fs::symlink(assets, cache.join(assets.file_name().unwrap())).unwrap();
        self
    }

    /// The cache of the build list.
    fn cache(&self) -> PathBuf {
        let own = real_assets().parent().unwrap().file_name().unwrap();
        self.at("cache/bootstrapper/programs").join(own)
    }

    fn publish(&self) {
        let (internet, arch) = (&self.internet, arch());
        let github = "https://github.com";
        let archive = |url: &str, checksums: &str, files: &[(&str, &str)]| {
            let archive = packed(files);
            let name = url.rsplit('/').next().unwrap();
            internet
                .put_text(checksums, &format!("{}  other\n{}  {name}\n", "0".repeat(64), sha256(&archive)));
            internet.put(url, Page::Content(archive));
        };
        let etcd = version("go.etcd.io/etcd/server/v3");
        let at = format!("{github}/etcd-io/etcd/releases/download/{etcd}");
        archive(
            &format!("{at}/etcd-{etcd}-linux-{arch}.tar.gz"),
            &format!("{at}/SHA256SUMS"),
            &[("README.md", "etcd"), (&format!("etcd-{etcd}-linux-{arch}/etcd"), &program("etcd"))],
        );
        let kustomize = version("sigs.k8s.io/kustomize/kustomize/v5");
        let at = format!("{github}/kubernetes-sigs/kustomize/releases/download/kustomize%2F{kustomize}");
        archive(
            &format!("{at}/kustomize_{kustomize}_linux_{arch}.tar.gz"),
            &format!("{at}/checksums.txt"),
            &[("kustomize", &program("kustomize"))],
        );
        let helm = packed(&[(&format!("linux-{arch}/helm"), &program("helm"))]);
        internet.put_text(&format!("{}.sha256", helm_url()), &sha256(&helm));
        internet.put(&helm_url(), Page::Content(helm));
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let url = kubernetes_url(name);
            internet.put_text(&url, &program(name));
            internet.put_text(&format!("{url}.sha256"), &sha256(program(name).as_bytes()));
        }
        internet.put(&kwok_url(), Page::Redirect("https://assets.test/kwok?sig=1".to_owned()));
        internet.put_text("https://assets.test/kwok?sig=1", &program("kwok"));
        let layer = |name: &str| packed(&[(&format!("./usr/local/bin/{name}"), &program(name))]);
        let old = packed(&[
            ("usr/local/bin/kustomize-controller", "old"),
            ("usr/local/bin/helm-controller", "old"),
        ]);
        let unrelated = packed(&[("usr/local/bin/.wh.other", ""), ("etc/motd", "hello")]);
        for name in ["kustomize-controller", "helm-controller"] {
            let tag = version(&format!("github.com/fluxcd/{name}"));
            let layers = [old.clone(), layer(name), unrelated.clone()];
            internet.put_image(&format!("ghcr.io/fluxcd/{name}"), &tag, arch, &layers);
        }
        self.publish_operator(&[packed(&[("flux-operator", &program("flux-operator"))])]);
    }

    fn publish_operator(&self, layers: &[Vec<u8>]) -> (String, Vec<String>) {
        self.internet.put_image("ghcr.io/controlplaneio-fluxcd/flux-operator", "v0.58.1", arch(), layers)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("bootstrapper").unwrap();
        command
            .args(["sandbox", "programs", "--network", "simulated"])
            .args(arguments)
            .arg("--binaries")
            .arg(self.at("binaries"))
            .env_clear()
            .env("HOME", self.at("home"))
            .env("PATH", self.at("path"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("GOPROXY", "https://modules.test/mirror,direct")
            .env("HTTPS_PROXY", &self.internet.proxy)
            .env("SSL_CERT_FILE", self.internet.authority());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The folder that a successful run prints.
    fn folder_of(&self, arguments: &[&str]) -> PathBuf {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// What a failed run says.
    fn failure(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        stderr(&output)
    }

    fn listed(&self) -> Value {
        let output = self.run(&["--output", "json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write_program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// This machine's charts and CRDs.
fn real_assets() -> &'static Path {
    static ASSETS: OnceLock<PathBuf> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let output = Command::cargo_bin("bootstrapper")
            .unwrap()
            .args(["sandbox", "programs", "--network", "simulated", "--output", "json"])
            .output()
            .unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        PathBuf::from(found["assets"].as_str().unwrap())
    })
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    all.filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let within = entry.path().strip_prefix(folder).unwrap().to_owned();
            (within, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn programs_come_out_of_their_releases_and_stay() {
    let scene = Scene::new().give_assets();
    scene.internet.break_connection(&kubernetes_url("kube-apiserver"), 1);
    let output = scene.run(&[]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    for name in [
        "etcd",
        "helm",
        "helm-controller",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kustomize",
        "kustomize-controller",
        "kwok",
    ] {
        let path = folder.join(name);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), program(name));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{name}");
    }
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(said.contains("downloading programs and charts (only once): 10 files and images"), "{said}");
    assert!(said.contains("downloaded 100 %"), "{said}");

    // Broken once, requested twice; a blob's host is shown no token; layers below the found one are not read.
    assert_eq!(scene.internet.count(&kubernetes_url("kube-apiserver")), 2);
    let requests = scene.internet.requests();
    let blobs: Vec<_> = requests.iter().filter(|one| one.address.starts_with("cdn.ghcr.io/")).collect();
    assert!(!blobs.is_empty() && blobs.iter().all(|one| one.authorization.is_none()), "{blobs:?}");
    let of_helm = blobs.iter().filter(|one| one.address.contains("/helm-controller/")).count();
    assert_eq!(of_helm, 2, "{blobs:?}");

    // Where each is from; nothing is downloaded again.
    let listed = scene.listed();
    assert_eq!(scene.internet.requests().len(), requests.len());
    assert_eq!(listed["folder"].as_str().unwrap(), folder.to_str().unwrap());
    let of = |name: &str| {
        let programs = listed["programs"].as_array().unwrap();
        programs.iter().find(|one| one["program"] == name).unwrap().clone()
    };
    let kwok = of("kwok");
    assert_eq!(
        (kwok["origin"].as_str(), kwok["source"].as_str()),
        (Some("downloaded"), Some(kwok_url().as_str()))
    );
    assert_eq!(kwok["digest"].as_str().unwrap(), digest(program("kwok").as_bytes()));
    let operator = of("flux-operator-manager");
    assert_eq!(operator["source"], "ghcr.io/controlplaneio-fluxcd/flux-operator:v0.58.1");
    assert!(operator["digest"].as_str().unwrap().starts_with("sha256:"), "{operator}");
    assert_eq!(operator["version"], "v0.58.1");
    let given = of("source-controller");
    assert_eq!((given["origin"].as_str(), given["digest"].as_str()), (Some("local"), None));
    assert!(said.contains(&kwok_url()) && said.contains(kwok["digest"].as_str().unwrap()), "{said}");

    // A missing one is downloaded alone, and must be the same.
    std::fs::remove_file(folder.join("kwok")).unwrap();
    scene.folder_of(&[]);
    assert_eq!(scene.internet.requests().len(), requests.len() + 2);
    std::fs::remove_file(folder.join("kwok")).unwrap();
    scene.internet.put_text("https://assets.test/kwok?sig=1", &program("another"));
    let said = scene.failure(&[]);
    assert!(said.contains("the digest of kwok v0.8.0 has changed"), "{said}");
    assert!(said.contains(&digest(program("another").as_bytes())) && !folder.join("kwok").exists(), "{said}");
    assert_eq!(
        std::fs::read_dir(&folder)
            .unwrap()
            .filter(|file| { file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.') })
            .count(),
        0,
        "no temporary folder is left"
    );
}

#[test]
fn what_is_not_the_announced_release_is_refused() {
    let scene = Scene::new().give_assets();
    scene.internet.put_text(&format!("{}.sha256", helm_url()), &"0".repeat(64));
    let said = scene.failure(&[]);
    assert!(said.contains(&format!("{} is not what its publisher announced", helm_url())), "{said}");
    assert!(said.contains("--from-source") && !said.contains("Go is not installed"), "{said}");

    let scene = Scene::new().give_assets();
    let whiteout = packed(&[(".wh.flux-operator", "")]);
    scene.publish_operator(&[packed(&[("flux-operator", &program("flux-operator"))]), whiteout]);
    let said = scene.failure(&[]);
    assert!(said.contains("cannot take flux-operator-manager out of image"), "{said}");
    assert!(said.contains("/flux-operator is removed from it"), "{said}");

    // A registry with other content under a pinned digest.
    let scene = Scene::new().give_assets();
    std::fs::remove_file(scene.at("binaries/source-controller")).unwrap();
    let pinned = "sha256:8a8ed0a57b8b86f561d5a4309a69f65e62f0cebe4de8801593c5ff35a3bc3c23";
    scene.internet.put_text(&format!("https://ghcr.io/v2/fluxcd/source-controller/manifests/{pinned}"), "{}");
    let said = scene.failure(&[]);
    assert!(
        said.contains("a manifest of image ghcr.io/fluxcd/source-controller is not the declared one"),
        "{said}"
    );
    assert!(said.contains(pinned), "{said}");
}

#[test]
fn charts_come_from_the_module_proxy_and_have_their_known_hashes() {
    let scene = Scene::new();
    let modules = real_modules();
    for (path, version, zip) in &modules {
        let url = format!("https://modules.test/mirror/{path}/@v/{version}.zip");
        scene.internet.put(&url, Page::File(zip.clone()));
    }
    scene.folder_of(&[]);
    let own = scene.cache().join(real_assets().file_name().unwrap());
    let (own, real) = (files(&own), files(real_assets()));
    assert_eq!(own.len(), real.len());
    for (own, real) in own.iter().zip(&real) {
        assert!(own == real, "{}", real.0.display());
    }
    drop((own, real));

    // Another module in its place.
    let scene = Scene::new();
    for (path, version, _) in &modules {
        let url = format!("https://modules.test/mirror/{path}/@v/{version}.zip");
        scene.internet.put(&url, Page::File(modules[modules.len() - 1].2.clone()));
    }
    let said = scene.failure(&[]);
    assert!(said.contains("cannot use module") && said.contains("it is not the known one"), "{said}");
    assert!(said.contains("downloaded from https://modules.test/mirror"), "{said}");
}

/// The modules of the assets, as Go has them in its cache: escaped path, version, zip.
fn real_modules() -> Vec<(String, String, PathBuf)> {
    let assets =
        std::fs::read_to_string(common::root().join("crates/sandbox/src/programs/assets.rs")).unwrap();
    let names: Vec<String> = assets
        .lines()
        .filter_map(|line| line.split_once("const ")?.1.split_once(": &str = \""))
        .map(|(_, value)| value.trim_end_matches("\";").to_owned())
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    let output = std::process::Command::new("go")
        .args(["mod", "download", "-json"])
        .args(&names)
        .current_dir(tempfile::tempdir().unwrap().path())
        .env("GOFLAGS", "-mod=mod")
        .output()
        .unwrap();
    let zips = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    zips.map(|one| {
        let zip = PathBuf::from(one.unwrap()["Zip"].as_str().unwrap());
        let (path, version) =
            zip.to_str().unwrap().split_once("/cache/download/").unwrap().1.split_once("/@v/").unwrap();
        (path.to_owned(), version.trim_end_matches(".zip").to_owned(), zip.clone())
    })
    .collect()
}

#[test]
fn without_the_internet_the_error_says_what_was_tried() {
    let mut scene = Scene::new().give_assets();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    scene.internet.proxy = format!("http://{closed}");
    let said = scene.failure(&[]);
    assert!(said.contains("cannot download the sandbox's programs, and Go is not installed"), "{said}");
    assert!(said.contains("missing: etcd") && said.contains("refused"), "{said}");
    assert!(said.contains("install Go") && said.contains("HTTPS_PROXY"), "{said}");
    let said = scene.failure(&["--from-source"]);
    assert!(said.contains("Go is not installed") && !said.contains("cannot download"), "{said}");
}

#[test]
fn what_is_not_available_is_built_and_the_rest_is_downloaded() {
    let scene = Scene::new().give_assets();
    // A stand-in for Go: every package becomes a program.
    let go = "#!/bin/sh
shift
while [ \"$1\" != -o ]; do shift; done
out=$2
shift 2
for package in \"$@\"; do
  name=${package##*/}
  echo '#!/bin/sh' > \"$out/$name\" && /bin/chmod +x \"$out/$name\"
  echo \"$package\" >&2
done
";
    write_program(&scene.at("path/go"), go);
    scene.internet.put(&kwok_url(), Page::Redirect("https://assets.test/gone".to_owned()));
    let output = scene.run(&[]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("https://assets.test/gone responded with 404"), "{said}");
    assert!(said.contains("building the sandbox's programs from source"), "{said}");
    let listed = scene.listed();
    let origin = |name: &str| {
        let programs = listed["programs"].as_array().unwrap();
        programs.iter().find(|one| one["program"] == name).unwrap()["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!((origin("kwok"), origin("helm")), ("built".to_owned(), "downloaded".to_owned()));
    // Both are in the printed folder, whatever they come from.
    let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    assert!(folder.join("kwok").is_file() && folder.join("helm").is_file());
}

#[test]
fn of_two_at_once_one_downloads_and_the_other_waits() {
    let scene = Scene::new().give_assets();
    let outputs = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| scene.run(&[])));
        both.map(|one| one.join().unwrap())
    });
    for output in &outputs {
        assert!(output.status.success(), "{}", stderr(output));
    }
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    assert_eq!(scene.internet.count(&helm_url()), 1);
    assert_eq!(scene.internet.count(&kwok_url()), 1);
}
