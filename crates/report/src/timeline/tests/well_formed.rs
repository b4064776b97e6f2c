//! Whether a page is well-formed: each element is closed in order, each attribute quoted, each text escaped.

/// Panics where it is not.
pub(super) fn check(page: &str) {
    let body = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        text(&rest[..start]);
        let (tag, after) = tag(&rest[start + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(name.chars().all(|one| one.is_ascii_alphanumeric()) && !name.is_empty(), "<{tag}>");
        attributes(tag[name.len()..].trim_end_matches('/'));
        if tag.ends_with('/') {
            continue;
        }
        open.push(name);
        if name == "style" {
            let end = rest.find("</style>").unwrap();
            assert!(!rest[..end].contains('<'));
            rest = &rest[end..];
        }
    }
    text(rest);
    assert!(open.is_empty(), "{open:?}");
}

/// A tag up to the `>` that is in no quotes, and what follows.
fn tag(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let end = text.find(|one| {
        is_quoted ^= one == '"';
        one == '>' && !is_quoted
    });
    let end = end.unwrap();
    (&text[..end], &text[end + 1..])
}

fn attributes(text: &str) {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value: {text}"));
        assert!(name.chars().all(|one| one.is_ascii_alphabetic() || one == '-'), "{text}");
        let (value, after) = after.split_once('"').unwrap();
        self::text(value);
        assert!(!value.contains('<'), "{value}");
        rest = after.trim_start();
    }
}

/// Each `&` begins a reference, and nothing is invisible.
fn text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let name = text[at + 1..].split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "{text}");
    }
    assert!(!text.contains('>'), "{text}");
    assert!(text.chars().all(|one| one == '\n' || !one.is_control()), "{text:?}");
}
