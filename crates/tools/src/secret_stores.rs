//! Programs that keep secrets. Values are read from their output and go nowhere else.

use std::path::Path;

use secrecy::SecretString;

use super::Environment;
use super::program::{Call, Program};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;
use bootstrapper_core::yaml;

/// The 1Password CLI.
#[derive(Debug)]
pub struct OnePassword(Program);

impl OnePassword {
    /// Finds `op`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("op", environment, "install the 1Password CLI, and sign in").map(Self)
    }

    /// Finds what stands in for `op` in a sandbox; never the person's own.
    pub fn of_sandbox(environment: &Environment) -> Result<Self> {
        Program::find_beside("op", environment)
            .map(Self)
            .ok_or_else(|| Failure::input("this sandbox has no vault"))
    }

    /// Reads `op://vault/item/field`.
    pub async fn read(&self, reference: &str) -> Result<SecretString> {
        let value = self.0.run(Call::new(["read", "--no-newline", reference])).await;
        secret(value.map_err(|failure| failure.hint("sign in with `op signin`, or check the reference"))?)
    }
}

/// Where sops looks for keys of the person, beside the home folder.
const KEYS: &[&str] = &[
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_KEY_CMD",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
    "SOPS_GPG_EXEC",
    "GNUPGHOME",
    "XDG_CONFIG_HOME",
];

/// SOPS.
#[derive(Debug)]
pub struct Sops(Program);

impl Sops {
    /// Finds `sops`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("sops", environment, "install sops, and provide the decryption key").map(Self)
    }

    /// Decrypts content that is at hand. `keys` are age identities beside those that sops finds by
    /// itself, if the person's own may be used. As for Flux, the content may have been changed since it was encrypted: names,
    /// namespaces and labels are not what is secret.
    pub async fn decrypt_content(
        &self,
        content: Vec<u8>,
        (from, to): (SopsFormat, SopsFormat),
        keys: &str,
        with_own_keys: bool,
    ) -> Result<Vec<u8>> {
        if let Some(keeper) = sops_keepers(&content).first() {
            return Err(Failure::input("cannot decrypt it")
                .because(format!("its keys are in {keeper}, which only Flux uses"))
                .hint("declare its Secret under `secrets` in bootstrapper.yaml"));
        }
        let types = [format!("--input-type={}", from.name()), format!("--output-type={}", to.name())];
        let words = ["decrypt", "--ignore-mac", &types[0], &types[1], "/dev/stdin"];
        // Not in the repository: its `.sops.yaml` may say how files are indented, and Flux does not look.
        masking::mark(keys);
        let mut call = Call::new(words).stdin(content).within(Path::new("/"));
        if !with_own_keys {
            call = call
                .without(KEYS)
                .variables(vec![("HOME", "/nonexistent".into()), ("SOPS_AGE_KEY", keys.into())]);
        } else if !keys.is_empty() {
            let own = std::env::var("SOPS_AGE_KEY").unwrap_or_default();
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
            failure.hint(
                "check that SOPS_AGE_KEY_FILE points to the age key, and that the file contains this value",
            )
        })?)
    }
}

/// The services that content names for its keys, beside age: whoever decrypts it asks them, with the
/// credentials of the person.
pub fn sops_keepers(content: &[u8]) -> Vec<String> {
    const KEEPERS: [(&str, &str, &str); 4] = [
        ("hc_vault", "vault_address", "Vault"),
        ("kms", "arn", "AWS KMS"),
        ("gcp_kms", "resource_id", "GCP KMS"),
        ("azure_kv", "vault_url", "Azure Key Vault"),
    ];
    let text = String::from_utf8_lossy(content);
    let mut keepers = Vec::new();
    let document = yaml::from_str::<serde_json::Value>(&text, Path::new("it")).unwrap_or_default();
    let groups = document["sops"]["key_groups"].as_array().cloned().unwrap_or_default();
    for group in groups.iter().chain([&document["sops"]]) {
        for (list, field, name) in KEEPERS {
            for keeper in group[list].as_array().into_iter().flatten() {
                keepers.push(format!("{name} {}", keeper[field].as_str().unwrap_or_default()));
            }
        }
    }
    // Lists are written out in the formats that have none.
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim();
        for (list, field, word) in KEEPERS {
            let is_of_list = name.trim_start_matches("sops_").starts_with(&format!("{list}__list_"))
                || (name.starts_with("sops_key_groups__") && name.contains(&format!("_{list}__list_")));
            if is_of_list && name.ends_with(&format!("_{field}")) {
                keepers.push(format!("{word} {}", value.trim()));
            }
        }
    }
    keepers.sort();
    keepers.dedup();
    keepers
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
    let why = if is_keyless { "no matching key available" } else { "sops cannot read it" };
    Failure::input("cannot decrypt it").because(why).hint(
        "set SOPS_AGE_KEY_FILE to the age key, or declare its Secret under `secrets` in bootstrapper.yaml",
    )
}

fn secret(bytes: Vec<u8>) -> Result<SecretString> {
    masking::mark_bytes(&bytes);
    String::from_utf8(bytes)
        .map(SecretString::from)
        .map_err(|_| Failure::input("the secret is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_keep_keys_are_named_in_every_format() {
        let yaml = "a: ENC[x]\nsops:\n  kms: []\n  age: [{recipient: age1}]\n  hc_vault: [{vault_address: 'http://x.test', key_name: k}]\n";
        let json = r#"{"a": "ENC[x]", "sops": {"key_groups": [{"kms": [{"arn": "arn:aws:1"}]}]}}"#;
        let dotenv = "a=ENC[x]\nsops_azure_kv__list_0__map_vault_url=https://y.test\nsops_mac=ENC[x]\n";
        let ini = "[sops]\nhc_vault__list_0__map_vault_address = http://z.test\n";
        for (text, keepers) in [
            (yaml, vec!["Vault http://x.test"]),
            (json, vec!["AWS KMS arn:aws:1"]),
            (dotenv, vec!["Azure Key Vault https://y.test"]),
            (ini, vec!["Vault http://z.test"]),
            ("sops: {age: [{recipient: age1}], pgp: []}", vec![]),
        ] {
            assert_eq!(sops_keepers(text.as_bytes()), keepers, "{text}");
        }
    }
}
