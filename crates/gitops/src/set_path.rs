//! Sets a value at `targetPath`, in the syntax of `helm --set`.
//!
//! helm-controller passes `<path>=<text>` to `strvals`, so the text has a syntax too: `a,b=c` sets two values,
//! `{a,b}` is a list. Only `literal`, or quotes around the text, use it unchanged.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use super::shared_values::{Shared, SharedList, SharedMap};

/// Helm's own limit.
const LONGEST_LIST: usize = 65_536;
const DEEPEST: usize = 30;

/// The maximum number of list indices of a path.
const MOST_INDICES: usize = 1_000;

/// Why parsing stops.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// The end of the text; values set so far are kept.
    End,
    /// A syntax error. Never contains the text, which may be a Secret's.
    Refused(&'static str),
}

/// A text to set.
pub(super) struct Text<'a> {
    pub(super) says: &'a str,
    /// Whether it is used unchanged.
    pub(super) is_literal: bool,
    /// Whether it comes from a Secret.
    pub(super) is_secret: bool,
}

/// Sets a text at `path`; or fails with the reason.
pub(super) fn set(values: &SharedMap, path: &str, text: &Text<'_>) -> Result<(), &'static str> {
    let Text { says: text, is_literal, is_secret } = *text;
    let is_quoted = |quote: char| text.starts_with(quote) && text.ends_with(quote);
    let (text, as_text) = if is_literal {
        (escaped(text), true)
    } else if is_quoted('\'') || is_quoted('"') {
        (text.trim_matches(['\'', '"']).to_owned(), true)
    } else {
        (text.to_owned(), false)
    };
    let line = format!("{path}={text}");
    let mut reader = Reader { rest: line.chars().peekable(), as_text, is_secret, indices: 0 };
    loop {
        match reader.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Refused(why)) => return Err(why),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if ['\\', ',', '[', ']', '{', '}'].contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    as_text: bool,
    is_secret: bool,
    indices: usize,
}

impl Reader<'_> {
    /// Parses a key, and sets its value.
    fn key(&mut self, map: &SharedMap, depth: usize) -> Result<(), Stop> {
        let (name, ended_by) = self.until(&['=', '[', ',', '.']);
        match ended_by {
            None if name.is_empty() => Err(Stop::End),
            None => Err(Stop::Refused("a key has no value")),
            Some('[') => {
                let index = self.index()?;
                let list = match map.get(&name) {
                    None => SharedList::default(),
                    Some(Shared::List(list)) => list,
                    Some(_) => return Err(Stop::Refused("an index is used on a value that is not a list")),
                };
                let read = self.item(&list, index, depth);
                let (list, outcome) = match read {
                    Ok(longer) => (longer, Ok(())),
                    Err(stop) => (list, Err(stop)),
                };
                map.put(name, Shared::List(list));
                outcome
            }
            Some('.') if depth == DEEPEST => Err(Stop::Refused("it is nested deeper than Helm supports")),
            Some('.') => {
                let inner = match map.get(&name) {
                    None => SharedMap::default(),
                    Some(Shared::Map(inner)) => inner,
                    Some(_) => return Err(Stop::Refused("a key is used on a value that is not a map")),
                };
                let outcome = self.key(&inner, depth + 1);
                if inner.is_empty() {
                    return outcome.and(Err(Stop::Refused("a key has no value")));
                }
                map.put(name, Shared::Map(inner));
                outcome
            }
            Some('=') => {
                let value = self.value()?;
                let outcome = if value.is_some() { Ok(()) } else { Err(Stop::End) };
                map.put(name, value.unwrap_or_else(nothing));
                outcome
            }
            Some(_) => Err(Stop::Refused("a key has no value")),
        }
    }

    /// Parses what follows `[index]`, and returns the list with it.
    fn item(&mut self, list: &SharedList, index: usize, depth: usize) -> Result<SharedList, Stop> {
        let (between, ended_by) = self.until(&['[', '.', '=']);
        if !between.is_empty() {
            return Err(Stop::Refused("invalid text after a list index"));
        }
        let item = match ended_by {
            None => return Err(Stop::End),
            Some('=') => self.value()?.unwrap_or_else(nothing),
            Some('[') => {
                let inner_index = self.index()?;
                let inner = match list.get(index) {
                    None | Some(Shared::Scalar(Value::Null)) => SharedList::default(),
                    Some(Shared::List(inner)) => inner,
                    Some(_) => return Err(Stop::Refused("an index is used on a value that is not a list")),
                };
                Shared::List(self.item(&inner, inner_index, depth)?)
            }
            Some(_) => {
                let inner = match list.get(index) {
                    None => SharedMap::default(),
                    Some(Shared::Map(inner)) => inner,
                    Some(_) => {
                        let inner = SharedMap::default();
                        list.with(index, Shared::Map(inner.clone()));
                        inner
                    }
                };
                self.key(&inner, depth)?;
                Shared::Map(inner)
            }
        };
        Ok(list.with(index, item))
    }

    /// `0]`.
    fn index(&mut self) -> Result<usize, Stop> {
        self.indices += 1;
        let (index, ended_by) = self.until(&[']']);
        if ended_by.is_none() {
            return Err(Stop::End);
        }
        let index = index.parse().ok().filter(|index| *index <= LONGEST_LIST);
        let index = index.filter(|_| self.indices <= MOST_INDICES);
        index.ok_or(Stop::Refused("invalid list index"))
    }

    /// A list in braces, or anything up to a comma; none at the end.
    fn value(&mut self) -> Result<Option<Shared>, Stop> {
        match self.rest.peek() {
            None => Ok(None),
            Some('{') => {
                self.rest.next();
                self.list().map(Some)
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                Ok(Some(self.scalar(text)))
            }
        }
    }

    fn list(&mut self) -> Result<Shared, Stop> {
        let mut items = Vec::new();
        loop {
            let (text, ended_by) = self.until(&[',', '}']);
            if ended_by.is_none() {
                return Err(Stop::Refused("unterminated list"));
            }
            items.push(self.scalar(text));
            if ended_by == Some('}') {
                self.rest.next_if_eq(&',');
                return Ok(Shared::List(SharedList::of(items)));
            }
        }
    }

    /// The typed value of a text: numbers, booleans and null have their types.
    fn scalar(&self, text: String) -> Shared {
        let is = |word: &str| !self.as_text && text.eq_ignore_ascii_case(word);
        let is_number = !self.as_text && (text == "0" || !text.starts_with('0'));
        if let Some(number) = text.parse::<i64>().ok().filter(|_| is_number) {
            return Shared::Integer { number, is_secret: self.is_secret };
        }
        Shared::Scalar(if is("true") {
            true.into()
        } else if is("false") {
            false.into()
        } else if is("null") {
            Value::Null
        } else {
            text.into()
        })
    }

    /// Reads up to one of `stops`, and returns which; none at the end. `\` escapes the next character.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(character) = self.rest.next() {
            if stops.contains(&character) {
                return (text, Some(character));
            }
            let taken = if character == '\\' { self.rest.next() } else { Some(character) };
            text.extend(taken);
        }
        (text, None)
    }
}

fn nothing() -> Shared {
    Shared::Scalar("".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(before: Value, path: &str, text: &str) -> Result<Value, &'static str> {
        let values = SharedMap::of(before);
        set(&values, path, &Text { says: text, is_literal: false, is_secret: false }).map(|()| values.value())
    }

    #[test]
    fn paths_lead_through_maps_and_lists() {
        let table = [
            (json!({}), "a.b\\.c.d", json!({"a": {"b.c": {"d": 5}}})),
            (json!({"a": {"x": 1}}), "a.b", json!({"a": {"x": 1, "b": 5}})),
            (json!({}), "a[1]", json!({"a": [null, 5]})),
            (json!({"a": [1, 2]}), "a[0]", json!({"a": [5, 2]})),
            (json!({"a": [{"x": 1}]}), "a[0].b", json!({"a": [{"x": 1, "b": 5}]})),
            (json!({"a": ["x"]}), "a[0].b", json!({"a": [{"b": 5}]})),
            (json!({}), "a[0][1].b", json!({"a": [[null, {"b": 5}]]})),
            (json!({}), "x=1,a", json!({"x": 1, "a": 5})),
        ];
        for (before, path, after) in table {
            assert_eq!(with(before, path, "5"), Ok(after), "{path}");
        }
    }

    #[test]
    fn texts_have_types() {
        let table = [
            ("true", json!({"a": true})),
            ("FALSE", json!({"a": false})),
            ("null", json!({"a": null})),
            ("0", json!({"a": 0})),
            ("-12", json!({"a": -12})),
            ("012", json!({"a": "012"})),
            ("1.5", json!({"a": "1.5"})),
            ("", json!({"a": ""})),
            ("'5'", json!({"a": "5"})),
            ("\"true\"", json!({"a": "true"})),
            ("{1,x,true}", json!({"a": [1, "x", true]})),
            ("{}", json!({"a": [""]})),
            ("x\\,y", json!({"a": "x,y"})),
            ("x,b=1", json!({"a": "x", "b": 1})),
        ];
        for (text, after) in table {
            assert_eq!(with(json!({}), "a", text), Ok(after), "{text}");
        }
    }

    #[test]
    fn literal_text_is_used_unchanged() {
        let values = SharedMap::default();
        let text = Text { says: "{x, [y]}\\n=5", is_literal: true, is_secret: false };
        set(&values, "a.b", &text).unwrap();
        assert_eq!(values.value(), json!({"a": {"b": "{x, [y]}\\n=5"}}));
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let table = [
            (json!({}), "a", "x,y"),
            (json!({}), "a,b", "x"),
            (json!({}), "a[x]", "1"),
            (json!({}), "a[-1]", "1"),
            (json!({}), "a[65537]", "1"),
            (json!({}), "a[0]b", "1"),
            (json!({}), "a.", "1"),
            (json!({}), "a", "{x"),
            (json!({"a": 1}), "a.b", "1"),
            (json!({"a": null}), "a.b", "1"),
            (json!({"a": {}}), "a[0]", "1"),
            (json!({"a": [1]}), "a[0][0]", "1"),
            (json!({}), &"a.".repeat(32), "1"),
            (json!({}), &format!("a{}", "[0]".repeat(100_000)), "1"),
        ];
        for (before, path, text) in table {
            assert!(with(before.clone(), path, text).is_err(), "{path}");
        }
    }
}
