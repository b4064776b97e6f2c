//! Text formatting: counts, and one-line texts.

use std::borrow::Cow;
use std::fmt::Display;

/// `1 step`, `2 steps`, `no steps`.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(0) {
        format!("no {noun}s")
    } else if number == N::from(1) {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A text on one line: line breaks are shown as `\n`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace("\r\n", "\\n").replace('\n', "\\n").replace('\r', "\\r"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_things() {
        assert_eq!([0_u64, 1, 2].map(|n| count(n, "write")), ["no writes", "1 write", "2 writes"]);
    }
}
