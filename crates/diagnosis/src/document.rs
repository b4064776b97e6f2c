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

/// A page for each failure, and an index.
pub fn pages() -> Vec<Page> {
    let of_one = |code: &Code| Page { name: format!("{}.md", code.code), text: page(code) };
    std::iter::once(Page { name: "README.md".to_owned(), text: list() })
        .chain(catalogue().map(|(_, code)| of_one(code)))
        .collect()
}

fn page(code: &Code) -> String {
    let Code { code, title, why, tell, fix } = code;
    format!(
        "# {code}: {title}\n\n**Why.** {}.\n\n**Check.** {}.\n\n**Fix.** {}.\n\n[All failures](README.md)\n",
        literal(why),
        literal(tell),
        literal(&sentence(fix))
    )
}

/// Escapes `<name>` outside of code: Markdown takes it for a tag, and shows nothing.
fn literal(text: &str) -> String {
    let mut is_code = false;
    text.chars().fold(String::with_capacity(text.len()), |mut shown, char| {
        is_code ^= char == '`';
        if char == '<' && !is_code {
            shown.push('\\');
        }
        shown.push(char);
        shown
    })
}

/// Capitalizes advice, which starts in lower case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn list() -> String {
    let mut text = "# Failure codes\n\n\
        `bootstrapper doctor <cluster>` reports them, and so does a run while it waits. `bootstrapper explain <code>` prints one page.\n\
        `bootstrapper explain --write docs/failures` generates these pages. `tests/gallery/wrong` reproduces most of these failures.\n"
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
