//! Removes credentials from other programs' messages.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

const SHOWN: &str = "[redacted]";

/// Patterns of credentials, and the part that is kept.
static CREDENTIALS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // A name and its value: `password=…`, `"token": "…"`. Text after `token: ` may be prose;
        // only text with a digit counts as a value there.
        r#"(?i)(?P<keep>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)["']?\s*=\s*["']?)[^\s"',;&]{4,}"#,
        r#"(?i)(?P<keep>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)["']?\s*:\s*["'])[^\s"',;&]{4,}"#,
        r#"(?i)(?P<keep>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\s*:\s*)[^\s"',;&]*[0-9][^\s"',;&]{3,}"#,
        r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}",
        // In an address: `https://user:password@host`.
        r"(?P<keep>://[^\s/:@]+:)[^\s/@]+(?P<end>@)",
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9._-]+",
        r"(?P<keep>)AGE-SECRET-KEY-1[A-Z0-9]+",
        r"(?P<keep>)\b(?:gh[pousr]_|glpat-|AKIA|xox[abp]-)[A-Za-z0-9_-]{8,}",
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// `text` without what looks like credentials.
pub(super) fn redacted(text: &str) -> String {
    let shown = format!("${{keep}}{SHOWN}${{end}}");
    CREDENTIALS.iter().fold(text.to_owned(), |text, pattern| {
        match pattern.replace_all(&text, shown.as_str()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(changed) => changed,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(CREDENTIALS.len(), 8);
    }

    #[test]
    fn credentials_go_and_the_rest_stays() {
        for (text, shown) in [
            ("password=hunter22 rejected", "password=[redacted] rejected"),
            (r#"{"token": "abcdef123"}"#, r#"{"token": "[redacted]"}"#),
            ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer [redacted]"),
            ("postgres://app:pa55word@db:5432", "postgres://app:[redacted]@db:5432"),
            ("key AGE-SECRET-KEY-1QQQQ is none", "key [redacted] is none"),
            (
                "failed to fetch anonymous token: unexpected status",
                "failed to fetch anonymous token: unexpected status",
            ),
            ("token: a1b2c3d4e5", "token: [redacted]"),
            (r#"secret "db" not found"#, r#"secret "db" not found"#),
            ("couldn't find key token in Secret web/db", "couldn't find key token in Secret web/db"),
            ("dial https://host:8443/x@y: refused", "dial https://host:8443/x@y: refused"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
