//! Positions in a YAML text: a tree in which every node has its line and column. For the locations of
//! findings; serde reads the values.

use serde_saphyr::granit_parser::{Event, Parser, Span};

/// Deeper than any real manifest.
const DEEPEST: usize = 128;

/// A node of a YAML text. Lines and columns start at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// Its content.
    pub node: Node,
}

/// The content of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Any scalar, as text.
    Scalar(String),
    /// A list.
    List(Vec<Marked>),
    /// A map, in source order.
    Map(Vec<(Marked, Marked)>),
    /// `*name`, an alias.
    Alias,
}

/// The documents of a text. A syntax error ends the last one.
pub fn documents(text: &str) -> Vec<Marked> {
    let mut open: Vec<Marked> = Vec::new();
    let mut documents = Vec::new();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let node = match event {
            Event::Scalar(text, ..) => Node::Scalar(text.into_owned()),
            Event::Alias(_) => Node::Alias,
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEEPEST => break,
            Event::SequenceStart(..) => {
                open.push(Marked::at_start(&span, Node::List(Vec::new())));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Marked::at_start(&span, Node::Map(Vec::new())));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(ended) = open.pop() {
                    put(ended, &mut open, &mut documents);
                }
                continue;
            }
            _ => continue,
        };
        put(Marked::at_start(&span, node), &mut open, &mut documents);
    }
    while let Some(unended) = open.pop() {
        put(unended, &mut open, &mut documents);
    }
    documents
}

/// Adds a finished node to its parent. A key waits in its map, paired with an alias, until its value arrives.
fn put(node: Marked, open: &mut [Marked], documents: &mut Vec<Marked>) {
    match open.last_mut().map(|parent| &mut parent.node) {
        Some(Node::List(items)) => items.push(node),
        Some(Node::Map(entries)) => match entries.last_mut() {
            Some((_, value)) if value.is_awaited() => *value = node,
            _ => entries.push((node, Marked { line: 0, column: 0, node: Node::Alias })),
        },
        _ => documents.push(node),
    }
}

/// One step of a path: `name`, `["na.me"]` or `[0]`.
#[derive(Debug, PartialEq, Eq)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

/// Parses `spec.dependsOn[1].name` into steps. A name with dots is written `metadata.labels["a.b/c"]`.
fn segments(path: &str) -> Vec<Segment<'_>> {
    let mut rest = path;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some((key, after)) = rest.strip_prefix("[\"").and_then(|rest| rest.split_once("\"]")) {
            segments.push(Segment::Key(key));
            rest = after;
        } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            segments.push(index.parse().map_or(Segment::Key(index), Segment::Index));
            rest = after;
        } else {
            let (key, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            if !key.is_empty() {
                segments.push(Segment::Key(key));
            } else if after == rest {
                break;
            }
            rest = after;
        }
    }
    segments
}

impl Marked {
    fn at_start(span: &Span, node: Node) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1, node }
    }

    fn is_awaited(&self) -> bool {
        self.line == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.node {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// The position of the first scalar equal to `text`.
    pub fn scalar(&self, text: &str) -> Option<(usize, usize)> {
        self.find_scalar(&|own| own == text)
    }

    /// The position of the first scalar that matches.
    pub fn find_scalar(&self, is_wanted: &dyn Fn(&str) -> bool) -> Option<(usize, usize)> {
        match &self.node {
            Node::Scalar(own) => is_wanted(own).then_some((self.line, self.column)),
            Node::List(items) => items.iter().find_map(|item| item.find_scalar(is_wanted)),
            Node::Map(entries) => entries.iter().find_map(|(_, value)| value.find_scalar(is_wanted)),
            Node::Alias => None,
        }
    }

    fn entry(&self, key: &str) -> Option<&(Self, Self)> {
        match &self.node {
            Node::Map(entries) => entries.iter().find(|(name, _)| name.text() == Some(key)),
            _ => None,
        }
    }

    /// The position of a field (`spec.dependsOn[1].name`), or of its nearest existing parent: of the value if
    /// it is a scalar, otherwise of its key.
    pub fn place(&self, path: &str) -> (usize, usize) {
        let mut at = self;
        let mut place = (self.line, self.column);
        for segment in segments(path) {
            let (key, value) = match segment {
                Segment::Key(key) => match at.entry(key) {
                    Some((key, value)) => (key, value),
                    None => break,
                },
                Segment::Index(index) => match at.items().get(index) {
                    Some(item) => (item, item),
                    None => break,
                },
            };
            let shown = if matches!(value.node, Node::Scalar(_)) { value } else { key };
            place = (shown.line, shown.column);
            at = value;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# first\na: 1\n---\nkind: K\nmetadata:\n  labels: {x.y/z: t}\nspec:\n  dependsOn:\n    - name: one\n    - name: two\n      x: *y\n";

    #[test]
    fn fields_are_found_by_their_path() {
        let documents = documents(TEXT);
        assert_eq!(documents.len(), 2);
        let table = [
            ("", (4, 1)),
            ("kind", (4, 7)),
            ("spec", (7, 1)),
            ("spec.dependsOn", (8, 3)),
            ("spec.dependsOn[1]", (10, 7)),
            ("spec.dependsOn[1].name", (10, 13)),
            ("spec.dependsOn[7].name", (8, 3)),
            ("spec.nothing.at.all", (7, 1)),
            ("metadata.labels[\"x.y/z\"]", (6, 19)),
            ("nothing", (4, 1)),
        ];
        for (path, expected) in table {
            assert_eq!(documents[1].place(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_text() {
        assert_eq!(documents("a: 1\n---\nb: [\n").len(), 2);
        assert_eq!(documents("").len(), 0);
    }

    proptest! {
        /// Parsing inverts formatting, and terminates on any text.
        #[test]
        fn paths_are_parsed(keys in prop::collection::vec("[a-z]{1,5}([./][a-z]{1,3})?", 1..5), any in ".{0,30}") {
            let path = keys.iter().map(|key| format!("[\"{key}\"]")).collect::<Vec<_>>().concat();
            let expected: Vec<Segment<'_>> = keys.iter().map(|key| Segment::Key(key)).collect();
            prop_assert_eq!(segments(&path), expected);
            let _ = (segments(&any), documents(&any));
        }

        /// The position of a field is where serde reads its value.
        #[test]
        fn places_are_those_of_the_text(keys in prop::collection::hash_set("[a-z]{2,6}", 1..6), indent in 1..4_usize) {
            let pad = " ".repeat(indent);
            let keys: Vec<String> = keys.into_iter().collect();
            let text = keys.iter().map(|key| format!("{pad}{key}:\n{pad}  deep: v\n")).collect::<Vec<_>>().concat();
            let read = documents(&format!("top:\n{text}"));
            for (at, key) in keys.iter().enumerate() {
                prop_assert_eq!(read[0].place(&format!("top.{key}")), (2 + 2 * at, indent + 1));
                prop_assert_eq!(read[0].place(&format!("top.{key}.deep")), (3 + 2 * at, indent + 9));
            }
        }
    }

    #[test]
    fn anything_may_stand_in_a_file() {
        crate::fuzzing::texts(&[TEXT, "a: |\n  b\n- {x: [1, 'y']}\n"], |text| drop(documents(text)));
    }
}
