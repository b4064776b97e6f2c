//! A failure as text.

use std::fmt::Write as _;

use super::words::{colour, indented};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::output::paint;

/// What failed, why, where it was declared and what to do: one line each. In colour if stderr supports it.
pub fn failure_text(failure: &Failure) -> String {
    text(failure, colour())
}

pub(super) fn text(failure: &Failure, colour: bool) -> String {
    let mut text = format!("{}: {}\n", paint("error", "1;31", colour), indented(&failure.what, 2));
    for cause in &failure.because {
        let mut lines = cause.lines();
        let _ = writeln!(text, "  because {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "          {line}");
        }
    }
    if let Some(location) = &failure.location {
        let _ = writeln!(text, "  at {location}");
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "{}: {}", paint("hint", "1;36", colour), indented(hint, 2));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::failure::Location;

    #[test]
    fn says_what_why_where_and_what_to_do() {
        let failure = Failure::input("no such cluster")
            .because("two\nlines")
            .at(Location { file: "a.yaml".into(), line: 3, column: 7 })
            .hint("name another");
        assert_eq!(
            text(&failure, false),
            "error: no such cluster\n  because two\n          lines\n  at a.yaml:3:7\nhint: name another\n"
        );
        let coloured = bootstrapper_core::output::shown(&text(&failure, true));
        assert!(coloured.starts_with("\x1b[1;31merror\x1b[0m: no such"));
        let forged = Failure::input("no such\nerror: none").hint("a\nhint: b");
        assert_eq!(text(&forged, false), "error: no such\n  error: none\nhint: a\n  hint: b\n");
    }
}
