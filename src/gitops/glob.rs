//! Shell patterns, as Flux's substitution takes them in `${v#pattern}`.

/// Whether `pattern` matches all of `text`. `*` and `?` match any characters, `[a-z]` and `[^a-z]`
/// one of a set, a backslash makes the next character plain. None if the pattern is malformed.
pub(super) fn matches(pattern: &[char], text: &[char]) -> Option<bool> {
    let Some((first, rest)) = pattern.split_first() else { return Some(text.is_empty()) };
    match first {
        '*' => {
            for taken in 0..=text.len() {
                if matches(rest, &text[taken..])? {
                    return Some(true);
                }
            }
            Some(false)
        }
        '?' => one(rest, text, |_| true),
        '[' => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let (set, after) = (&rest[..end], &rest[end + 1..]);
            let (negated, set) = match set.split_first() {
                Some(('^', set)) => (true, set),
                _ => (false, set),
            };
            one(after, text, |c| in_set(set, c) != negated)
        }
        '\\' => {
            let (escaped, after) = rest.split_first()?;
            one(after, text, |c| c == *escaped)
        }
        plain => one(rest, text, |c| c == *plain),
    }
}

fn one(rest: &[char], text: &[char], accepts: impl Fn(char) -> bool) -> Option<bool> {
    match text.split_first() {
        Some((c, after)) if accepts(*c) => matches(rest, after),
        _ => Some(false),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            if (set[at]..=set[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}
