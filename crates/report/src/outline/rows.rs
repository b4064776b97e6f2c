//! Rows: a mark, a step as `--only` takes it, and a text; details below.

use std::fmt::Write as _;

use crate::words::width;
use bootstrapper_core::output::{one_line, paint};

/// Longer names do not widen the column of all.
const WIDEST: usize = 40;

pub(super) struct Rows {
    text: String,
    wide: usize,
    colour: bool,
}

impl Rows {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>, colour: bool) -> Self {
        let wide = names.map(width).filter(|wide| *wide <= WIDEST).max().unwrap_or(0);
        Self { text: String::new(), wide, colour }
    }

    pub(super) fn row(&mut self, name: &str, mark: &str, said: &str) {
        let (name, said, mark) = (one_line(name), one_line(said), self.painted(mark));
        let _ = writeln!(self.text, "  {mark} {name:wide$}  {said}", wide = self.wide);
    }

    pub(super) fn detail(&mut self, mark: &str, said: &str) {
        let (said, mark) = (one_line(said), self.painted(mark));
        let _ = writeln!(self.text, "      {mark} {said}");
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn painted(&self, mark: &str) -> String {
        let code = match mark {
            "+" | "✓" => "32",
            "~" | "…" => "33",
            "-" | "✗" | "!" => "1;31",
            "=" | "why" => "2",
            "?" => "36",
            _ => return mark.to_owned(),
        };
        paint(mark, code, self.colour)
    }
}
