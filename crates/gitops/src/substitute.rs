//! Flux's post-build substitution: the dialect of `fluxcd/pkg/envsubst` (a fork of drone/envsubst), strict like
//! kustomize-controller since 1.9. `tests/offline/substitution.rs` compares it with the original.

// It slices at ASCII characters that it has found.
#![allow(clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::glob;
use bootstrapper_core::failure::{Failure, Result};

/// Why a text could not be substituted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubstituteError {
    /// The variable has no value, and the expression has no default.
    Undefined(String),
    /// An invalid `${…}`; has its beginning.
    Malformed(String),
    /// Its expansion exceeds the limit of size or work.
    Excessive,
}

impl fmt::Display for SubstituteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(f, "${{{name}}} is not defined"),
            Self::Malformed(text) => write!(f, "`{text}` is not a valid substitution"),
            Self::Excessive => f.write_str("its variables expand to too much text"),
        }
    }
}

/// The result of a substitution, and its errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The text; failed substitutions are empty or unchanged.
    pub(super) text: String,
    /// Every variable in the text, with or without a value.
    pub(super) used: BTreeSet<String>,
    /// Each error once, in the order of the text.
    pub(super) errors: Vec<SubstituteError>,
}

/// Substitutes `${…}` in `text`. `$v`, `$(v)` are unchanged; `$$` becomes `$`.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, SubstituteError> {
    let outcome = substitute_all(text, |name| variables.get(name).map(String::as_str));
    outcome.errors.into_iter().next().map_or(Ok(outcome.text), Err)
}

/// [`substitute`] that continues after an error.
pub(super) fn substitute_all<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> Outcome {
    let mut parser = Parser {
        rest: text,
        whole: text,
        depth: 0,
        value: &value,
        used: BTreeSet::new(),
        errors: Vec::new(),
        work: 0,
    };
    let mut out = String::with_capacity(text.len());
    while let Some(at) = parser.rest.find('$') {
        out.push_str(&parser.rest[..at]);
        parser.rest = &parser.rest[at..];
        if parser.take("$$") {
            out.push('$');
        } else if parser.take("${") {
            let after = parser.rest;
            match parser.expression() {
                Ok(value) if out.len() + value.len() <= text.len() + LONGEST => out.push_str(&value),
                Ok(_) | Err(SubstituteError::Excessive) => {
                    parser.errors.push(SubstituteError::Excessive);
                    parser.rest = "";
                    break;
                }
                Err(error) => {
                    parser.refuse(error);
                    parser.rest = after;
                    out.push_str("${");
                }
            }
        } else {
            parser.take("$");
            out.push('$');
        }
    }
    out.push_str(parser.rest);
    Outcome { text: out, used: parser.used, errors: parser.errors }
}

/// [`substitute`] for texts of task files: a failure names the variable.
pub fn substitute_text(text: &str, settings: &BTreeMap<String, String>) -> Result<String> {
    substitute(text, settings).map_err(|error| {
        Failure::input(error.to_string())
            .hint("define it in the cluster's settings.yaml, or correct the task file")
    })
}

/// The limit on the growth of a text: no larger object can be applied.
const LONGEST: usize = 4 * 1024 * 1024;

/// The limit on pattern matching in one text: characters of values times characters of patterns.
const WORK: usize = 400_000_000;

/// The maximum number of reported errors of one text.
const MOST_REPORTED: usize = 500;

/// The maximum nesting of expressions, because the stack is limited.
const DEEPEST: usize = 100;

struct Parser<'a, 'v> {
    rest: &'a str,
    whole: &'a str,
    depth: usize,
    value: &'a dyn Fn(&str) -> Option<&'v str>,
    used: BTreeSet<String>,
    errors: Vec<SubstituteError>,
    work: usize,
}

impl<'a, 'v> Parser<'a, 'v> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accepts(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Parses what follows `${`, up to the closing brace.
    fn expression(&mut self) -> Result<String, SubstituteError> {
        if self.depth == DEEPEST {
            return Err(self.malformed());
        }
        self.depth += 1;
        let value = self.shallow_expression();
        self.depth -= 1;
        if self.work > WORK || value.as_ref().is_ok_and(|value| value.len() > LONGEST) {
            return Err(SubstituteError::Excessive);
        }
        value
    }

    fn shallow_expression(&mut self) -> Result<String, SubstituteError> {
        if self.take("#") {
            let name = self.name()?;
            self.close()?;
            return Ok(self.value(name).len().to_string());
        }
        let name = self.name()?;
        let mut chars = self.rest.chars();
        match (chars.next(), chars.next()) {
            (Some(':'), Some('=' | '-' | '?' | '+')) => self.or_default(name, 2),
            (Some('='), _) => self.or_default(name, 1),
            (Some(':'), _) => self.part(name),
            (Some(',' | '^'), _) => self.cased(name),
            (Some('/'), _) => self.replaced(name),
            (Some(side @ ('#' | '%')), _) => self.trimmed(name, side),
            _ => {
                self.close()?;
                Ok(self.value(name).to_owned())
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, SubstituteError> {
        let name = self.take_while(|c| c.is_alphabetic() || c.is_numeric() || c == '_');
        if name.is_empty() { Err(self.malformed()) } else { Ok(name) }
    }

    /// The value of a variable; if it has none, empty, with an error.
    fn value(&mut self, name: &str) -> &'v str {
        self.used.insert(name.to_owned());
        let value = (self.value)(name).unwrap_or_else(|| {
            self.refuse(SubstituteError::Undefined(name.to_owned()));
            ""
        });
        self.work = self.work.saturating_add(value.len());
        value
    }

    fn refuse(&mut self, error: SubstituteError) {
        if self.errors.len() < MOST_REPORTED && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn close(&mut self) -> Result<(), SubstituteError> {
        if self.take("}") { Ok(()) } else { Err(self.malformed()) }
    }

    fn malformed(&self) -> SubstituteError {
        let before = &self.whole[..self.whole.len() - self.rest.len()];
        let start = before.rfind("${").unwrap_or_default();
        let shown: String = self.whole[start..].chars().take_while(|c| *c != '\n').take(40).collect();
        SubstituteError::Malformed(shown)
    }

    /// An argument: a nested expression, or plain text up to one of `ends`.
    fn argument(&mut self, ends: &[char]) -> Result<String, SubstituteError> {
        if self.take("${") {
            return self.expression();
        }
        let stop = self.rest.find("${").unwrap_or(self.rest.len());
        let end = self.rest[..stop].find(ends).unwrap_or(stop);
        if end == 0 {
            return Err(self.malformed());
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(text.to_owned())
    }

    /// An argument in which `\/`, `\\` and `$$` are escapes of their second character.
    fn escaped_argument(&mut self, end: char) -> Result<String, SubstituteError> {
        if self.take("${") {
            return self.expression();
        }
        let mut text = String::new();
        loop {
            if self.rest.starts_with("${") {
                break;
            }
            let mut chars = self.rest.chars();
            let Some(first) = chars.next() else { break };
            match (first, chars.next()) {
                ('$', Some('$')) | ('\\', Some('/' | '\\')) => {
                    text.extend(self.rest.chars().nth(1));
                    self.rest = &self.rest[2..];
                }
                _ if first == end => break,
                _ => {
                    text.push(first);
                    self.rest = chars_after(self.rest, first);
                }
            }
        }
        if text.is_empty() { Err(self.malformed()) } else { Ok(text) }
    }

    /// `${v:-default}`: the original treats every operator of this family as `:-`.
    fn or_default(&mut self, name: &str, operator: usize) -> Result<String, SubstituteError> {
        self.rest = &self.rest[operator..];
        let mut default = String::new();
        while !self.take("}") {
            default.push_str(&self.argument(&['}'])?);
            if default.len() > LONGEST {
                return Err(SubstituteError::Excessive);
            }
        }
        self.used.insert(name.to_owned());
        let value = (self.value)(name).filter(|value| !value.is_empty());
        Ok(value.map_or(default, str::to_owned))
    }

    /// `${v:offset}` and `${v:offset:length}`.
    fn part(&mut self, name: &str) -> Result<String, SubstituteError> {
        self.take(":");
        let offset = self.argument(&[':', '}'])?;
        let length = if self.take("}") {
            None
        } else {
            if !self.take(":") {
                return Err(self.malformed());
            }
            self.take_while(|c| c == ':');
            let length = self.argument(&['}'])?;
            self.close()?;
            Some(length)
        };
        Ok(part_of(self.value(name), &offset, length.as_deref()))
    }

    fn cased(&mut self, name: &str) -> Result<String, SubstituteError> {
        let operator = self.operator(|c| c == ',' || c == '^', 2);
        self.close()?;
        let value = self.value(name);
        Ok(match operator {
            "," => first_cased(value, |c| c.to_lowercase().collect()),
            ",," => value.to_lowercase(),
            "^" => first_cased(value, |c| c.to_uppercase().collect()),
            "^^" => value.to_uppercase(),
            _ => value.to_owned(),
        })
    }

    fn operator(&mut self, accepts: impl Fn(char) -> bool, longest: usize) -> &'a str {
        let end = self.rest.chars().take(longest).take_while(|c| accepts(*c)).count();
        let (operator, rest) = self.rest.split_at(end);
        self.rest = rest;
        operator
    }

    fn replaced(&mut self, name: &str) -> Result<String, SubstituteError> {
        self.take("/");
        let second = self.operator(|c| matches!(c, '/' | '#' | '%'), 1);
        let from = self.escaped_argument('/')?;
        // The original treats any number of slashes as one.
        if self.take_while(|c| c == '/').is_empty() {
            return Err(self.malformed());
        }
        let to = if self.rest.starts_with('}') { None } else { Some(self.escaped_argument('}')?) };
        self.close()?;
        let value = self.value(name);
        let with = to.as_deref().unwrap_or_default();
        if second == "/" && value.matches(&from).count().saturating_mul(with.len()) > LONGEST {
            return Err(SubstituteError::Excessive);
        }
        Ok(match (second, &to) {
            ("/", _) => value.replace(&from, with),
            ("", _) => value.replacen(&from, with, 1),
            ("#", Some(to)) => {
                value.strip_prefix(&from).map_or(value.to_owned(), |rest| format!("{to}{rest}"))
            }
            ("%", Some(to)) => {
                value.strip_suffix(&from).map_or(value.to_owned(), |rest| format!("{rest}{to}"))
            }
            _ => value.to_owned(),
        })
    }

    fn trimmed(&mut self, name: &str, side: char) -> Result<String, SubstituteError> {
        let operator = self.operator(|c| c == side, 2);
        let pattern = self.argument(&['}'])?;
        self.close()?;
        let longest = operator.len() == 2;
        let mut value: Vec<char> = self.value(name).chars().collect();
        let mut pattern: Vec<char> = pattern.chars().collect();
        self.work = self.work.saturating_add(value.len().saturating_mul(pattern.len()));
        if self.work > WORK {
            return Err(SubstituteError::Excessive);
        }
        if side == '#' {
            return Ok(without_prefix(&value, &pattern, longest).iter().collect());
        }
        // The original trims a suffix as the prefix of both reversed, escapes and all.
        value.reverse();
        pattern.reverse();
        Ok(without_prefix(&value, &pattern, longest).iter().rev().collect())
    }
}

fn chars_after(text: &str, first: char) -> &str {
    &text[first.len_utf8()..]
}

fn first_cased(value: &str, cased: impl Fn(char) -> String) -> String {
    let mut chars = value.chars();
    chars.next().map_or_else(String::new, |first| cased(first) + chars.as_str())
}

/// Removes the shortest or longest matching non-empty prefix.
fn without_prefix<'a>(value: &'a [char], pattern: &[char], longest: bool) -> &'a [char] {
    glob::prefix(pattern, value, longest).map_or(value, |length| &value[length..])
}

/// Offsets count bytes, as in the original; one that would split a character returns the whole value.
fn part_of(value: &str, offset: &str, length: Option<&str>) -> String {
    let Ok(offset) = offset.parse::<i64>() else { return value.to_owned() };
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { (size + offset).max(0) } else { offset };
    let to = match length.map(str::parse::<i64>) {
        None => size,
        Some(Err(_)) => return value.to_owned(),
        Some(Ok(length)) if length < 0 => size + length,
        Some(Ok(length)) => from.saturating_add(length).min(size),
    };
    if from >= size || to < from {
        return String::new();
    }
    let range = usize::try_from(from).unwrap_or_default()..usize::try_from(to).unwrap_or_default();
    value.get(range).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [("A", "alpha"), ("B", "Beta"), ("U", ""), ("P", "/a/b/c.tar.gz"), ("N", "A")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn the_dialect() {
        let cases = [
            ("x ${A} y", "x alpha y"),
            ("$A $(A) $5 $", "$A $(A) $5 $"),
            ("$$A $${A} $$", "$A ${A} $"),
            ("${U:-d}", "d"),
            ("${X:-d}", "d"),
            ("${X:=d}", "d"),
            ("${X=d}", "d"),
            ("${A:+alt}", "alpha"),
            ("${U:?e}", "e"),
            ("${X:-${A}-${B}}", "alpha-Beta"),
            ("${X:-}", ""),
            ("${#A}", "5"),
            ("${A:1}", "lpha"),
            ("${A:1:2}", "lp"),
            ("${A:-2}", "alpha"),
            ("${A:1:-1}", "lph"),
            ("${A^}", "Alpha"),
            ("${A^^}", "ALPHA"),
            ("${B,}", "beta"),
            ("${B,,}", "beta"),
            ("${A/a/o}", "olpha"),
            ("${A//a/o}", "olpho"),
            ("${A//a/}", "lph"),
            ("${A/#al/x}", "xpha"),
            ("${A/%ha/x}", "alpx"),
            ("${P#*/}", "a/b/c.tar.gz"),
            ("${P##*/}", "c.tar.gz"),
            ("${P%.*}", "/a/b/c.tar"),
            ("${P%%.*}", "/a/b/c"),
            ("${P/\\/a\\//x}", "xb/c.tar.gz"),
        ];
        for (text, wanted) in cases {
            assert_eq!(substitute(text, &variables()).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_refused() {
        for text in ["${X}", "${X^^}", "${#X}", "${X/a/b}", "${1A}"] {
            assert!(matches!(substitute(text, &variables()), Err(SubstituteError::Undefined(_))), "{text}");
        }
    }

    #[test]
    fn what_the_dialect_does_not_know_is_refused() {
        for text in ["${A-d}", "${A?e}", "${a.b}", "${{ x }}", "${}", "${!A}", "${A", "${A/x}"] {
            assert!(matches!(substitute(text, &variables()), Err(SubstituteError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let long = "a".repeat(1024 * 1024);
        let variables: BTreeMap<String, String> =
            [("A".to_owned(), long), ("P".to_owned(), "*a".repeat(2000))].into();
        for text in [
            "${A}".repeat(64).as_str(),
            "${A//a/${A}}",
            "${A##${P}}",
            "${A%%${P}}",
            &format!("${{X:={}}}", "${A}".repeat(64)),
            &"${A##zz}".repeat(5000),
        ] {
            assert_eq!(substitute(text, &variables), Err(SubstituteError::Excessive), "{text:.40}");
        }
    }

    #[test]
    fn anything_may_be_substituted_in() {
        let seeds = ["a: ${A:=x} ${B^^} ${P##*/} ${P%.gz} ${A:1:2} ${P/a/b} $$A ${#A} ${A/#a/${B}}"];
        bootstrapper_core::fuzzing::texts(&seeds, |text| drop(substitute(text, &variables())));
    }
}
