//! Parses a document with positions and comments.

use std::collections::BTreeMap;
use std::path::Path;

use serde_saphyr::granit_parser::{Event, Parser, Span, StrInput, StructureStyle};

use super::node::{Mark, Node, Notes, Scalar, Style, Value};
use crate::failure::{Failure, Location, Result};

/// Headers of any length are permitted.
const MOST_COMMENTS: usize = 100_000;

/// Parses the single document of `text`, which begins on `first_line` of `file`; none if it is empty. Also
/// returns the comments after the last value.
pub fn read(text: &str, first_line: usize, file: &Path) -> Result<Option<(Node, Vec<String>)>> {
    let options = serde_saphyr::granit_parser::options! { max_buffered_comment_events: MOST_COMMENTS };
    let mut reader = Reader {
        text,
        file,
        first_line,
        events: Parser::new_from_str_with_options(text, options),
        places: Vec::new(),
        brackets: 0,
        comments: Vec::new(),
        anchors: BTreeMap::new(),
    };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        if root.is_none() && is_node(&event) {
            root = Some(reader.node(event, span)?);
        }
    }
    let (mut notes, below) = attached(&reader.places, reader.comments);
    Ok(root.map(|mut root| {
        annotate(&mut root, &mut notes);
        (root, below)
    }))
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    first_line: usize,
    events: Parser<'a, StrInput<'a>>,
    /// The positions of values that can have comments, in order.
    places: Vec<Place>,
    /// The number of open flow lists and maps.
    brackets: usize,
    comments: Vec<Comment>,
    anchors: BTreeMap<usize, Node>,
}

struct Place {
    line: usize,
    brackets: usize,
}

struct Comment {
    place: Place,
    is_beside: bool,
    text: String,
}

fn is_node(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..))
}

impl<'a> Reader<'a> {
    /// The next event other than a comment.
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>> {
        loop {
            let (event, span) = match self.events.next() {
                None => return Ok(None),
                Some(Ok(next)) => next,
                Some(Err(error)) => {
                    let mark = error.marker();
                    return Err(
                        self.refuse(Mark { line: mark.line(), column: mark.col() + 1 }, &error.to_string())
                    );
                }
            };
            let Event::Comment(text, _) = &event else { return Ok(Some((event, span))) };
            let start = span.start.byte_offset().unwrap_or(0);
            let before = self.text.get(..start).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
            self.comments.push(Comment {
                place: Place { line: span.start.line(), brackets: self.brackets },
                is_beside: !before.trim().is_empty(),
                text: format!("#{}", text.trim_end()),
            });
        }
    }

    fn refuse(&self, mark: Mark, because: &str) -> Failure {
        Failure::input(format!("cannot parse {}", self.file.display())).because(because).at(Location {
            file: self.file.to_owned(),
            line: mark.line + self.first_line - 1,
            column: mark.column,
        })
    }

    fn mark(&self, span: Span) -> Mark {
        Mark { line: span.start.line() + self.first_line - 1, column: span.start.col() + 1 }
    }

    /// Records a value that can have comments.
    fn number(&mut self, span: Span) -> usize {
        self.places.push(Place { line: span.start.line(), brackets: self.brackets });
        self.places.len() - 1
    }

    fn scalar(&self, text: &str, span: Span) -> Scalar {
        let source = span.slice(self.text).map(str::trim_end).unwrap_or_default();
        let is_block = source.contains('\n') || source.starts_with(['|', '>']);
        let written = if is_block { serde_json::Value::from(text).to_string() } else { source.to_owned() };
        Scalar { text: text.to_owned(), written }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node> {
        let mark = self.mark(span);
        let (value, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (Value::Scalar(self.scalar(&text, span)), anchor),
            Event::SequenceStart(style, anchor, _) => (self.list(style)?, anchor),
            Event::MappingStart(style, anchor, _) => (self.map(style)?, anchor),
            Event::Alias(id) => {
                let target = self.anchors.get(&id).cloned();
                return target.ok_or_else(|| self.refuse(mark, "an alias refers to a node that contains it"));
            }
            _ => return Err(self.refuse(mark, "expected a value")),
        };
        let node = Node { value, mark, notes: Notes::default(), number: None };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, style: StructureStyle) -> Result<Value> {
        let mut items = Vec::new();
        self.brackets += brackets_of(style);
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            let number = self.number(span);
            let item = self.node(event, span)?;
            items.push(Node { number: Some(number), ..item });
        }
        self.brackets -= brackets_of(style);
        Ok(Value::List(items, style_of(style)))
    }

    fn map(&mut self, style: StructureStyle) -> Result<Value> {
        let (mut entries, mut merged) = (Vec::<(Scalar, Node)>::new(), Vec::new());
        self.brackets += brackets_of(style);
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let (number, mark) = (self.number(span), self.mark(span));
            let Event::Scalar(text, ..) = event else {
                return Err(self.refuse(mark, "a key is not a string"));
            };
            let key = self.scalar(&text, span);
            let Some((event, span)) = self.next()? else { break };
            let value = Node { number: Some(number), mark, ..self.node(event, span)? };
            if key.text == "<<" {
                merged.push(value);
            } else {
                entries.push((key, value));
            }
        }
        self.brackets -= brackets_of(style);
        for (key, value) in merged.into_iter().flat_map(merge_source) {
            if entries.iter().all(|(own, _)| own.text != key.text) {
                entries.push((key, value));
            }
        }
        Ok(Value::Map(entries, style_of(style)))
    }
}

/// The entries of a `<<` merge key.
fn merge_source(node: Node) -> Vec<(Scalar, Node)> {
    match node.value {
        Value::Map(entries, _) => entries,
        Value::List(items, _) => items.into_iter().flat_map(merge_source).collect(),
        Value::Scalar(_) => Vec::new(),
    }
}

fn brackets_of(style: StructureStyle) -> usize {
    usize::from(style == StructureStyle::Flow)
}

fn style_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Block,
        StructureStyle::Flow => Style::Flow,
    }
}

/// Assigns comments to values: those on separate lines to the next value, the others to the last value that
/// begins on their line outside closed brackets. Comments after the last value belong to none.
fn attached(places: &[Place], comments: Vec<Comment>) -> (BTreeMap<usize, Notes>, Vec<String>) {
    let (mut notes, mut below) = (BTreeMap::<usize, Notes>::new(), Vec::new());
    for Comment { place, is_beside, text } in comments {
        let next = places.partition_point(|one| one.line <= place.line);
        let beside = places[..next].iter().rposition(|one| one.brackets <= place.brackets);
        match beside.filter(|_| is_beside) {
            Some(own) => notes.entry(own).or_default().beside = Some(text),
            None if next < places.len() => notes.entry(next).or_default().above.push(text),
            None => below.push(text),
        }
    }
    (notes, below)
}

fn annotate(node: &mut Node, notes: &mut BTreeMap<usize, Notes>) {
    if let Some(own) = node.number.and_then(|number| notes.remove(&number)) {
        node.notes = own;
    }
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items, _) => items.iter_mut().for_each(|item| annotate(item, notes)),
        Value::Map(entries, _) => entries.iter_mut().for_each(|(_, value)| annotate(value, notes)),
    }
}
