//! What is downloaded is what was pinned, and nothing that is built in has a known hole.

use std::collections::BTreeSet;

use bootstrapper::failure::Retry;
use bootstrapper::tools::{ChartAccess, ChartSource, Environment, Helm};
use semver::{Version, VersionReq};
use serde::Deserialize;

use super::common;

/// What the RustSec database says of the crates in Cargo.lock, as `.ci/copy-advisories` wrote it.
#[derive(Deserialize)]
struct Advisories {
    date: String,
    crates: BTreeSet<String>,
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

impl Advisory {
    /// Whether a version has the hole. That a crate is no longer maintained is none.
    fn hits(&self, version: &Version) -> bool {
        let allows =
            |ranges: &[String]| ranges.iter().any(|range| VersionReq::parse(range).unwrap().matches(version));
        let is_hole = self.withdrawn.is_none()
            && !matches!(self.informational.as_deref(), Some("unmaintained" | "notice"));
        is_hole && !allows(&self.patched) && !allows(&self.unaffected)
    }
}

fn copied() -> Advisories {
    let file = common::root().join(".ci/advisories.yaml");
    bootstrapper::yaml::from_str(&std::fs::read_to_string(&file).unwrap(), &file).unwrap()
}

/// Name and version of every crate that is built in.
fn locked() -> Vec<(String, Version)> {
    let lock = std::fs::read_to_string(common::root().join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]\n").skip(1);
    let field = |package: &str, key: &str| {
        let line =
            package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")).map(str::to_owned));
        line.unwrap().trim_end_matches('"').to_owned()
    };
    // Those of this workspace come from nowhere else.
    packages
        .filter(|package| package.contains("\nsource = "))
        .map(|package| (field(package, "name"), Version::parse(&field(package, "version")).unwrap()))
        .collect()
}

#[test]
fn no_crate_that_is_built_in_has_a_known_hole() {
    let copied = copied();
    let locked = locked();
    assert!(locked.len() > 300, "{}", locked.len());
    let mut holes = Vec::new();
    for (name, version) in &locked {
        let of_crate = copied.advisories.iter().filter(|advisory| advisory.package == *name);
        holes.extend(
            of_crate.filter(|one| one.hits(version)).map(|one| format!("{name} {version}: {}", one.id)),
        );
    }
    assert_eq!(holes, Vec::<String>::new(), "by the database of {}", copied.date);

    // A crate that is new was not looked for.
    let unknown: Vec<&String> =
        locked.iter().map(|(name, _)| name).filter(|name| !copied.crates.contains(*name)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "copy the advisories again: .ci/copy-advisories CLONE");
}

/// Versions that had holes are found; or the test above would say nothing.
#[test]
fn a_known_hole_is_found() {
    let copied = copied();
    for (package, version, expected) in [
        ("tokio", "1.8.0", Some("RUSTSEC-2021-0072")),
        ("rustls", "0.23.15", Some("RUSTSEC-2024-0399")),
        ("tar", "0.4.10", Some("RUSTSEC-2018-0002")),
        ("tar", "0.4.99", None),
    ] {
        let version = Version::parse(version).unwrap();
        let of_crate = copied.advisories.iter().filter(|advisory| advisory.package == package);
        let found: Vec<&str> = of_crate.filter(|one| one.hits(&version)).map(|one| one.id.as_str()).collect();
        match expected {
            Some(expected) => assert!(found.contains(&expected), "{package} {version}: {found:?}"),
            None => assert!(found.is_empty(), "{package} {version}: {found:?}"),
        }
    }
}

/// An archive is the one that its repository's index names; an index without a digest is said.
#[tokio::test]
async fn an_archive_is_the_one_that_the_index_names() {
    let charts = common::charts::Charts::serve();
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let chart = |name: &str| ChartSource::Repository {
        url: charts.url.clone(),
        chart: name.into(),
        version: ">=0.0.0".into(),
    };
    let access = ChartAccess::default();
    let index = charts.place("index.yaml");
    let archive = |name: &str| charts.place(&format!("{name}-1.0.0.tgz"));

    let helm = Helm::find(&environment).await.unwrap();
    helm.pull(&chart("seen"), &access).await.unwrap();
    assert_eq!(helm.unverified_remark(&chart("seen")).await, None);
    let digest = helm.archive_digest(&chart("seen"), &access).await.unwrap().unwrap();

    // Somebody puts another archive in its place.
    std::fs::copy(archive("slow"), archive("seen")).unwrap();
    let helm = Helm::find(&environment).await.unwrap();
    let refused = helm.pull(&chart("seen"), &access).await.unwrap_err();
    let said = refused.because.join("\n");
    assert!(said.contains(&format!("sha256 in the index:   {digest}")), "{refused:?}");
    assert!(said.contains("sha256 of the archive: ") && refused.retry == Retry::Useless, "{refused:?}");

    let text = std::fs::read_to_string(&index).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.trim().starts_with("digest:"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&index, without).unwrap();
    let helm = Helm::find(&environment).await.unwrap();
    helm.pull(&chart("slow"), &access).await.unwrap();
    assert!(
        helm.unverified_remark(&chart("slow"))
            .await
            .unwrap()
            .contains("is not verified: the repository index has no digest (sha256 ")
    );
}
