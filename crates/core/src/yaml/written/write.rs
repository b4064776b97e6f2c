//! Writes a document in the style of this repository: two spaces, indented lists.

use super::node::{Node, Notes, Scalar, Style, Value};

/// A document as text, without a separator.
pub fn write(root: &Node, below: &[String]) -> String {
    let mut text = String::new();
    match &root.value {
        Value::Map(entries, _) => map(&mut text, entries, 0, false),
        Value::List(items, _) => list(&mut text, items, 0),
        Value::Scalar(scalar) => line(&mut text, 0, &scalar.written),
    }
    for comment in below {
        line(&mut text, 0, comment);
    }
    text
}

fn line(text: &mut String, indent: usize, content: &str) {
    text.push_str(&" ".repeat(indent));
    text.push_str(content);
    text.push('\n');
}

/// `is_item`: the first key follows the dash of a list, which is already written.
fn map(text: &mut String, entries: &[(Scalar, Node)], indent: usize, is_item: bool) {
    for (at, (key, node)) in entries.iter().enumerate() {
        let behind_dash = is_item && at == 0;
        if !behind_dash {
            node.notes.above.iter().for_each(|comment| line(text, indent, comment));
        }
        let begin = if behind_dash { 0 } else { indent };
        let beside = beside(&node.notes);
        match inline(node) {
            Some(written) if written.is_empty() => line(text, begin, &format!("{}:{beside}", key.written)),
            Some(written) => line(text, begin, &format!("{}: {written}{beside}", key.written)),
            None => {
                line(text, begin, &format!("{}:{beside}", key.written));
                match &node.value {
                    Value::Map(entries, _) => map(text, entries, indent + 2, false),
                    Value::List(items, _) => list(text, items, indent + 2),
                    Value::Scalar(_) => {}
                }
            }
        }
    }
}

fn list(text: &mut String, items: &[Node], indent: usize) {
    for item in items {
        item.notes.above.iter().for_each(|comment| line(text, indent, comment));
        if let Some(written) = inline(item) {
            line(text, indent, &format!("- {written}{}", beside(&item.notes)));
            continue;
        }
        item.notes.beside.iter().for_each(|comment| line(text, indent, comment));
        if let Value::Map(entries, _) = &item.value {
            let first = entries.first().map(|(_, first)| &first.notes.above);
            first.into_iter().flatten().for_each(|comment| line(text, indent, comment));
        }
        text.push_str(&" ".repeat(indent));
        match &item.value {
            Value::Map(entries, _) => {
                text.push_str("- ");
                map(text, entries, indent + 2, true);
            }
            Value::List(items, _) => {
                text.push_str("-\n");
                list(text, items, indent + 2);
            }
            Value::Scalar(_) => {}
        }
    }
}

fn beside(notes: &Notes) -> String {
    notes.beside.as_ref().map(|comment| format!(" {comment}")).unwrap_or_default()
}

/// Values that fit on the line of their key or dash: scalars, empty values, and flow style.
fn inline(node: &Node) -> Option<String> {
    let has_notes = |node: &Node| node.notes != Notes::default();
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.written.clone()),
        Value::List(items, style) if items.is_empty() || *style == Style::Flow => {
            if items.iter().any(has_notes) {
                return None;
            }
            Some(format!("[{}]", items.iter().map(inline).collect::<Option<Vec<_>>>()?.join(", ")))
        }
        Value::Map(entries, style) if entries.is_empty() || *style == Style::Flow => {
            if entries.iter().any(|(_, value)| has_notes(value)) {
                return None;
            }
            let pair = |(key, value): &(Scalar, Node)| Some(format!("{}: {}", key.written, inline(value)?));
            Some(format!("{{{}}}", entries.iter().map(pair).collect::<Option<Vec<_>>>()?.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{documents, read};
    use super::*;
    use crate::yaml;

    fn again(text: &str) -> String {
        let (node, below) = read(text, 1, Path::new("x.yaml")).unwrap().unwrap();
        write(&node, &below)
    }

    #[test]
    fn what_is_written_in_this_style_stays_as_it_is() {
        let cases = [
            "# about a\na: 1 # one\nb:\n  # about c\n  c: \"x\"\n  d: []\n# the end\n",
            "list:\n  # first\n  - name: a # it\n    deep:\n      - 1\n      - 2\n  # second\n  - name: b\n",
            "flow: {key: x, values: [a, \"b\"]} # short\nempty:\nlast: ${VAR}\n",
            "'odd key': 'it''s'\n",
        ];
        for text in cases {
            assert_eq!(again(text), text);
        }
    }

    #[test]
    fn other_styles_say_the_same() {
        let cases = [
            ("a:\n- b: 1\n  c: 2\n", "a:\n  - b: 1\n    c: 2\n"),
            ("a: |\n  two\n  lines\nb: 1\n", "a: \"two\\nlines\\n\"\nb: 1\n"),
            ("a: [\n  x, # why\n  y]\n", "a:\n  - x # why\n  - y\n"),
            ("base: &b {x: 1}\nmore:\n  <<: *b\n  y: 2\n", "base: {x: 1}\nmore:\n  y: 2\n  x: 1\n"),
            ("-\n  # lone\n  a: 1\n", "# lone\n- a: 1\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(again(text), expected);
        }
    }

    /// For all YAML files of this repository.
    #[test]
    fn what_is_written_again_says_the_same() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kubernetes");
        let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
        let mut seen = 0;
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for document in documents(&text) {
                let Some((node, below)) = read(document.text, document.line, &file).unwrap() else {
                    continue;
                };
                let value = |text: &str| yaml::from_str::<serde_json::Value>(text, &file).unwrap();
                assert_eq!(value(&write(&node, &below)), value(document.text), "{}", file.display());
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        let failure = read("a: [\n", 11, Path::new("x.yaml")).unwrap_err();
        assert!(failure.location.is_some_and(|at| at.line >= 11));
    }
}
