//! Every page is in the book, and every link within the repository leads to a file and a heading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::page::{Page, pages};
use crate::common::root;

/// `../a/b` seen from `folder`, without looking at the disk.
fn resolved(folder: &Path, link: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// The anchors of a page's headings, as GitHub and mdBook both make them.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = BTreeSet::new();
    let linked = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    for (_, line) in page.prose() {
        let level = line.chars().take_while(|char| *char == '#').count();
        let Some(title) = line.get(level..).filter(|rest| level > 0 && rest.starts_with(' ')) else {
            continue;
        };
        let title = linked.replace_all(title.trim(), "$1").to_lowercase();
        let kept = title.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        let slug: String = kept.map(|char| if char == ' ' { '-' } else { char }).collect();
        let before = seen.entry(slug.clone()).or_default();
        all.insert(if *before == 0 { slug } else { format!("{slug}-{before}") });
        *before += 1;
    }
    all
}

/// The targets of a page's links, with their lines.
fn links(page: &Page) -> Vec<(usize, String)> {
    let (code, link) = (Regex::new("`[^`]*`").unwrap(), Regex::new(r"\]\(([^)\s]+)\)").unwrap());
    let lines = page.prose().into_iter();
    let found = lines.flat_map(|(at, line)| {
        let bare = code.replace_all(line, "code").into_owned();
        link.captures_iter(&bare).map(|found| (at, found[1].to_owned())).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.as_path(), anchors(page))).collect();
    let mut wrong = Vec::new();
    for page in &pages {
        for (line, link) in links(page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => resolved(page.path.parent().unwrap(), file),
            };
            let place = format!("{}:{line}: {link}", page.path.display());
            if !root().join(&target).exists() {
                wrong.push(format!("{place}: no such file"));
            } else if !anchor.is_empty()
                && !anchors.get(target.as_path()).is_some_and(|all| all.contains(anchor))
            {
                wrong.push(format!("{place}: no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_book_once() {
    let summary = Page::read(&root().join("docs/SUMMARY.md"));
    let listed: Vec<PathBuf> =
        links(&summary).into_iter().map(|(_, link)| resolved(Path::new("docs"), &link)).collect();
    let unique: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "docs/SUMMARY.md lists a page twice");
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .map(|page| page.path)
        .filter(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md") && !unique.contains(path))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

#[test]
fn the_readme_is_short() {
    let readme = Page::read(&root().join("README.md"));
    assert!(readme.text.lines().count() < 120, "{} lines", readme.text.lines().count());
}
