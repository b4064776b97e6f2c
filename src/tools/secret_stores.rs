//! Programs that keep secrets. Values are read from their output and go nowhere else.

use std::path::Path;

use secrecy::SecretString;

use super::Environment;
use super::program::{Call, Program};
use crate::failure::{Failure, Result};

/// The 1Password CLI.
#[derive(Debug)]
pub struct OnePassword(Program);

impl OnePassword {
    /// Finds `op`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("op", environment, "install the 1Password CLI and sign in").map(Self)
    }

    /// Reads `op://vault/item/field`.
    pub async fn read(&self, reference: &str) -> Result<SecretString> {
        let value = self.0.run(Call::new(["read", "--no-newline", reference])).await;
        secret(value.map_err(|failure| failure.hint("sign in with `op signin`, or check the reference"))?)
    }
}

/// SOPS.
#[derive(Debug)]
pub struct Sops(Program);

impl Sops {
    /// Finds `sops`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("sops", environment, "install sops, and the key that decrypts").map(Self)
    }

    /// Decrypts one value of a file: `stringData.token` names `{stringData: {token: …}}`.
    pub async fn decrypt(&self, file: &Path, key: &str) -> Result<SecretString> {
        let path = format!("[\"{}\"]", key.split('.').collect::<Vec<_>>().join("\"][\""));
        let call = Call::new(["decrypt".as_ref(), "--extract".as_ref(), path.as_ref(), file.as_os_str()]);
        let value = self.0.run(call).await;
        secret(value.map_err(|failure| {
            failure.hint("check that SOPS_AGE_KEY_FILE names the key, and that the file holds it")
        })?)
    }
}

fn secret(bytes: Vec<u8>) -> Result<SecretString> {
    String::from_utf8(bytes)
        .map(SecretString::from)
        .map_err(|_| Failure::input("the secret is no UTF-8 text"))
}
