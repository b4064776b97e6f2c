//! Ranges of Flux versions, in the syntax of the Flux operator: `2.x`, `2.8.x`, `>=2.7 <2.9`, `~2.8`, `2.6 -
//! 2.8`.

/// How many later minor versions are checked.
const LATER: u64 = 60;

type Version = (u64, u64, u64);

/// Whether a range allows a version of Flux 2 with at least this minor version. The operator installs the
/// newest allowed version. An invalid range allows all.
pub(super) fn allows_since(range: &str, minor: u64) -> bool {
    let candidates = (minor..=minor + LATER).flat_map(|minor| [(2, minor, 0), (2, minor, 99)]);
    // An exact version is not a range.
    let words =
        range.split(['|', ',', ' ']).map(|word| word.trim_start_matches(['<', '>', '=', '!', '~', '^']));
    let named = words.filter_map(|word| Some(bounds(word)?.0)).filter(|version| *version >= (2, minor, 0));
    let mut candidates = candidates.chain([(3, 0, 0)]).chain(named);
    candidates.any(|version| range.split("||").any(|all| satisfies_all(all, version)))
}

fn satisfies_all(all: &str, version: Version) -> bool {
    if let Some((least, most)) = all.split_once(" - ") {
        return satisfies(&format!(">={}", least.trim()), version)
            && satisfies(&format!("<={}", most.trim()), version);
    }
    // `>= 2.7` is one constraint, with a space in it.
    let spaced = ["<=", ">=", "!=", "<", ">", "=", "~", "^"]
        .iter()
        .fold(all.to_owned(), |text, operator| text.replace(&format!("{operator} "), operator));
    let mut comparators = spaced.split([',', ' ']).filter(|one| !one.trim().is_empty());
    comparators.all(|one| satisfies(one.trim(), version))
}

fn satisfies(comparator: &str, version: Version) -> bool {
    let operators = ["<=", ">=", "!=", "=<", "=>", "<", ">", "=", "~>", "~", "^"];
    let found = operators.iter().find_map(|operator| Some((*operator, comparator.strip_prefix(operator)?)));
    let (operator, text) = found.unwrap_or(("", comparator));
    let Some((low, high)) = bounds(text) else { return true };
    match operator {
        "<" => version < low,
        "<=" | "=<" => version < high,
        ">" => version >= high,
        ">=" | "=>" => version >= low,
        "!=" => !(low <= version && version < high),
        "^" => low <= version && version.0 == low.0,
        "~" | "~>" => low <= version && version < tilde(text, low),
        _ => low <= version && version < high,
    }
}

/// The bounds of a partial version: from the first, to before the second.
fn bounds(text: &str) -> Option<(Version, Version)> {
    let text = text.trim().trim_start_matches('v');
    let text = text.split(['+', '-']).next().unwrap_or_default();
    if matches!(text, "" | "*" | "x" | "X") {
        return Some(((0, 0, 0), (u64::MAX, 0, 0)));
    }
    let mut parts = Vec::new();
    for part in text.split('.') {
        if matches!(part, "*" | "x" | "X") {
            break;
        }
        parts.push(part.parse::<u64>().ok()?);
    }
    match parts[..] {
        [] => Some(((0, 0, 0), (u64::MAX, 0, 0))),
        [major] => Some(((major, 0, 0), (major.checked_add(1)?, 0, 0))),
        [major, minor] => Some(((major, minor, 0), (major, minor.checked_add(1)?, 0))),
        [major, minor, patch, ..] => Some(((major, minor, patch), (major, minor, patch.checked_add(1)?))),
    }
}

/// `~2` allows every minor version, `~2.8` and `~2.8.1` only that one.
fn tilde(text: &str, low: Version) -> Version {
    let is_major_only = text.split('.').nth(1).is_none_or(|minor| matches!(minor, "x" | "X" | "*"));
    if is_major_only { (low.0.saturating_add(1), 0, 0) } else { (low.0, low.1.saturating_add(1), 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_allow_newer_versions_or_do_not() {
        for range in [
            "2.x",
            "2.*",
            "*",
            "2",
            ">=2.7",
            ">= 2.7",
            "^2.8.0",
            "~2",
            "2.9.x",
            "v2.9.0",
            "2.12.3",
            "2.8.x || 2.9.x",
            ">=2.8 <2.10",
            "2.7 - 2.9",
            "latest",
        ] {
            assert!(allows_since(range, 9), "{range}");
        }
        for range in [
            "2.8.x",
            "2.8",
            "2.8.1",
            "v2.7.3",
            "~2.8",
            "~2.8.1",
            "<2.9",
            "<= 2.8",
            ">=2.7, <2.9.0",
            "2.6 - 2.8",
            "=2.8.4",
            "1.x",
        ] {
            assert!(!allows_since(range, 9), "{range}");
        }
    }
}
