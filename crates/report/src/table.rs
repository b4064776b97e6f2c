//! Plain aligned columns.

use super::words::width;
use bootstrapper_core::output;

/// Columns aligned to the left, two spaces apart; no borders.
pub fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut lines = vec![headers.iter().map(|&header| header.to_owned()).collect::<Vec<_>>()];
    let cell = |cell: &String| output::shown(&output::one_line(cell));
    lines.extend(rows.into_iter().map(|row| row.iter().map(cell).collect()));
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, &wide)| format!("{cell:wide$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_stand_under_each_other() {
        let rows = [vec!["infra".to_owned(), "ready".to_owned()], vec!["a".to_owned(), "→".to_owned()]];
        assert_eq!(super::table(&["NAME", "STATE"], rows), "NAME   STATE\ninfra  ready\na      →\n");
    }
}
