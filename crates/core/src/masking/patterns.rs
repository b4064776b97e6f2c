//! The second line of defence: masks text that looks like a credential although no source has marked it.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::MASK;

/// Each pattern, with the part to keep.
static CREDENTIALS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"(?i)(?P<keep>\bauthorization[\x22']?\s*[:=]\s*[\x22']?(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}",
        // In a URL: `https://user:password@host`.
        r"(?P<keep>://[^\s/:@\x22']*:)[^\s/@\x22']+(?P<end>@)",
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+",
        r"(?P<keep>)AGE-SECRET-KEY-1[A-Z0-9]+",
        r"(?P<keep>)\b(?:gh[pousr]_|github_pat_|glpat-|AKIA|xox[abp]-|ops_ey)[A-Za-z0-9_-]{12,}",
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// `text` with everything that looks like a credential masked.
pub(super) fn masked(text: Cow<'_, str>) -> Cow<'_, str> {
    let shown = format!("${{keep}}{MASK}${{end}}");
    let mut masked = text;
    for pattern in CREDENTIALS.iter() {
        let replaced = pattern.replace_all(&masked, shown.as_str()).into_owned();
        if replaced != *masked {
            masked = Cow::Owned(replaced);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_anything_else_goes_and_the_rest_stays() {
        assert_eq!(CREDENTIALS.len(), 5);
        for (text, shown) in [
            ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
            ("postgres://app:pa55word@db:5432", "postgres://app:***@db:5432"),
            ("https://:pa55word@host/x", "https://:***@host/x"),
            ("key AGE-SECRET-KEY-1QQQQ is none", "key *** is none"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJl", "***"),
            ("a bearer of news: something", "a bearer of news: something"),
            ("dial https://host:8443/x@y: refused", "dial https://host:8443/x@y: refused"),
            ("oci://host/chart@sha256:abc", "oci://host/chart@sha256:abc"),
        ] {
            assert_eq!(masked(Cow::Borrowed(text)), shown);
            assert_eq!(masked(Cow::Owned(shown.to_owned())), shown);
        }
    }
}
