//! Neutralizes foreign text: escape sequences, control characters, bidirectional and invisible characters, CI
//! workflow commands. They are shown as `\x1b` or `\u{202e}`, so that their presence is visible.

#![allow(clippy::string_slice, reason = "cut where something was found, which is between characters")]

use std::borrow::Cow;
use std::fmt::Write as _;

use super::paint;

/// How a text is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text for people.
    Text,
    /// A user's file: everything harmless stays, byte for byte.
    File,
    /// JSON: dangerous characters use JSON escapes, so that the parsed value is the same.
    Json,
}

/// Words that a CI runner interprets anywhere in a line, and the number of their bytes to keep.
const ANYWHERE: [(&str, usize); 6] = [
    ("##[", 1),
    ("##vso[", 1),
    ("##teamcity[", 1),
    ("section_start:", 13),
    ("section_end:", 11),
    ("travis_fold:", 11),
];

pub(super) fn text(text: &str, kind: Kind) -> Cow<'_, str> {
    if !may_be_dangerous(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 32);
    let mut rest = text;
    let mut is_first = true;
    let mut is_line_start = true;
    // Its colons follow on the same line, after blanks.
    let mut is_command = false;
    while let Some(one) = rest.chars().next() {
        if is_line_start && kind != Kind::Json {
            is_line_start = false;
            if is_workflow_command(rest) {
                is_command = true;
            }
        }
        if is_command && rest.starts_with("::") {
            is_command = false;
            shown.push_str(": :");
            rest = &rest[2..];
            continue;
        }
        if let Some((code, after)) = paint::own(rest) {
            let _ = write!(shown, "\x1b[{code}m");
            rest = after;
            continue;
        }
        if let Some((word, kept)) = ANYWHERE.iter().find(|(word, _)| starts_with(rest, word)) {
            let (before, broken) = rest[..word.len()].split_at(*kept);
            shown.push_str(before);
            match broken.chars().next() {
                Some(next) if kind == Kind::Json => {
                    let _ = write!(shown, "\\u{:04x}", u32::from(next));
                    rest = &rest[kept + next.len_utf8()..];
                }
                _ => {
                    shown.push(' ');
                    rest = &rest[*kept..];
                }
            }
            continue;
        }
        let after = &rest[one.len_utf8()..];
        if one == '\n' || (one == '\r' && after.starts_with('\n')) || one == '\t' {
            // CI runners accept both as line ends, and look for commands in each line.
            is_line_start = one == '\n';
            shown.push(one);
        } else if is_dangerous(one, kind) && !(kind == Kind::File && is_first && one == '\u{feff}') {
            escape(&mut shown, one, kind);
        } else {
            shown.push(one);
        }
        is_first = false;
        rest = after;
    }
    Cow::Owned(shown)
}

fn may_be_dangerous(text: &str) -> bool {
    let byte = |byte: u8| byte < b' ' && byte != b'\n' && byte != b'\t' || byte == 0x7f || byte > 0x7f;
    text.bytes().any(byte) || text.contains("::") || text.contains("##") || {
        let lower = || text.to_ascii_lowercase();
        text.contains(':') && ["section_", "travis_"].iter().any(|word| lower().contains(word))
    }
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Whether a line is a GitHub workflow command: `::set-output name=x::y`.
fn is_workflow_command(text: &str) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    let command = line.trim_start_matches(|one: char| one.is_whitespace() || is_dangerous(one, Kind::Text));
    let name = command.strip_prefix("::").unwrap_or_default();
    // `::ffff:10.0.0.1` is an IPv6 address.
    let word = name.split(|one: char| !one.is_alphanumeric() && one != '-').next().unwrap_or_default();
    let is_address = word.chars().all(|one| one.is_ascii_hexdigit());
    name.starts_with(|one: char| one.is_alphabetic()) && (!is_address || name.contains("::"))
}

fn is_dangerous(one: char, kind: Kind) -> bool {
    match one {
        '\n' | '\t' => false,
        // All other control characters, including C1.
        one if one.is_control() => true,
        // Joiners of scripts and of emoji, and soft hyphens, are harmless in a file.
        '\u{200c}' | '\u{200d}' | '\u{ad}' => kind == Kind::Text,
        // Zero-width characters, and those that change the text direction.
        '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

fn escape(shown: &mut String, one: char, kind: Kind) {
    let code = u32::from(one);
    let _ = match one {
        _ if kind == Kind::Json => {
            let mut units = [0; 2];
            one.encode_utf16(&mut units).iter().try_for_each(|unit| write!(shown, "\\u{unit:04x}"))
        }
        '\r' => write!(shown, "\\r"),
        _ if code < 0x100 => write!(shown, "\\x{code:02x}"),
        _ => write!(shown, "\\u{{{code:x}}}"),
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(one: &str) -> String {
        text(one, Kind::Text).into_owned()
    }

    #[test]
    fn what_a_terminal_or_a_ci_system_obeys_is_shown_instead() {
        for (given, expected) in [
            ("plain\n\ttext ✓ …\r\n", "plain\n\ttext ✓ …\r\n"),
            ("\x1b[2Jgone", "\\x1b[2Jgone"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u{9b}31m", "\\x9b31m"),
            ("over\rwritten", "over\\rwritten"),
            ("a\u{202e}b\u{200b}c", "a\\u{202e}b\\u{200b}c"),
            ("\x08\x7f\0", "\\x08\\x7f\\x00"),
            ("::set-output name=a::b", ": :set-output name=a::b"),
            ("x\n  ::add-mask::b\n", "x\n  : :add-mask::b\n"),
            ("\u{a0}::stop-commands::x", "\u{a0}: :stop-commands::x"),
            ("::1 is loopback, ::ffff:10.0.0.1 too", "::1 is loopback, ::ffff:10.0.0.1 too"),
            ("fd00::1::", "fd00::1::"),
            ("::set-output name", ": :set-output name"),
            ("say ##[error]x", "say # #[error]x"),
            ("say ##vso[task.setvariable]x", "say # #vso[task.setvariable]x"),
            ("##TeamCity[x]", "# #TeamCity[x]"),
            ("section_start:1:a\r\x1b[0K", "section_start :1:a\\r\\x1b[0K"),
            ("## a title", "## a title"),
            ("\u{fdd0}1;31\u{fdd1}red", "\\u{fdd0}1;31\\u{fdd1}red"),
        ] {
            assert_eq!(shown(given), expected, "{given:?}");
        }
    }

    #[test]
    fn our_own_colours_stay_and_nobody_elses() {
        assert_eq!(shown(&paint::paint("error", "1;31", true)), "\x1b[1;31merror\x1b[0m");
        assert_eq!(shown("\x1b[1;31merror\x1b[0m"), "\\x1b[1;31merror\\x1b[0m");
    }

    #[test]
    fn a_file_stays_as_it_is_but_for_what_is_dangerous() {
        let file = |given: &str| text(given, Kind::File).into_owned();
        let plain = "\u{feff}a: 👩\u{200d}💻\r\nb: co\u{ad}op\n";
        assert_eq!(file(plain), plain);
        assert_eq!(file("a: \x1b[2J\u{202e}b"), "a: \\x1b[2J\\u{202e}b");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left_of_any_text(given in any::<String>(), word in "(::a b::|##\\[x|##vso\\[|\x1b\\[2J|\r|\n| ){0,6}") {
            let shown = shown(&format!("{given}{word}{given}"));
            prop_assert!(!shown.replace("\r\n", "").chars().any(|one| is_dangerous(one, Kind::Text)), "{shown:?}");
            prop_assert!(!shown.contains("##[") && !shown.contains("##vso["));
            prop_assert!(!shown.lines().any(is_workflow_command), "{shown:?}");
        }

        #[test]
        fn json_reads_the_same(given in any::<String>(), word in "(::a::|##\\[x|section_start:|\u{202e}|\u{e0001}| ){0,6}") {
            let given = format!("{given}{word}");
            let written = serde_json::to_string(&given).unwrap();
            let shown = text(&written, Kind::Json).into_owned();
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), given);
            let is_left = ["##[", "\u{202e}", "\u{e0001}"].iter().any(|one| shown.contains(one));
            prop_assert!(!is_left, "{}", shown);
        }
    }
}
