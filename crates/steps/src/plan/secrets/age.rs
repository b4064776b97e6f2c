//! Age key files: lines with keys and comments.

/// The prefix of every kind of secret age key.
const SECRET: &str = "AGE-SECRET-KEY-";

/// The prefix of an X25519 key, as used by Bech32.
pub(super) const PREFIX: &str = "age-secret-key-";

/// Whether a text contains a secret age key.
pub(super) fn holds_key(text: &str) -> bool {
    keys(text).next().is_some()
}

fn keys(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| line.starts_with(SECRET))
}

/// The public keys in the comments that `age-keygen` writes, and the number of keys without such a comment.
pub(super) fn noted(text: &str) -> (Vec<&str>, usize) {
    let notes =
        text.lines().filter_map(|line| line.trim().strip_prefix('#')?.trim().strip_prefix("public key:"));
    let notes: Vec<&str> = notes.map(str::trim).filter(|note| note.starts_with("age1")).collect();
    let without = keys(text).count().saturating_sub(notes.len());
    (notes, without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_comments_are_distinguished() {
        let noted_key = "# created: 2026\n# public key: age1abc\nAGE-SECRET-KEY-1X\n";
        for (text, has_key, notes, without) in [
            (noted_key, true, &["age1abc"][..], 0),
            ("AGE-SECRET-KEY-1X", true, &[], 1),
            (" AGE-SECRET-KEY-PQ-1X\n# public key: ssh-x\n", true, &[], 1),
            ("# public key: age1abc\n", false, &["age1abc"], 0),
            ("age1abc", false, &[], 0),
            ("", false, &[], 0),
        ] {
            assert_eq!(holds_key(text), has_key, "{text}");
            assert_eq!(noted(text), (notes.to_vec(), without), "{text}");
        }
    }
}
