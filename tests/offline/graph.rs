//! The picture in the documentation is what the program draws.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use common::{bootstrapper, repository, root};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

/// Writes the picture instead of comparing it.
const REFRESH: &str = "BOOTSTRAPPER_REFRESH";

const BEGIN: &str = "```mermaid\n";
const END: &str = "```\n";

fn graph(arguments: &[&str]) -> String {
    let copy = repository();
    let output = bootstrapper().arg("graph").args(arguments).arg("--repo").arg(copy.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_documentation_shows_what_the_program_draws() {
    let file = root().join("docs/reference/order.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a Mermaid block");
    let (shown, after) = rest.split_once(END).unwrap();
    let drawn = graph(&["infra", "--format", "mermaid"]);
    if std::env::var_os(REFRESH).is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{drawn}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(shown, drawn, "refresh it: {REFRESH}=1 cargo test --test offline graph::");
}

#[test]
fn every_cluster_is_drawn_unless_one_is_named() {
    let all = graph(&[]);
    assert!(starts_with("apps").and(contains("\n\ninfra")).eval(&all), "{all}");
    assert!(contains("cilium 1.").and(contains("after ")).eval(&all), "{all}");
    let drawing = graph(&["infra", "--format", "svg"]);
    assert!(starts_with("<svg ").and(contains("prefers-color-scheme: dark")).eval(&drawing));
    bootstrapper()
        .args(["graph", "infro", "--repo"])
        .arg(root())
        .assert()
        .code(3)
        .stderr(contains("did you mean `infra`?"));
}
