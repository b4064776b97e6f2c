//! What stands above a plan or a status: which cluster, and what is known of it.

use std::fmt::Write as _;

use bootstrapper_core::output::one_line;

/// A title, and facts with their labels.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// The cluster, its server and version, the revision of the repository.
    pub title: String,
    /// Facts, each with its label.
    pub facts: Vec<(&'static str, String)>,
}

/// The header as text.
pub fn header_text(header: &Header) -> String {
    let mut text = format!("{}\n", one_line(&header.title));
    for (label, fact) in &header.facts {
        let _ = writeln!(text, "  {label:9} {}", one_line(fact));
    }
    text.push('\n');
    text
}
