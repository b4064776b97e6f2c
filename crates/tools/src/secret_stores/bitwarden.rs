//! Bitwarden's command lines: `bw` for personal vaults, `bws` for the Secrets Manager.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{require_no_option, secret, secret_line};
use crate::Environment;
use crate::program::{Call, Program};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;

/// The fields that `bw get` supports directly; all others are custom fields of an item.
const OWN_FIELDS: [&str; 5] = ["username", "password", "uri", "totp", "notes"];

/// Bitwarden's vaults, through `bw`.
#[derive(Debug)]
pub struct Bitwarden(Program);

impl Bitwarden {
    /// Finds `bw`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("bw", environment, "install the Bitwarden CLI, and log in with `bw login`").map(Self)
    }

    /// Reads a field of an item: `password`, `username`, `uri`, `totp`, `notes`, or the name of a custom field.
    pub async fn read(
        &self,
        item: &str,
        field: &str,
        session: Option<&SecretString>,
    ) -> Result<SecretString> {
        require_no_option(item)?;
        let is_own = OWN_FIELDS.contains(&field);
        let call = Call::new(["get", if is_own { field } else { "item" }, item, "--raw", "--nointeraction"]);
        let call = with_token(call, "BW_SESSION", session);
        let answer =
            self.0.run(call).await.map_err(|failure| {
                failure.hint("unlock the vault: export BW_SESSION=\"$(bw unlock --raw)\"")
            })?;
        if is_own { secret_line(answer) } else { custom_field(&answer, item, field) }
    }
}

/// Bitwarden's Secrets Manager, through `bws`.
#[derive(Debug)]
pub struct BitwardenSecrets(Program);

impl BitwardenSecrets {
    /// Finds `bws`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("bws", environment, "install the CLI of Bitwarden's Secrets Manager").map(Self)
    }

    /// Reads the secret with that id.
    pub async fn read(&self, id: &str, token: Option<&SecretString>) -> Result<SecretString> {
        require_no_option(id)?;
        let call = Call::new(["secret", "get", id, "--output", "json", "--color", "no"]);
        let answer = self.0.run(with_token(call, "BWS_ACCESS_TOKEN", token)).await.map_err(|failure| {
            failure.hint("export BWS_ACCESS_TOKEN=…, and check that its machine account may read the secret")
        })?;
        let value = read(&answer)?["value"].as_str().map(str::to_owned);
        let value = value.ok_or_else(|| Failure::input(format!("secret {id} has no value")))?;
        secret(value.into_bytes())
    }
}

fn with_token<'a>(call: Call<'a>, variable: &'static str, token: Option<&SecretString>) -> Call<'a> {
    match token {
        Some(token) => call.variables(vec![(variable, token.expose_secret().into())]),
        None => call,
    }
}

/// The parse error is not shown: it would quote the response.
fn read(answer: &[u8]) -> Result<Value> {
    masking::mark_bytes(answer);
    serde_json::from_slice(answer).map_err(|_| Failure::input("the answer of Bitwarden is not JSON"))
}

fn custom_field(answer: &[u8], item: &str, field: &str) -> Result<SecretString> {
    let answer = read(answer)?;
    let fields = answer["fields"].as_array().cloned().unwrap_or_default();
    let named = fields.iter().find(|one| one["name"] == field).and_then(|one| one["value"].as_str());
    let value = named.ok_or_else(|| {
        let names: Vec<&str> = fields.iter().filter_map(|one| one["name"].as_str()).collect();
        let failure = Failure::input(format!("item {item} has no field `{field}`"));
        let own = OWN_FIELDS.join(", ");
        if names.is_empty() {
            failure.hint(format!("use one of {own}"))
        } else {
            failure.hint(format!("use one of {own}, {}", names.join(", ")))
        }
    })?;
    secret(value.to_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_field_is_found_by_its_name() {
        let answer = br#"{"name": "item", "fields": [{"name": "token", "value": "v", "type": 1}, {"name": "none", "value": null}]}"#;
        assert_eq!(custom_field(answer, "item", "token").unwrap().expose_secret(), "v");
        for missing in ["none", "other"] {
            let failure = custom_field(answer, "item", missing).unwrap_err();
            assert!(failure.hints[0].contains("token"), "{failure}");
        }
        let failure = custom_field(b"v3ry-secret", "item", "token").unwrap_err();
        assert!(!format!("{failure:?}").contains("v3ry"), "{failure:?}");
    }
}
