//! SOPS: encrypted files, and the age keys that decrypt them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::secret;
use crate::Environment;
use crate::program::{Call, Program};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;
use bootstrapper_core::yaml;

/// The user's key file for sops, in the home folder.
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

    /// Decrypts content from memory. `keys` are age identities in addition to those that sops finds itself,
    /// if the user's own may be used. As in Flux, the content may have been changed since it was encrypted
    /// (the MAC is not verified): names, namespaces and labels are not secret.
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
        // Outside the repository: its `.sops.yaml` can set the indentation, and Flux ignores it.
        masking::mark(keys);
        let mut call = Call::new(words).stdin(content).within(Path::new("/"));
        call = if with_own_keys {
            with_keys(call, keys)
        } else {
            call.without(KEYS).variables(vec![("HOME", "/nonexistent".into()), ("SOPS_AGE_KEY", keys.into())])
        };
        self.0.run(call).await.map_err(|failure| undecrypted(&failure))
    }

    /// Decrypts one value of a file. `path` is in the syntax of `sops --extract`:
    /// `["stringData"]["age.agekey"]`. `keys` are age identities in addition to those that sops finds itself.
    pub async fn decrypt(&self, file: &Path, path: &str, keys: &str) -> Result<SecretString> {
        let call = Call::new(["decrypt".as_ref(), "--extract".as_ref(), path.as_ref(), file.as_os_str()]);
        let value = self.0.run(with_keys(call, keys)).await;
        secret(value.map_err(|failure| {
            failure.hint(
                "check that SOPS_AGE_KEY_FILE points to the age key, and that the file contains this value",
            )
        })?)
    }

    /// Decrypts a whole YAML file, and verifies its MAC. `keys` are age identities in addition to those that
    /// sops finds itself.
    pub async fn decrypt_manifest(&self, file: &Path, keys: &str) -> Result<String> {
        let words = ["decrypt", "--input-type=yaml", "--output-type=yaml"];
        let words = words.iter().map(OsStr::new).chain([file.as_os_str()]);
        let plain = self.0.run(with_keys(Call::new(words), keys)).await;
        let plain = plain.map_err(|failure| undecrypted(&failure))?;
        String::from_utf8(plain).map_err(|_| Failure::input("the file is not UTF-8 text"))
    }
}

/// Passes these age identities to sops, in addition to the user's own.
fn with_keys<'a>(call: Call<'a>, keys: &str) -> Call<'a> {
    if keys.is_empty() {
        return call;
    }
    masking::mark(keys);
    let own = std::env::var("SOPS_AGE_KEY").unwrap_or_default();
    call.variables(vec![("SOPS_AGE_KEY", format!("{own}\n{keys}").into())])
}

/// The files in which sops looks for the user's age keys: `SOPS_AGE_KEY_FILE`, and `sops/age/keys.txt` in the
/// configuration folder. They may not exist.
pub fn age_key_files() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = folder("HOME");
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let folders = [config, home.map(|home| home.join("Library/Application Support"))];
    let usual = folders.into_iter().flatten().map(|folder| folder.join("sops/age/keys.txt"));
    folder("SOPS_AGE_KEY_FILE").into_iter().chain(usual).collect()
}

/// The key services in the content, other than age: sops contacts them with the user's credentials.
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
    // Formats without lists have them flattened.
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

/// The format of SOPS content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SopsFormat {
    /// Binary data, in a JSON envelope.
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

/// sops quotes input that it cannot parse, which may be an unencrypted secret.
fn undecrypted(failure: &Failure) -> Failure {
    let is_keyless = failure.because.iter().any(|said| said.contains("no master key"));
    let why = if is_keyless { "no matching key available" } else { "sops cannot read it" };
    Failure::input("cannot decrypt it").because(why).hint(
        "set SOPS_AGE_KEY_FILE to the age key, or declare its Secret under `secrets` in bootstrapper.yaml",
    )
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
