//! Input that would take all memory, all disk or for ever.

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
        fs::copy(hog().join("hog"), bin.join("kustomize")).unwrap();
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
            &["kustomize build needs more than 900 MiB of memory", "BOOTSTRAPPER_CHILD_MEMORY"],
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
