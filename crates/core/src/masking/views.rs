//! All possible decodings of a text.
//!
//! Values are not searched in all encodings: instead, the text is decoded repeatedly and searched.

use super::base64_views::{base64_views, byte_views, hex_views};
use super::view::{Decoder, View, digits};

/// All possible decodings of a view.
pub(super) fn views_of<'a>(view: &'a View<'a>) -> Vec<View<'static>> {
    let bytes: &[u8] = &view.bytes;
    let has = |byte: u8| bytes.contains(&byte);
    let mut views = Vec::new();
    if has(b'\\') {
        views.extend(replaced(view, backslash));
    }
    if has(b'%') {
        views.extend(replaced(view, percent));
        if has(b'+') {
            views.extend(replaced(view, form));
        }
    }
    if has(b'&') {
        views.extend(replaced(view, entity));
    }
    for quotes in [b"''", b"\"\""] {
        if bytes.windows(2).any(|pair| pair == quotes) {
            views.extend(replaced(view, |rest| rest.starts_with(quotes).then(|| (vec![quotes[0]], 2))));
        }
    }
    views.extend(base64_views(view));
    views.extend(hex_views(view));
    views.extend(byte_views(view));
    views
}

/// The view with everything that `decode` recognizes replaced; none if there was nothing.
fn replaced(view: &View<'_>, decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<View<'static>> {
    let bytes: &[u8] = &view.bytes;
    let mut decoder = Decoder::new(view);
    let (mut at, mut is_changed) = (0, false);
    while at < bytes.len() {
        match decode(&bytes[at..]) {
            Some((decoded, length)) => {
                for byte in decoded {
                    decoder.push(byte, at..at + length);
                }
                at += length;
                is_changed = true;
            }
            None => {
                decoder.push(bytes[at], at..at + 1);
                at += 1;
            }
        }
    }
    if is_changed { decoder.view() } else { None }
}

/// An escape of JSON, YAML, Go, Rust, C, a shell or git.
fn backslash(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let kind = *rest.strip_prefix(b"\\")?.first()?;
    let after = &rest[2..];
    let one = |byte: u8| Some((vec![byte], 2));
    let decoded = match kind {
        b'n' => one(b'\n'),
        b't' => one(b'\t'),
        b'r' => one(b'\r'),
        b'b' => one(8),
        b'f' => one(12),
        b'v' => one(11),
        b'a' => one(7),
        b'e' => one(27),
        b'x' => digits(after, 2, 16).map(|byte| (vec![u8::try_from(byte).unwrap_or_default()], 4)),
        b'u' if after.first() == Some(&b'{') => {
            let end = after.iter().take(10).position(|byte| *byte == b'}')?;
            let code = digits(&after[1..end], end - 1, 16)?;
            Some((character(code)?, end + 3))
        }
        b'u' => {
            let high = digits(after, 4, 16)?;
            let low = after.get(4..).and_then(|next| digits(next.strip_prefix(b"\\u")?, 4, 16));
            match (high, low) {
                (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
                    let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    Some((character(code)?, 12))
                }
                _ => Some((character(high)?, 6)),
            }
        }
        b'U' => Some((character(digits(after, 8, 16)?)?, 10)),
        b'0'..=b'7' => match digits(&rest[1..], 3, 8) {
            Some(byte) => Some((vec![u8::try_from(byte).ok()?], 4)),
            None => (kind == b'0').then(|| (vec![0], 2)),
        },
        // A folded YAML line, with the indentation of the next.
        b'\n' => Some((Vec::new(), 2 + after.iter().take_while(|byte| **byte == b' ').count())),
        other => one(other),
    };
    decoded.or_else(|| one(kind))
}

fn percent(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let byte = digits(rest.strip_prefix(b"%")?, 2, 16)?;
    Some((vec![u8::try_from(byte).ok()?], 3))
}

fn form(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    if rest.first() == Some(&b'+') { Some((vec![b' '], 1)) } else { percent(rest) }
}

fn entity(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    const NAMED: [(&str, u8); 5] =
        [("&amp;", b'&'), ("&lt;", b'<'), ("&gt;", b'>'), ("&quot;", b'"'), ("&apos;", b'\'')];
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
        return Some((vec![*byte], name.len()));
    }
    let number = rest.strip_prefix(b"&#")?;
    let end = number.iter().take(9).position(|byte| *byte == b';')?;
    let (skipped, radix) = if matches!(number.first(), Some(b'x' | b'X')) { (1, 16) } else { (0, 10) };
    let code = digits(number.get(skipped..end)?, end - skipped, radix)?;
    Some((character(code)?, end + 3))
}

fn character(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}
