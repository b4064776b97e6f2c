//! Input that would take all memory, all disk or for ever.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::trust::repository::{Hostile, OBJECT};

const HERE: &str = "kubernetes/clusters/home/more.yaml";

/// Asks for what is read of such a repository, and expects to be told why that is too much.
fn is_refused(hostile: &Hostile, case: &str) {
    let said = hostile.run(&["validate"]);
    hostile.assert_harmless(case, &said);
    assert_eq!(said.code, Some(3), "{case}:\n{}", said.text);
    assert!(said.text.contains("excessive-input"), "{case}:\n{}", said.text);
    hostile.assert_harmless(case, &hostile.run(&["graph"]));
    hostile.assert_harmless(case, &hostile.run(&["list"]));
}

fn with_more(text: &str) -> Hostile {
    let hostile = Hostile::new();
    hostile.write(HERE, text);
    hostile.kustomization("resources: [flux-system/gotk-sync.yaml, here.yaml, more.yaml]\n");
    hostile
}

/// A ConfigMap whose aliases stand for 9 to the power of `levels`.
fn aliases(levels: usize, open: &str, close: &str) -> String {
    let mut text = OBJECT.replace("{a: b}", "\n  a0: &a0 {x: y}");
    for level in 1..=levels {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "  a{level}: &a{level} {open}[{before}]{close}").unwrap();
    }
    text
}

#[test]
fn aliases_and_merge_keys_are_counted_before_they_are_followed() {
    for (case, text) in [
        ("lists of lists", aliases(9, "", "")),
        ("merged maps", aliases(9, "{<<: ", ", k: v}")),
        ("many levels", aliases(30, "", "")),
        ("itself", OBJECT.replace("{a: b}", "&a {b: *a}")),
        (
            "a long text",
            OBJECT.replace(
                "{a: b}",
                &format!("\n  a: &a \"{}\"\n  b: [{}]", "x".repeat(100_000), vec!["*a"; 100].join(", ")),
            ),
        ),
        ("deep", OBJECT.replace("{a: b}", &format!("{}{}", "[".repeat(5000), "]".repeat(5000)))),
    ] {
        is_refused(&with_more(&text), case);
    }
    // In a kustomization, and in a text within one.
    let hostile = Hostile::new();
    let bomb = aliases(9, "", "");
    hostile.kustomization(&format!(
        "resources: [here.yaml]\ncommonAnnotations:\n{}",
        &bomb[bomb.find("  a0").unwrap()..]
    ));
    is_refused(&hostile, "a kustomization");
    let hostile = Hostile::new();
    let indented: String = bomb.lines().fold(String::new(), |all, line| all + "    " + line + "\n");
    hostile.kustomization(&format!(
        "resources: [flux-system/gotk-sync.yaml, here.yaml]\npatches:\n- patch: |\n{indented}"
    ));
    is_refused(&hostile, "a patch");
}

#[test]
fn files_that_are_none_or_never_end_are_not_read() {
    let hostile = with_more(OBJECT);
    let more = hostile.root.join(HERE);
    std::fs::remove_file(&more).unwrap();
    mknodat(CWD, &more, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    is_refused(&hostile, "a pipe");

    let hostile = with_more(OBJECT);
    let large = File::create(hostile.root.join(HERE)).unwrap();
    large.set_len(1 << 40).unwrap();
    is_refused(&hostile, "a terabyte");

    let hostile = with_more(OBJECT);
    let more = hostile.root.join(HERE);
    std::fs::remove_file(&more).unwrap();
    symlink("more.yaml", &more).unwrap();
    is_refused(&hostile, "a link to itself");

    // Where no kustomization names them.
    for file in [
        "bootstrapper.yaml",
        "tasks/10-a.yaml",
        ".git",
        "kubernetes/clusters/home/settings.yaml",
        "kubernetes/clusters/home/flux-system/gotk-sync.yaml",
        "kubernetes/clusters/home/kustomization.yaml",
    ] {
        for device in ["/dev/zero", "/dev/stdin", "pipe"] {
            let hostile = Hostile::new();
            let path = hostile.root.join(file);
            let _ = std::fs::remove_file(&path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if device == "pipe" {
                mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            } else {
                symlink(device, &path).unwrap();
            }
            let case = format!("{file} is {device}");
            for verb in [&["validate"][..], &["graph"], &["list"], &["plan", "home"]] {
                hostile.assert_harmless(&case, &hostile.run(verb));
            }
        }
    }
}

#[test]
fn folders_without_end_are_not_gone_through() {
    let hostile = Hostile::new();
    std::fs::remove_file(hostile.root.join("kubernetes/clusters/home/kustomization.yaml")).unwrap();
    let folder = hostile.root.join("kubernetes/clusters/home/many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..60_000 {
        File::create(folder.join(format!("{number}.yaml"))).unwrap();
    }
    symlink("..", folder.join("up")).unwrap();
    is_refused(&hostile, "many files");
}

#[test]
fn substitution_does_not_grow_without_end() {
    let substitution = |variables: &str, text: &str| {
        let hostile = Hostile::new();
        hostile.write(
            "kubernetes/clusters/home/app.yaml",
            &format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: app, namespace: flux-system}}\nspec:\n  interval: 1h\n  path: ./kubernetes/app\n  prune: true\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n  postBuild: {{substitute: {{{variables}}}}}\n"
            ),
        );
        hostile.write("kubernetes/app/app.yaml", &OBJECT.replace("a: b", &format!("a: \"{text}\"")));
        hostile.kustomization("resources: [flux-system/gotk-sync.yaml, app.yaml]\n");
        hostile
    };
    let long = "a".repeat(300_000);
    for (case, variables, text) in [
        ("many times", format!("A: {long}"), "${A}".repeat(100)),
        ("each by itself", format!("A: {long}"), "${A//a/${A}}".to_owned()),
        ("a pattern of stars", format!("A: {long}"), format!("${{A##{}b}}", "*a".repeat(2000))),
        ("from behind", format!("A: {long}"), format!("${{A%%b{}}}", "a*".repeat(2000))),
        ("by default", format!("A: {long}"), format!("${{B:={}}}", "${A}".repeat(100))),
    ] {
        is_refused(&substitution(&variables, &text), case);
    }
}

mod children {
    //! Programs that take more than they may. They are in Go, as kustomize and helm are.

    use std::fs;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;

    use tempfile::TempDir;

    /// Stands in for kustomize. What it does is in a file beside it.
    const HOG: &str = r#"package main

import (
	"os"
	"path/filepath"
	"time"
)

var kept [][]byte

func main() {
	own, _ := os.Executable()
	does, _ := os.ReadFile(filepath.Join(filepath.Dir(own), "does"))
	switch string(does) {
	case "memory":
		for {
			block := make([]byte, 16<<20)
			for at := range block {
				block[at] = 1
			}
			kept = append(kept, block)
		}
	case "output":
		block := make([]byte, 1<<20)
		for {
			if _, err := os.Stdout.Write(block); err != nil {
				os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
		}
	case "time":
		time.Sleep(time.Hour)
	case "variables":
		file, _ := os.Create(filepath.Join(filepath.Dir(own), "variables"))
		for _, variable := range os.Environ() {
			file.WriteString(variable + "\n")
		}
		os.Exit(1)
	}
}
"#;

    fn hog() -> &'static Path {
        static HOGS: OnceLock<TempDir> = OnceLock::new();
        HOGS.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("main.go"), HOG).unwrap();
            let built = Command::new("go")
                .args(["build", "-o", "hog", "main.go"])
                .current_dir(folder.path())
                .env("CGO_ENABLED", "0")
                .env("GOFLAGS", "")
                .status()
                .unwrap();
            assert!(built.success());
            folder
        })
        .path()
    }

    /// What `validate` says when kustomize does this, and the folder of that kustomize.
    fn validated(does: &str, variables: &[(&str, &str)]) -> (String, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let cluster = folder.path().join("repository/kubernetes/clusters/test");
        fs::create_dir_all(cluster.join("flux-system")).unwrap();
        let sync = crate::common::sync("./kubernetes/clusters/test");
        fs::write(cluster.join("flux-system/gotk-sync.yaml"), sync).unwrap();
        fs::write(cluster.join("kustomization.yaml"), "resources: [flux-system/gotk-sync.yaml]\n").unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        // A copy would be open for writing while others fork, and could not be run.
        fs::hard_link(hog().join("hog"), bin.join("kustomize")).unwrap();
        fs::write(bin.join("does"), does).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_bootstrapper"))
            .args(["validate", "test", "--repo"])
            .arg(folder.path().join("repository"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        (said.into_owned(), folder)
    }

    fn assert_says(said: &str, words: &[&str]) {
        // As wide as it likes.
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "no {word:?} in: {said}");
        }
    }

    #[test]
    fn a_program_that_takes_all_memory_is_stopped_and_the_limit_is_named() {
        let (said, _folder) = validated("memory", &[]);
        assert_says(
            &said,
            &["kustomize build uses more than 900 MiB of memory", "BOOTSTRAPPER_CHILD_MEMORY"],
        );
        let (said, _folder) = validated("memory", &[("BOOTSTRAPPER_CHILD_MEMORY", "300MiB")]);
        assert_says(&said, &["more than 300 MiB of memory"]);
    }

    #[test]
    fn a_program_that_writes_without_end_is_stopped_and_the_limit_is_named() {
        let (said, _folder) = validated("output", &[]);
        assert_says(&said, &["kustomize build writes more than 64 MiB", "BOOTSTRAPPER_CHILD_OUTPUT"]);
    }

    #[test]
    fn a_program_that_never_ends_is_stopped_and_the_limit_is_named() {
        let (said, _folder) = validated("time", &[("BOOTSTRAPPER_CHILD_TIME", "2s")]);
        assert_says(&said, &["kustomize build takes longer than 2 s", "BOOTSTRAPPER_CHILD_TIME"]);
    }

    #[test]
    fn kustomize_gets_no_variable_that_holds_a_secret_or_loads_code() {
        let secret = [
            ("INFRA_BGP_PASSWORD", "hunter2"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("SOPS_AGE_KEY", "hunter2"),
            ("GITHUB_TOKEN", "hunter2"),
            ("KUSTOMIZE_PLUGIN_HOME", "/hunter2"),
            ("GIT_SSH_COMMAND", "hunter2"),
            ("HELM_PLUGINS", "/hunter2"),
        ];
        let (_, folder) = validated("variables", &secret);
        let variables = fs::read_to_string(folder.path().join("bin/variables")).unwrap();
        assert!(variables.contains("PATH=") && variables.contains("HOME="), "{variables}");
        assert!(!variables.contains("hunter2"), "{variables}");
    }
}
