//! Text in Markdown tables.

/// A table with these columns; empty without rows.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let row = |cells: &[String]| {
        format!("| {} |\n", cells.join(" | ").replace("|  |", "| |").replace("|  |", "| |"))
    };
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule = format!("|{}\n", " --- |".repeat(head.len()));
    let rows: String = rows.iter().map(|cells| row(cells)).collect();
    format!("{}{rule}{rows}\n", row(&head))
}

/// A text of the code as one cell: one line, and nothing in it is markup but code.
pub(super) fn cell(text: &str) -> String {
    let mut is_code = false;
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let escaped = joined.chars().map(|char| {
        is_code ^= char == '`';
        match char {
            '|' => "\\|".to_owned(),
            '<' if !is_code => "&lt;".to_owned(),
            other => other.to_string(),
        }
    });
    escaped.collect()
}

/// A text of the code as a paragraph.
pub(super) fn paragraph(text: &str) -> String {
    format!("{}\n\n", cell(text).replace("\\|", "|"))
}

pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
