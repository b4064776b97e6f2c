//! Formatting of durations, and truncation of lines.

use std::io::IsTerminal as _;
use std::time::Duration;

use bootstrapper_core::output;

/// `0.4s`, `41s`, `2m58s`, `1h05m`.
pub fn duration(duration: Duration) -> String {
    let (tenths, seconds) = ((duration.as_millis() + 50) / 100, (duration.as_millis() + 500) / 1000);
    match seconds {
        _ if tenths < 100 => format!("{}.{}s", tenths / 10, tenths % 10),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The width of a text, in characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// At most `room` characters, on one line; truncation is marked with `…`.
pub(super) fn cut(text: &str, room: usize) -> String {
    // Mask before truncating: a partial secret is harder to find, and escaped characters need more space.
    let line = output::shown(&text.replace(['\n', '\r', '\t'], " "));
    if width(&line) <= room {
        return line;
    }
    let mut kept: String = line.chars().take(room.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// Whether stderr supports colour, and the user wants it.
pub(super) fn colour() -> bool {
    std::io::stderr().is_terminal() && is_wanted()
}

/// Whether stdout supports colour, and the user wants it.
pub fn colour_of_stdout() -> bool {
    std::io::stdout().is_terminal() && is_wanted()
}

fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A multi-line text with all lines but the first indented, so that no line of it looks like one of ours.
pub fn indented(text: &str, by: usize) -> String {
    let text = text.trim_end();
    if text.contains('\n') { text.replace('\n', &format!("\n{:by$}", "")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_say_them() {
        for (millis, said) in [
            (0, "0.0s"),
            (420, "0.4s"),
            (9_949, "9.9s"),
            (9_960, "10s"),
            (41_200, "41s"),
            (59_700, "1m00s"),
            (178_000, "2m58s"),
            (3_900_000, "1h05m"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), said);
        }
    }

    #[test]
    fn a_cut_line_says_so() {
        assert_eq!(cut("waits for pods", 20), "waits for pods");
        assert_eq!(cut("waits for pods", 7), "waits…");
        assert_eq!(cut("a\nb", 7), "a b");
    }
}
