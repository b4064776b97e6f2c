//! A failure as the person who has to mend it reads it.

use std::fmt::Write as _;

use super::words::{colour, paint};
use crate::failure::Failure;

/// What failed, why, where it was declared and what to do: one line each. In colour where stderr shows it.
pub fn failure_text(failure: &Failure) -> String {
    text(failure, colour())
}

pub(super) fn text(failure: &Failure, colour: bool) -> String {
    let mut text = format!("{}: {}\n", paint("error", "1;31", colour), failure.what);
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
        let _ = writeln!(text, "{}: {hint}", paint("hint", "1;36", colour));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Location;

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
        assert!(text(&failure, true).starts_with("\x1b[1;31merror\x1b[0m: no such"));
    }
}
