//! HashiCorp Vault, through `vault kv get`.

use std::ffi::OsString;

use secrecy::{ExposeSecret as _, SecretString};

use super::{require_no_option, secret};
use crate::Environment;
use crate::program::{Call, Program};
use bootstrapper_core::failure::Result;

/// HashiCorp Vault.
#[derive(Debug)]
pub struct Vault(Program);

/// A value in a Vault key-value store.
#[derive(Debug, Clone, Default)]
pub struct VaultPath {
    /// The path of the secret, within the mount if that is set.
    pub path: String,
    /// The field.
    pub field: String,
    /// The mount; by default, the beginning of the path.
    pub mount: Option<String>,
    /// The namespace of Vault Enterprise.
    pub namespace: Option<String>,
    /// The server; by default, that of `VAULT_ADDR`.
    pub address: Option<String>,
    /// The token; by default, that of `vault login` or `VAULT_TOKEN`.
    pub token: Option<SecretString>,
}

impl Vault {
    /// Finds `vault`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("vault", environment, "install the Vault CLI, and log in with `vault login`")
            .map(Self)
    }

    /// Reads a value.
    pub async fn read(&self, from: &VaultPath) -> Result<SecretString> {
        require_no_option(&from.path)?;
        let mut words = vec!["kv".to_owned(), "get".to_owned()];
        words.extend(from.mount.as_ref().map(|mount| format!("-mount={mount}")));
        words.push(format!("-field={}", from.field));
        words.push(from.path.clone());
        let token = from.token.as_ref().map(|token| token.expose_secret().to_owned());
        let variables: [(&'static str, Option<String>); 3] = [
            ("VAULT_ADDR", from.address.clone()),
            ("VAULT_NAMESPACE", from.namespace.clone()),
            ("VAULT_TOKEN", token),
        ];
        let variables = variables.into_iter().filter_map(|(name, value)| Some((name, value?.into())));
        let variables: Vec<(&'static str, OsString)> = variables.collect();
        let answer = self.0.run(Call::new(words).variables(variables)).await;
        secret(answer.map_err(|failure| {
            failure.hint("check VAULT_ADDR, log in with `vault login`, and check the path and the field")
        })?)
    }
}
