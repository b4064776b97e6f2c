//! Digests in hexadecimal.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The first `length` digits of [`sha256`].
pub fn short_sha256(bytes: impl AsRef<[u8]>, length: usize) -> String {
    sha256(bytes).chars().take(length).collect()
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether a text consists of `length` hexadecimal digits: 64 for a SHA-256, 40 for a commit.
pub fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
