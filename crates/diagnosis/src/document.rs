//! The pages of the catalogue, as `docs/failures/` has them.

use std::fmt::Write as _;

use super::catalogue::catalogue;
use super::finding::Code;

/// A page: its file name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `BS-POD-001.md`.
    pub name: String,
    /// Markdown.
    pub text: String,
}

/// A page for each failure, and one that lists them.
pub fn pages() -> Vec<Page> {
    let of_one = |code: &Code| Page { name: format!("{}.md", code.code), text: page(code) };
    std::iter::once(Page { name: "README.md".to_owned(), text: list() })
        .chain(catalogue().map(|(_, code)| of_one(code)))
        .collect()
}

fn page(code: &Code) -> String {
    let Code { code, title, why, tell, fix } = code;
    format!(
        "# {code}: {title}\n\n**Why.** {why}.\n\n**How to tell.** {tell}.\n\n**What to do.** {}.\n\n[All failures](README.md)\n",
        sentence(fix)
    )
}

/// Advice begins small, since it follows `do`.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn list() -> String {
    let mut text = "# Failures that are known by name\n\n\
        `bootstrapper doctor <cluster>` names them; so does a run while it waits, and `bootstrapper explain <code>` prints a page.\n\
        These pages are made by `bootstrapper explain --write docs/failures`. `tests/gallery/wrong` makes most of them for real.\n"
        .to_owned();
    let mut last = "";
    for (family, code) in catalogue() {
        if family != last {
            let _ = write!(text, "\n## {family}\n\n");
            last = family;
        }
        let _ = writeln!(text, "- [{0}]({0}.md) {1}", code.code, code.title);
    }
    text
}
