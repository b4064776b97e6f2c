//! Input that would take all memory, all disk or for ever.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::repository::{Hostile, OBJECT};

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
