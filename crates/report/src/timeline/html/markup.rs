//! Text and numbers within HTML.

use bootstrapper_core::output::{one_line, shown};

/// A text for an element or a quoted attribute: without markup, secrets and control characters.
pub(super) fn escaped(text: &str) -> String {
    let text = shown(&one_line(text).replace('\t', " "));
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            one if one.is_control() => escaped.push('\u{fffd}'),
            one => escaped.push(one),
        }
    }
    escaped
}

/// A part of a whole, as the number of a percentage between 0 and 100.
pub(super) fn percent(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { (100.0 * part / whole).clamp(0.0, 100.0) } else { 0.0 };
    format!("{percent:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escaped("<b title='x\"'>&\u{1b}[2J\n"),
            "&lt;b title=&#39;x&quot;&#39;&gt;&amp;\\x1b[2J\\n"
        );
    }

    #[test]
    fn a_percentage_is_one() {
        assert_eq!(percent(1.0, 3.0), "33.33");
        assert_eq!(percent(5.0, 0.0), "0.00");
        assert_eq!(percent(5.0, 1.0), "100.00");
    }
}
