//! Finds values in a text: verbatim, encoded, and truncated.

#![allow(clippy::string_slice, reason = "cut where something was found, which is between characters")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::MASK;
use super::view::View;
use super::views::views_of;

/// Values of at least this length match anywhere, and by their beginning or end; shorter ones only as whole
/// words.
pub(super) const LONG: usize = 8;
/// A piece of a truncated value of this length matches before any non-alphanumeric character.
const CERTAIN: usize = 16;
/// This much of each end of a value is indexed; the rest is compared directly.
const COMPARED: usize = 1024;
/// The maximum nesting of encodings: base64 in a patch, in JSON, in a log line.
pub(super) const DEPTH: usize = 4;
/// Larger texts are searched in parts.
const PART: usize = 128 * 1024;
/// The work limit for a text, in inspected bytes. Ordinary texts take a few times their length.
const BUDGET: usize = 64 * 1024 * 1024;
const BUDGET_PER_BYTE: usize = 256;
/// Replaces a text that exceeds the limit.
const WITHHELD: &str = "*** (text withheld: too large to search for secrets)\n";

/// A value of at least [`LONG`] characters.
struct Value {
    head: Vec<u8>,
    tail: Vec<u8>,
    len: usize,
}

/// Finds marked values.
#[derive(Default)]
pub(super) struct Matcher {
    values: Vec<Value>,
    words: Option<AhoCorasick>,
    /// The first bytes of long values, and the values that have them.
    heads: Option<(AhoCorasick, Vec<Vec<usize>>)>,
    /// The same for the last bytes.
    tails: Option<(AhoCorasick, Vec<Vec<usize>>)>,
}

impl Matcher {
    pub(super) fn of(values: &BTreeSet<String>) -> Self {
        let (long, short): (Vec<&String>, Vec<&String>) =
            values.iter().partition(|value| value.chars().count() >= LONG);
        let words: Vec<&[u8]> = short.iter().map(|value| value.as_bytes()).collect();
        let values: Vec<Value> = long.iter().map(|value| Value::of(value.as_bytes())).collect();
        let ends = |end: fn(&Value) -> &[u8]| {
            let mut whose: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
            for (index, value) in values.iter().enumerate() {
                whose.entry(end(value).to_ascii_lowercase()).or_default().push(index);
            }
            let (patterns, whose): (Vec<_>, Vec<_>) = whose.into_iter().unzip();
            automaton(&patterns).map(|automaton| (automaton, whose))
        };
        let heads = ends(|value| &value.head[..LONG]);
        let tails = ends(|value| &value.tail[value.tail.len() - LONG..]);
        Self { words: automaton(&words), heads, tails, values }
    }

    pub(super) fn masked<'a>(&self, text: &'a str, depth: usize) -> Cow<'a, str> {
        if self.words.is_none() && self.heads.is_none() {
            return Cow::Borrowed(text);
        }
        let mut masked = Cow::Borrowed(text);
        // Text joined by a mask may contain a value again.
        for _ in 0..3 {
            match self.masked_once(&masked, depth) {
                Some(once) if once != *masked => masked = Cow::Owned(once),
                _ => break,
            }
        }
        masked
    }

    fn masked_once(&self, text: &str, depth: usize) -> Option<String> {
        let mut shown = String::new();
        let mut is_changed = false;
        for part in parts_of(text) {
            match self.masked_part(part, depth) {
                Some(masked) => {
                    shown.push_str(&masked);
                    is_changed = true;
                }
                None => shown.push_str(part),
            }
        }
        is_changed.then_some(shown)
    }

    fn masked_part(&self, text: &str, depth: usize) -> Option<String> {
        let left = BUDGET + text.len() * BUDGET_PER_BYTE;
        let mut search = Search { matcher: self, found: Vec::new(), left };
        if search.all(View::raw(text.as_bytes()), depth).is_none() {
            return Some(WITHHELD.to_owned());
        }
        let regions = joined(search.found, text);
        if regions.is_empty() {
            return None;
        }
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        for region in regions {
            shown.push_str(&text[from..region.start]);
            shown.push_str(MASK);
            from = region.end;
        }
        shown.push_str(&text[from..]);
        Some(shown)
    }
}

/// Splits a large text at line ends, so that only one part is decoded at a time.
fn parts_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let from = rest.floor_char_boundary(PART.min(rest.len()));
        let end = rest[from..].find('\n').map_or(rest.len(), |at| from + at + 1);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

impl Value {
    fn of(bytes: &[u8]) -> Self {
        let compared = bytes.len().min(COMPARED);
        Self {
            head: bytes[..compared].to_vec(),
            tail: bytes[bytes.len() - compared..].to_vec(),
            len: bytes.len(),
        }
    }
}

fn automaton<P: AsRef<[u8]>>(patterns: &[P]) -> Option<AhoCorasick> {
    if patterns.is_empty() {
        return None;
    }
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        // Host names are lower-cased in transit.
        .ascii_case_insensitive(true)
        .build(patterns)
        .ok()
}

/// The search of one text.
struct Search<'a> {
    matcher: &'a Matcher,
    /// Ranges of the text.
    found: Vec<Range<usize>>,
    left: usize,
}

impl Search<'_> {
    /// A text and everything that it may decode to, level by level. None if it exceeds the limit.
    fn all(&mut self, text: View<'_>, depth: usize) -> Option<()> {
        // Two encodings can be removed in either order, with the same result.
        let mut seen = HashSet::new();
        let mut level = vec![text];
        for left in (0..=depth).rev() {
            let mut next = Vec::new();
            for view in level {
                self.words(&view);
                self.heads(&view)?;
                self.tails(&view)?;
                if left == 0 {
                    continue;
                }
                for decoded in views_of(&view) {
                    self.spend(decoded.bytes.len())?;
                    if seen.insert(hash_of(&decoded.bytes)) {
                        next.push(decoded);
                    }
                }
            }
            level = next;
        }
        Some(())
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    fn words(&mut self, view: &View<'_>) {
        let bytes: &[u8] = &view.bytes;
        for word in self.matcher.words.iter().flat_map(|words| words.find_overlapping_iter(bytes)) {
            let before = word.start().checked_sub(1).map(|at| bytes[at]);
            let after = bytes.get(word.end()).copied();
            if !before.is_some_and(is_word_byte) && !after.is_some_and(is_word_byte) {
                self.found.push(view.place(word.range()));
            }
        }
    }

    fn heads(&mut self, view: &View<'_>) -> Option<()> {
        let Some((heads, whose)) = &self.matcher.heads else { return Some(()) };
        let bytes: &[u8] = &view.bytes;
        for head in heads.find_overlapping_iter(bytes) {
            let rest = &bytes[head.start()..];
            for index in &whose[head.pattern().as_usize()] {
                let value = &self.matcher.values[*index];
                let same =
                    rest.iter().zip(&value.head).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
                self.spend(same)?;
                let end = if same == value.head.len() {
                    head.start() + value.len.min(rest.len())
                } else if is_cut_after(&rest[same..], same) {
                    head.start() + same
                } else {
                    continue;
                };
                self.found.push(view.place(head.start()..end));
            }
        }
        Some(())
    }

    fn tails(&mut self, view: &View<'_>) -> Option<()> {
        let Some((tails, whose)) = &self.matcher.tails else { return Some(()) };
        let bytes: &[u8] = &view.bytes;
        for tail in tails.find_overlapping_iter(bytes) {
            let rest = &bytes[..tail.end()];
            for index in &whose[tail.pattern().as_usize()] {
                let value = &self.matcher.values[*index];
                let both = rest.iter().rev().zip(value.tail.iter().rev());
                let same = both.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
                self.spend(same)?;
                let start = if same == value.tail.len() {
                    tail.end().saturating_sub(value.len)
                } else if is_cut_before(&rest[..rest.len() - same], same) {
                    tail.end() - same
                } else {
                    continue;
                };
                self.found.push(view.place(start..tail.end()));
            }
        }
        Some(())
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Whether the text after the beginning of a value shows that the rest was truncated.
fn is_cut_after(rest: &[u8], same: usize) -> bool {
    const SIGNS: [&str; 9] = ["..", "…", " ..", " …", "[", "<", " [", " <", " (trunc"];
    match rest.first() {
        None => true,
        Some(b'\n' | b'\r' | 0 | b'"' | b'\'' | b'`' | b'\\') => true,
        Some(byte) if same >= CERTAIN && !is_word_byte(*byte) => true,
        Some(_) => SIGNS.iter().any(|sign| rest.starts_with(sign.as_bytes())),
    }
}

/// Whether the text before the end of a value shows that the beginning was truncated.
fn is_cut_before(rest: &[u8], same: usize) -> bool {
    const SIGNS: [&str; 6] = ["..", "…", ".. ", "… ", "]", ">"];
    match rest.last() {
        None => true,
        Some(b'\n' | b'\r' | 0) => true,
        Some(byte) if same >= CERTAIN && !is_word_byte(*byte) => true,
        Some(_) => SIGNS.iter().any(|sign| rest.ends_with(sign.as_bytes())),
    }
}

/// Sorted, merged ranges, at character boundaries.
fn joined(mut regions: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    regions.sort_by_key(|region| region.start);
    let mut all: Vec<Range<usize>> = Vec::new();
    for region in regions {
        let start = text.floor_char_boundary(region.start);
        let end = text.ceil_char_boundary(region.end);
        if start >= end {
            continue;
        }
        match all.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => all.push(start..end),
        }
    }
    all
}
