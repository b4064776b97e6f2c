//! Shell patterns, as used by Flux's substitution in `${v#pattern}`, and by sources for file names.

/// One element of a pattern.
enum Token<'a> {
    Any,
    One,
    Set { negated: bool, set: &'a [char] },
    Plain(char),
}

/// Whether a pattern matches a whole text without `/`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    if text.is_empty() {
        return pattern.chars().all(|c| c == '*');
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    prefix(&pattern, &text, true) == Some(text.len())
}

/// How many characters at the beginning of `text` the pattern matches: at least one, the most if `longest`. `*`
/// and `?` match any characters, `[a-z]` and `[^a-z]` one of a set, a backslash escapes the next character.
/// None if it matches nothing, or is malformed. Tracks all positions in the pattern at once: the work is
/// bounded by the product of both lengths.
pub(super) fn prefix(pattern: &[char], text: &[char], longest: bool) -> Option<usize> {
    let tokens = tokens(pattern)?;
    // The tokens matched so far: from the state before the first to that after the last.
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    pass_stars(&tokens, &mut states);
    let mut found = None;
    for (at, c) in text.iter().enumerate() {
        let mut next = vec![false; tokens.len() + 1];
        for (state, token) in tokens.iter().enumerate().filter(|(state, _)| states[*state]) {
            match token {
                Token::Any => next[state] = true,
                Token::One => next[state + 1] = true,
                Token::Set { negated, set } => next[state + 1] |= in_set(set, *c) != *negated,
                Token::Plain(plain) => next[state + 1] |= plain == c,
            }
        }
        pass_stars(&tokens, &mut next);
        states = next;
        if states[tokens.len()] {
            found = Some(at + 1);
            if !longest {
                break;
            }
        }
        if !states.contains(&true) {
            break;
        }
    }
    found
}

/// A star may match the empty text.
fn pass_stars(tokens: &[Token<'_>], states: &mut [bool]) {
    for (state, token) in tokens.iter().enumerate() {
        if states[state] && matches!(token, Token::Any) {
            states[state + 1] = true;
        }
    }
}

/// None if the pattern is malformed: it matches nothing.
fn tokens(mut pattern: &[char]) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    while let Some((first, rest)) = pattern.split_first() {
        pattern = rest;
        tokens.push(match first {
            '*' if matches!(tokens.last(), Some(Token::Any)) => continue,
            '*' => Token::Any,
            '?' => Token::One,
            '[' => {
                let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
                let (set, after) = (&rest[..end], &rest[end + 1..]);
                pattern = after;
                match set.split_first() {
                    Some(('^', set)) => Token::Set { negated: true, set },
                    _ => Token::Set { negated: false, set },
                }
            }
            '\\' => {
                let (escaped, after) = rest.split_first()?;
                pattern = after;
                Token::Plain(*escaped)
            }
            plain => Token::Plain(*plain),
        });
    }
    Some(tokens)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found() {
        let table = [
            ("*/", "/a/b", false, Some(1)),
            ("*/", "/a/b", true, Some(3)),
            ("*", "abc", false, Some(1)),
            ("*", "abc", true, Some(3)),
            ("a?[b-c]", "axbz", true, Some(3)),
            ("[^a]", "b", true, Some(1)),
            ("\\*", "*a", true, Some(1)),
            ("[a", "a", true, None),
            ("a\\", "a", true, None),
            ("x", "a", true, None),
            ("", "a", true, None),
        ];
        for (pattern, text, longest, expected) in table {
            let (one, other): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            assert_eq!(prefix(&one, &other, longest), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_one() {
        let pattern: Vec<char> = "*a".repeat(50).chars().chain(['b']).collect();
        let text: Vec<char> = "a".repeat(20_000).chars().collect();
        assert_eq!(prefix(&pattern, &text, true), None);
    }
}
