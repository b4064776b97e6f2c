//! Our own colours: marked with a random key until they are printed.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';

/// Authors of foreign text cannot know it.
static KEY: LazyLock<String> =
    LazyLock::new(|| format!("{:x}{:x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2)));

/// `text` in an ANSI colour (`1;31`), if `colour`.
pub fn paint(text: &str, code: &str, colour: bool) -> String {
    let key = KEY.as_str();
    if colour { format!("{BEGIN}{key} {code}{END}{text}{BEGIN}{key} 0{END}") } else { text.to_owned() }
}

/// Marks the colours in a text of ours.
pub fn trusted(text: &str) -> String {
    let key = KEY.as_str();
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        marked.push_str(before);
        match after.split_once('m') {
            Some((code, after)) if code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') => {
                let _ = write!(marked, "{BEGIN}{key} {code}{END}");
                rest = after;
            }
            _ => {
                marked.push_str("\x1b[");
                rest = after;
            }
        }
    }
    marked.push_str(rest);
    marked
}

/// The colour code at the beginning of a text, if it is ours, and the rest of the text.
pub(super) fn own(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(BEGIN)?.strip_prefix(KEY.as_str())?.strip_prefix(' ')?.split_once(END)
}
