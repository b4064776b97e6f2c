//! A YAML value, with its position and comments.

use std::net::Ipv4Addr;

/// A position in a file, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Comments, each with its `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// On separate lines, above.
    pub above: Vec<String>,
    /// At the end of the line.
    pub beside: Option<String>,
}

/// A value: of a key, in a list, or of a document.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its content.
    pub value: Value,
    /// Its position: that of its key, if it has one.
    pub mark: Mark,
    /// Its comments.
    pub notes: Notes,
    /// Its number in reading order.
    pub(super) number: Option<usize>,
}

/// The content of a node.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string, number, boolean or null.
    Scalar(Scalar),
    /// Items, in order.
    List(Vec<Node>, Style),
    /// Keys with their values, in order.
    Map(Vec<(Scalar, Node)>, Style),
}

/// The style of a list or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Block style: each item on its own line.
    Block,
    /// Flow style: `[a, b]`, `{a: b}`.
    Flow,
}

/// A scalar: its value, and its spelling on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its value.
    pub text: String,
    pub(super) written: String,
}

impl Scalar {
    /// A string.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), written: quoted_if_needed(text) }
    }

    /// Written verbatim: a number, or `${…}`.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), written: text.to_owned() }
    }

    /// Its spelling in the file.
    pub fn written(&self) -> &str {
        &self.written
    }

    fn is_quoted(&self) -> bool {
        self.written.starts_with(['"', '\''])
    }

    fn is_null(&self) -> bool {
        !self.is_quoted() && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A leading `${…}` stays unquoted: Flux's value determines its type. So does an address: no Kubernetes
/// parser reads three dots as a number.
fn quoted_if_needed(text: &str) -> String {
    let is_address = text.parse::<Ipv4Addr>().is_ok();
    let is_placeholder = text.starts_with("${") && !text.contains([':', '#', '\n']);
    let is_plain = || serde_saphyr::to_string(&text).is_ok_and(|written| written.trim_end() == text);
    if is_placeholder || is_address || is_plain() {
        return text.to_owned();
    }
    // JSON is valid YAML.
    serde_json::Value::from(text).to_string()
}

/// A scalar that stays a string anywhere, including in flow lists and maps.
pub fn flow_scalar(text: &str) -> String {
    let is_word = |one: char| one.is_ascii_alphanumeric() || "-./_@ ".contains(one);
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_word)
        && !text.ends_with(' ')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        );
    // JSON is valid YAML.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

impl Node {
    /// A new value without a position.
    pub fn new(value: Value) -> Self {
        Self { value, mark: Mark::default(), notes: Notes::default(), number: None }
    }

    /// A string.
    pub fn text(text: &str) -> Self {
        Self::new(Value::Scalar(Scalar::text(text)))
    }

    /// A list in block style.
    pub fn list(items: Vec<Self>) -> Self {
        Self::new(Value::List(items, Style::Block))
    }

    /// A map in block style.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Scalar::plain(key), value));
        Self::new(Value::Map(entries.collect(), Style::Block))
    }

    /// Another value with the same position and comments.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// The same value with these comments.
    #[must_use]
    pub fn with_notes(mut self, notes: Notes) -> Self {
        self.notes = notes;
        self
    }

    /// Whether it is null, in any spelling.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The value of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries, _) => entries.iter().find(|(own, _)| own.text == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether the values are equal, ignoring comments.
    pub fn has_same_value(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text && a.is_quoted() == b.is_quoted(),
            (Value::List(a, _), Value::List(b, _)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.has_same_value(b))
            }
            (Value::Map(a, _), Value::Map(b, _)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|((key, a), (other, b))| key.text == other.text && a.has_same_value(b))
            }
            _ => false,
        }
    }

    /// Copies the comments of an equal value.
    pub fn absorb_notes(&mut self, other: Self) {
        for line in other.notes.above.into_iter().chain(other.notes.beside) {
            if !self.notes.above.contains(&line) && self.notes.beside.as_ref() != Some(&line) {
                self.notes.above.push(line);
            }
        }
        match (&mut self.value, other.value) {
            (Value::List(own, _), Value::List(others, _)) => {
                own.iter_mut().zip(others).for_each(|(own, other)| own.absorb_notes(other));
            }
            (Value::Map(own, _), Value::Map(others, _)) => {
                own.iter_mut().zip(others).for_each(|((_, own), (_, other))| own.absorb_notes(other));
            }
            _ => {}
        }
    }

    /// The same value without comments.
    #[must_use]
    pub fn bare(&self) -> Self {
        let value = match &self.value {
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Value::List(items, style) => Value::List(items.iter().map(Self::bare).collect(), *style),
            Value::Map(entries, style) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), value.bare()));
                Value::Map(entries.collect(), *style)
            }
        };
        Self { value, mark: self.mark, notes: Notes::default(), number: None }
    }

    /// Every scalar value beneath it.
    pub fn scalars(&self) -> Vec<(&Scalar, Mark)> {
        match &self.value {
            Value::Scalar(scalar) => vec![(scalar, self.mark)],
            Value::List(items, _) => items.iter().flat_map(Self::scalars).collect(),
            Value::Map(entries, _) => entries.iter().flat_map(|(_, value)| value.scalars()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_where_they_would_be_read_as_something_else() {
        let cases = [
            ("router", "router"),
            ("10.25.11.1", "10.25.11.1"),
            ("fd00::1", "fd00::1"),
            ("${ASN}", "${ASN}"),
            ("${ROUTER%/*}", "${ROUTER%/*}"),
            ("two\nlines", r#""two\nlines""#),
        ];
        for (text, written) in cases {
            assert_eq!(Scalar::text(text).written, written);
        }
        for text in ["true", "64512", "", "a: b", "- x"] {
            assert!(Scalar::text(text).is_quoted(), "{text}");
        }
    }

    #[test]
    fn names_stay_texts() {
        let table = [
            ("cilium", "cilium"),
            ("kube-system/cilium", "kube-system/cilium"),
            ("1", "\"1\""),
            ("on", "\"on\""),
            ("a: b", "\"a: b\""),
            ("a, b", "\"a, b\""),
            ("", "\"\""),
            ("admin@home", "admin@home"),
            (".nan", "\".nan\""),
        ];
        for (text, expected) in table {
            assert_eq!(flow_scalar(text), expected);
        }
    }
}
