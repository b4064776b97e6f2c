//! A stream of documents, split exactly at its separators.

/// A document, with its leading `---`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// The separator line; empty for a first document without one.
    pub separator: &'a str,
    /// The text up to the next separator.
    pub text: &'a str,
    /// The line on which the text begins, from 1.
    pub line: usize,
}

/// Splits a stream into its documents; concatenated, they are the original stream. YAML treats `---` at the
/// beginning of any line as a separator.
pub fn documents(stream: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut separator, mut start, mut first_line, mut at) = ("", 0, 1, 0);
    for (number, line) in stream.split_inclusive('\n').enumerate() {
        if let Some(length) = separator_of(line) {
            if at > 0 {
                let text = stream.get(start..at).unwrap_or_default();
                documents.push(Document { separator, text, line: first_line });
            }
            let is_whole = length == line.len();
            (separator, start) = (line.get(..length).unwrap_or(line), at + length);
            first_line = if is_whole { number + 2 } else { number + 1 };
        }
        at += line.len();
    }
    let text = stream.get(start..).unwrap_or_default();
    documents.push(Document { separator, text, line: first_line });
    documents
}

/// The length of the separator in a line: the whole line, unless the document begins after the dashes.
fn separator_of(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("---")?;
    let content = rest.trim_start();
    if content.is_empty() || (content.starts_with('#') && content.len() < rest.len()) {
        return Some(line.len());
    }
    (content.len() < rest.len()).then(|| line.len() - content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_documents_are_the_stream() {
        let cases: [(&str, &[(&str, usize)]); 6] = [
            ("a: 1\n", &[("a: 1\n", 1)]),
            ("---\na: 1\n---\nb: 2", &[("a: 1\n", 2), ("b: 2", 4)]),
            ("# x\n--- # y\na: |\n  ---\n---\n", &[("# x\n", 1), ("a: |\n  ---\n", 3), ("", 6)]),
            ("a: ---\r\n---\r\nb: 1\r\n", &[("a: ---\r\n", 1), ("b: 1\r\n", 3)]),
            ("a: 1\n--- {b: 2}\n----\n", &[("a: 1\n", 1), ("{b: 2}\n----\n", 2)]),
            ("", &[("", 1)]),
        ];
        for (stream, expected) in cases {
            let cut = documents(stream);
            assert_eq!(
                cut.iter().map(|one| (one.text, one.line)).collect::<Vec<_>>(),
                expected,
                "{stream:?}"
            );
            let whole: String = cut.iter().flat_map(|one| [one.separator, one.text]).collect();
            assert_eq!(whole, stream);
        }
    }
}
