//! A text as it reads once an encoding is taken off, with the places that its bytes come from.
//!
//! Values are not encoded in all ways to look for each: the text is decoded, again and again, and searched.

use std::borrow::Cow;
use std::ops::Range;

use super::base64_views::{base64_views, byte_views, hex_views};

/// Bytes, and where in the text each begins and ends.
pub(super) struct View<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// None for the text itself.
    places: Option<Vec<(u32, u32)>>,
}

impl<'a> View<'a> {
    /// The text itself.
    pub(super) fn raw(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), places: None }
    }

    /// Where in the text a range comes from.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return range };
        let at = |index: usize| places.get(index).copied().unwrap_or_default();
        if range.is_empty() {
            return at(range.start).0 as usize..at(range.start).0 as usize;
        }
        at(range.start).0 as usize..at(range.end - 1).1 as usize
    }
}

/// A view in the making.
pub(super) struct Decoder<'a> {
    of: &'a View<'a>,
    bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(of: &'a View<'a>) -> Self {
        Self { of, bytes: Vec::new(), places: Vec::new() }
    }

    /// A byte that stands for `from` of what is decoded.
    pub(super) fn push(&mut self, byte: u8, from: Range<usize>) {
        let place = self.of.place(from);
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.bytes.push(byte);
        self.places.push((number(place.start), number(place.end)));
    }

    /// What comes next is no continuation of what was.
    pub(super) fn separate(&mut self, at: usize) {
        if self.bytes.last().is_some_and(|last| *last != b'\n') {
            self.push(b'\n', at..at);
        }
    }

    pub(super) fn view(self) -> Option<View<'static>> {
        (!self.bytes.is_empty()).then_some(View { bytes: Cow::Owned(self.bytes), places: Some(self.places) })
    }
}

/// All that a view may be an encoding of.
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

/// The view with all that `decode` knows replaced; none if there was nothing.
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
        // YAML folds a line so, and indents the next.
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

/// The number that the first `count` bytes are.
pub(super) fn digits(bytes: &[u8], count: usize, radix: u32) -> Option<u32> {
    let digits = bytes.get(..count).filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    })
}

fn character(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}
