//! Root causes as text: the cause, the evidence, the fix, the path to it, the blocked objects.

use std::fmt::Write as _;

use super::words::{colour_of_stdout, indented};
use bootstrapper_core::output::paint;
use bootstrapper_engine::Cause;

/// Causes without a failure; the first line of each is self-contained. In colour if stdout supports it.
pub fn causes_text(causes: &[Cause]) -> String {
    text(causes, colour_of_stdout())
}

fn text(causes: &[Cause], colour: bool) -> String {
    let mut text = String::new();
    for cause in causes {
        let (word, code) = if cause.transient { ("slow", "33") } else { ("error", "1;31") };
        let number = cause.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}: {}",
            paint(&format!("{word}{number}"), code, colour),
            indented(&cause.cause, 2)
        );
        for (label, said) in parts(cause) {
            let _ = writeln!(text, "  {label:11} {}", indented(&said, 14));
        }
    }
    text
}

/// The lines after the first, each with its label.
pub(super) fn parts(cause: &Cause) -> Vec<(&'static str, String)> {
    let all = |label: &'static str, texts: &[String]| {
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        labels.zip(texts.iter().cloned()).collect::<Vec<_>>()
    };
    let joined =
        |texts: &[String], by: &str| if texts.is_empty() { Vec::new() } else { vec![texts.join(by)] };
    let place: Vec<String> = cause.declared_in.iter().map(ToString::to_string).collect();
    let remedy: &[String] = if cause.transient { &[] } else { &cause.remedy };
    [
        all("evidence", &cause.evidence),
        all("declared in", &place),
        all("do", remedy),
        all("chain", &joined(&cause.chain, " ← ")),
        all("blocks", &joined(&cause.blocks, ", ")),
    ]
    .concat()
}

/// One line: `cause[BS-POD-001]: …`, `slow: …`.
pub(super) fn headline(cause: &Cause) -> String {
    match &cause.code {
        _ if cause.transient => format!("slow: {}", cause.cause),
        Some(code) => format!("cause[{code}]: {}", cause.cause),
        None => format!("cause: {}", cause.cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_and_the_rest_says_why_and_what_to_do() {
        let cause = Cause {
            code: Some("BS-NOD-001".into()),
            cause: "Node a: has no network plugin".into(),
            evidence: vec!["one".into(), "two".into()],
            chain: vec!["Deployment b/c".into(), "Node a".into()],
            blocks: vec!["Deployment b/c".into()],
            origins: vec![],
            declared_in: None,
            remedy: vec!["install it".into()],
            transient: false,
        };
        let slow =
            Cause { transient: true, chain: vec![], evidence: vec![], blocks: vec![], ..cause.clone() };
        assert_eq!(
            text(&[cause, slow], false),
            "error[BS-NOD-001]: Node a: has no network plugin
  evidence    one
              two
  do          install it
  chain       Deployment b/c ← Node a
  blocks      Deployment b/c
slow[BS-NOD-001]: Node a: has no network plugin
"
        );
    }
}
