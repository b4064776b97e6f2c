//! The table of what a hostile tenant tries is the one that is played.

use crate::common::root;
use crate::common::tenant::attempts;

#[test]
fn the_table_of_attempts_is_true() {
    let page = root().join("docs/design/tenants.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (start, end) = ("| a tenant tries to | with | rejected by |\n| --- | --- | --- |\n", "\n\n");
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let rows = attempts();
    let rows = rows.iter().filter_map(|attempt| {
        let by = attempt.refused_by()?;
        let by = by.strip_prefix("policy ").map_or_else(|| by.to_owned(), |name| format!("`{name}`"));
        Some(format!("| {} | {} | {by} |", attempt.what(), attempt.kind()))
    });
    let table = rows.collect::<Vec<_>>().join("\n");
    let wanted = format!("{before}{start}{table}{end}{after}");
    if std::env::var_os("TENANTS_WRITE").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    }
    let is_true = text == wanted || std::env::var_os("TENANTS_WRITE").is_some();
    assert!(is_true, "run: TENANTS_WRITE=1 cargo test --test offline tenants::");
}
