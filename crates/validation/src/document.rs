//! The catalogue as a page: `docs/rules.md`.

use std::fmt::Write as _;

use super::catalogue::catalogue;
use super::rules::FAMILIES;

const HEAD: &str = "# Rules of `bootstrapper validate`

Made by `bootstrapper validate --rules --output markdown > docs/rules.md`; a test keeps it true.

A comment silences a rule, and says why: `# bootstrapper:ignore <rule> <reason>`, at the end of the line, on the line before it, or
at the top of a file for all of it. `tests/broken/` has an example of each rule.
";

/// The page.
pub fn rules_document() -> String {
    let mut page = HEAD.to_owned();
    let _ = writeln!(page, "\n{} rules:\n", catalogue().count());
    for family in FAMILIES {
        for rule in *family {
            let _ = writeln!(
                page,
                "## {}\n\n*{}*: {}.\n\n- why: {}.\n- do: {}.\n",
                rule.name,
                rule.severity.word(),
                rule.summary,
                rule.why,
                rule.fix
            );
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}
