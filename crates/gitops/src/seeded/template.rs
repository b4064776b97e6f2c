//! The references in a template, in the syntax of `op inject`
//! (<https://developer.1password.com/docs/cli/secrets-template-syntax>). Values are inserted after the template
//! is parsed as YAML, so that no value can change its structure.

use super::Piece;
use crate::pipeline::{OnePasswordSource, SignInSpec};

/// The prefix of a placeholder; no template contains it.
const STAND_IN: &str = "bootstrapper-stand-in-";
/// The suffix of a placeholder.
const END: &str = "-in-dnats";

/// A template with its references replaced by placeholders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// The text with placeholders.
    pub(super) text: String,
    /// The pieces that the placeholders stand for.
    standing_for: Vec<Piece>,
}

/// A mistake in a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) hint: &'static str,
}

const FORM: &str = "write `{{ op://vault/item/field }}` or `op://vault/item/field`";

impl Template {
    /// Replaces the references in a template. `sign_in` has the credentials to read them with.
    pub(super) fn read(template: &str, sign_in: &SignInSpec) -> Result<Self, Mistake> {
        let mut read = Self { text: String::new(), standing_for: Vec::new() };
        for (at, line) in template.split_inclusive('\n').enumerate() {
            // Comments contain no values.
            if line.trim_start().starts_with('#') {
                read.text.push_str(line);
                continue;
            }
            read.line(line, sign_in).map_err(|(rest, what, hint)| {
                let before = line.len().saturating_sub(rest);
                let column = line.get(..before).unwrap_or_default().chars().count() + 1;
                Mistake { line: at + 1, column, what, hint }
            })?;
        }
        Ok(read)
    }

    /// Replaces the references in a line; or fails with the position from its end, what is wrong, and what to
    /// do.
    fn line(&mut self, line: &str, sign_in: &SignInSpec) -> Result<(), (usize, String, &'static str)> {
        let mut rest = line;
        let mut before = None;
        while let Some(next) = rest.chars().next() {
            if rest.starts_with(STAND_IN) {
                return Err((rest.len(), format!("a template cannot hold `{STAND_IN}`"), FORM));
            }
            if let Some(within) = rest.strip_prefix("{{") {
                let failed = |what: String, hint| (rest.len(), what, hint);
                let (expression, after) = closed(within)
                    .ok_or_else(|| failed("`{{` is not closed on its line".to_owned(), FORM))?;
                let piece =
                    enclosed(expression.trim(), sign_in).map_err(|(what, hint)| failed(what, hint))?;
                self.stand_in(piece);
                rest = after;
                before = Some('}');
                continue;
            }
            let is_begun = before
                .is_none_or(|one: char| !(one.is_alphanumeric() || matches!(one, '-' | '+' | '\\' | '.')));
            if is_begun && rest.starts_with("op://") {
                let path = rest.get(5..).unwrap_or_default();
                let end = path.find(|one: char| !is_of_reference(one)).map_or(rest.len(), |end| end + 5);
                let (reference, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if after.starts_with('$') || after.starts_with("{{") {
                    return Err((rest.len(), VARIABLES.to_owned(), NO_VARIABLES));
                }
                let piece = op(reference, sign_in).map_err(|(what, hint)| (rest.len(), what, hint))?;
                self.stand_in(piece);
                rest = after;
                before = reference.chars().next_back();
                continue;
            }
            self.text.push(next);
            before = Some(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
        Ok(())
    }

    fn stand_in(&mut self, piece: Piece) {
        for part in [STAND_IN, &self.standing_for.len().to_string(), END] {
            self.text.push_str(part);
        }
        self.standing_for.push(piece);
    }

    /// The pieces of a value.
    pub(super) fn pieces(&self, value: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut push = |piece: Piece| match (pieces.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => pieces.push(piece),
        };
        let mut parts = value.split(STAND_IN);
        push(Piece::Text(parts.next().unwrap_or_default().to_owned()));
        for part in parts {
            let (number, after) = part.split_once(END).unwrap_or((part, ""));
            let piece = number.parse().ok().and_then(|number: usize| self.standing_for.get(number));
            push(piece.cloned().unwrap_or(Piece::Text(String::new())));
            push(Piece::Text(after.to_owned()));
        }
        pieces
    }

    /// Whether a text contains a placeholder.
    pub(super) fn is_filled(text: &str) -> bool {
        text.contains(STAND_IN)
    }
}

const VARIABLES: &str = "a reference with variables";
const NO_VARIABLES: &str =
    "write the vault, item and field out: environment variables are not supported in references";

/// The text before `}}`, which a quoted text may contain.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, one) in text.char_indices() {
        if one == '\n' {
            return None;
        }
        match one {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted && text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => {
                return Some((text.get(..at)?, text.get(at + 2..)?));
            }
            _ => {}
        }
    }
    None
}

/// `op://…`, or a quoted text that is used literally.
fn enclosed(expression: &str, sign_in: &SignInSpec) -> Result<Piece, (String, &'static str)> {
    if let Some(quoted) = expression.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Ok(Piece::Text(quoted.replace("\\\"", "\"").replace("\\\\", "\\")));
    }
    if expression.starts_with("op://") {
        return op(expression, sign_in);
    }
    let hint = "a template holds 1Password references only; write `{{ \"{{\" }}` for two braces";
    Err((format!("unknown expression `{{{{ {expression} }}}}`"), hint))
}

/// Vault, item and field, with an optional section.
fn op(reference: &str, sign_in: &SignInSpec) -> Result<Piece, (String, &'static str)> {
    if reference.contains('$') {
        return Err((VARIABLES.to_owned(), NO_VARIABLES));
    }
    let path = reference.strip_prefix("op://").unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let parts: Vec<&str> = path.split('/').collect();
    if !(3..=4).contains(&parts.len()) || parts.iter().any(|part| part.trim().is_empty()) {
        return Err((format!("`{reference}` is not a 1Password reference"), FORM));
    }
    Ok(Piece::Op(OnePasswordSource { reference: reference.to_owned(), sign_in: sign_in.clone() }))
}

/// Whether a character may be part of a reference without braces.
fn is_of_reference(one: char) -> bool {
    one.is_alphanumeric() || matches!(one, '-' | '?' | '_' | '.' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(value: &str) -> Vec<Piece> {
        let template = Template::read(value, &SignInSpec::Usual).unwrap();
        template.pieces(&template.text)
    }

    fn reference(reference: &str) -> Piece {
        Piece::Op(OnePasswordSource { reference: reference.to_owned(), sign_in: SignInSpec::Usual })
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn references_are_found_as_op_inject_finds_them() {
        for (value, expected) in [
            ("op://v/i/f", vec![reference("op://v/i/f")]),
            ("op://v/i/s/f", vec![reference("op://v/i/s/f")]),
            ("{{ op://v/i/f }}", vec![reference("op://v/i/f")]),
            ("{{op://a vault/i/f}}", vec![reference("op://a vault/i/f")]),
            ("\"op://v/i/f\"", vec![text("\""), reference("op://v/i/f"), text("\"")]),
            ("u:op://v/i/f@host", vec![text("u:"), reference("op://v/i/f"), text("@host")]),
            ("op://v/i/f,op://v/i/g", vec![reference("op://v/i/f"), text(","), reference("op://v/i/g")]),
            ("{{ op://v/i/otp?attribute=otp }}", vec![reference("op://v/i/otp?attribute=otp")]),
            ("x{{ \"{{ .y }}\" }}z", vec![text("x{{ .y }}z")]),
            ("shop://v/i/f", vec![text("shop://v/i/f")]),
            ("no reference", vec![text("no reference")]),
            ("# op://v/i/f", vec![text("# op://v/i/f")]),
        ] {
            assert_eq!(pieces(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (value, place, what) in [
            ("a: op://v/i", (1, 4), "not a 1Password reference"),
            ("a: b\nc: \"{{ op://v//f }}\"", (2, 5), "not a 1Password reference"),
            ("a: {{ .Values.x }}", (1, 4), "unknown expression"),
            ("a: {{ op://v/i/f", (1, 4), "not closed"),
            ("a: op://${APP}/i/f", (1, 4), "variables"),
            ("a: {{ op://${APP:-dev}/i/f }}", (1, 4), "variables"),
            ("a: bootstrapper-stand-in-0", (1, 4), "cannot hold"),
        ] {
            let mistake = Template::read(value, &SignInSpec::Usual).unwrap_err();
            assert_eq!((mistake.line, mistake.column), place, "{value}");
            assert!(mistake.what.contains(what), "{value}: {}", mistake.what);
        }
    }

    #[test]
    fn anything_may_stand_in_a_template() {
        let seeds = ["a: {{ op://v/i/f }}\nb: op://v/i/s/f?x=y\nc: '{{ \"x\\\"\" }}'\n# {{\n"];
        bootstrapper_core::fuzzing::texts(&seeds, |text| {
            drop(Template::read(text, &SignInSpec::Usual).map(|template| template.pieces(&template.text)));
        });
    }
}
