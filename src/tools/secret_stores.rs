//! Programs that keep secrets. Values are read from their output and go nowhere else.

use std::path::Path;

use secrecy::SecretString;

use super::Environment;
use super::program::{Call, Program};
use crate::failure::{Failure, Result};
use crate::masking;

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

    /// Decrypts content that is at hand. `keys` are age identities beside those that sops finds by
    /// itself. As for Flux, the content may have been changed since it was encrypted: names,
    /// namespaces and labels are not what is secret.
    pub async fn decrypt_content(
        &self,
        content: Vec<u8>,
        (from, to): (SopsFormat, SopsFormat),
        keys: &str,
    ) -> Result<Vec<u8>> {
        let types = [format!("--input-type={}", from.name()), format!("--output-type={}", to.name())];
        let words = ["decrypt", "--ignore-mac", &types[0], &types[1], "/dev/stdin"];
        // Not in the repository: its `.sops.yaml` may say how files are indented, and Flux does not look.
        let mut call = Call::new(words).stdin(content).within(Path::new("/"));
        if !keys.is_empty() {
            let own = std::env::var("SOPS_AGE_KEY").unwrap_or_default();
            masking::mark(keys);
            call = call.variables(vec![("SOPS_AGE_KEY", format!("{own}\n{keys}").into())]);
        }
        self.0.run(call).await.map_err(|failure| undecrypted(&failure))
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

/// How content is written that sops encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SopsFormat {
    /// Any bytes, in an envelope of JSON.
    Binary,
    /// `KEY=value` lines.
    Dotenv,
    /// Sections of `key = value` lines.
    Ini,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl SopsFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }
}

/// sops repeats what it could not read, which may be a secret that nobody encrypted.
fn undecrypted(failure: &Failure) -> Failure {
    let is_keyless = failure.because.iter().any(|said| said.contains("no master key"));
    let why = if is_keyless { "no key that is at hand decrypts it" } else { "sops cannot read it" };
    Failure::input("it cannot be decrypted").because(why).hint(
        "name the age key with SOPS_AGE_KEY_FILE, or declare its Secret under `secrets` in bootstrapper.yaml",
    )
}

fn secret(bytes: Vec<u8>) -> Result<SecretString> {
    masking::mark_bytes(&bytes);
    String::from_utf8(bytes)
        .map(SecretString::from)
        .map_err(|_| Failure::input("the secret is no UTF-8 text"))
}
