//! Programs that store secrets, one file each. Values are read from their output, and from nowhere else.

mod bitwarden;
mod one_password;
mod program;
mod sops;
mod vault;

pub use bitwarden::{Bitwarden, BitwardenSecrets};
pub use one_password::{OnePassword, SignIn};
pub use program::SecretProgram;
pub use sops::{Sops, SopsFormat, age_key_files, sops_keepers};
pub use vault::{Vault, VaultPath};

use secrecy::SecretString;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;

/// The output of a program, as a secret.
fn secret(bytes: Vec<u8>) -> Result<SecretString> {
    masking::mark_bytes(&bytes);
    String::from_utf8(bytes)
        .map(SecretString::from)
        .map_err(|_| Failure::input("the secret is not UTF-8 text"))
}

/// The same without the trailing line break that the program adds.
fn secret_line(mut bytes: Vec<u8>) -> Result<SecretString> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    secret(bytes)
}

/// Fails if a program would parse an argument as an option.
fn require_no_option(word: &str) -> Result<()> {
    if word.starts_with('-') {
        return Err(Failure::input(format!("invalid name `{word}`")).because("it starts with a dash"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_value() {
        for (answer, value) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\nb\n", "a\nb"), ("\n", "")]
        {
            assert_eq!(secret_line(answer.into()).unwrap().expose_secret(), value, "{answer:?}");
        }
    }

    #[test]
    fn a_name_is_no_option() {
        assert!(require_no_option("item").is_ok());
        assert!(require_no_option("--session=x").is_err());
    }
}
