//! The source of a secret's value.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::one_password::{ConnectSource, OnePasswordSource};
use super::sops_path::SopsPath;
use crate::pipeline::word_or::WordOr;

/// The source of a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, relative to the repository.
    File(PathBuf),
    /// A 1Password reference (`op://vault/item/field`), read with `op`.
    Op(OnePasswordSource),
    /// A 1Password reference, read through a Connect server.
    Connect(ConnectSource),
    /// A value in a file encrypted by SOPS.
    Sops(SopsSource),
    /// A value in Bitwarden.
    Bitwarden(BitwardenSource),
    /// A value in HashiCorp Vault.
    Vault(VaultSource),
    /// A program and its arguments: its output is the value, without the trailing newline.
    Program(Vec<String>),
    /// Age keys: `machine` for those that sops finds on this machine, or a list of sources of keys.
    Age(AgeSource),
    /// The base64 encoding of another source, for programs that expect an encoded value in the Secret.
    Base64(Box<SecretSource>),
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableName {
    /// The variable's name.
    pub env: String,
}

/// A value in a file encrypted by SOPS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SopsSource {
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The key in it: `stringData.token`, `stringData["age.agekey"]`.
    pub key: SopsPath,
}

/// A value in Bitwarden: a field of an item (`bw`), or a secret of the Secrets Manager (`bws`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BitwardenWritten")]
pub enum BitwardenSource {
    /// A field of an item in a vault.
    Item {
        /// Its name or id.
        item: String,
        /// `password`, `username`, `uri`, `totp`, `notes`, or the name of a custom field.
        field: String,
        /// The environment variable with the session; none for `BW_SESSION`.
        session: Option<VariableName>,
    },
    /// A secret of the Secrets Manager.
    Secret {
        /// Its id.
        secret: String,
        /// The environment variable with the access token; none for `BWS_ACCESS_TOKEN`.
        token: Option<VariableName>,
    },
}

/// A field of an item (`item`, `field`), or a secret of the Secrets Manager (`secret`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BitwardenWritten {
    /// The name or id of an item, read with `bw`.
    item: Option<String>,
    /// `password` (the default), `username`, `uri`, `totp`, `notes`, or the name of a custom field.
    field: Option<String>,
    /// The environment variable with the session of `bw`. Default: `BW_SESSION`.
    session: Option<VariableName>,
    /// The id of a secret of the Secrets Manager, read with `bws`.
    secret: Option<String>,
    /// The environment variable with the access token of `bws`. Default: `BWS_ACCESS_TOKEN`.
    token: Option<VariableName>,
}

impl TryFrom<BitwardenWritten> for BitwardenSource {
    type Error = String;

    fn try_from(written: BitwardenWritten) -> Result<Self, String> {
        match written {
            BitwardenWritten { item: Some(item), field, session, secret: None, token: None } => {
                let field = field.unwrap_or_else(|| "password".to_owned());
                Ok(Self::Item { item, field, session })
            }
            BitwardenWritten { item: None, field: None, session: None, secret: Some(secret), token } => {
                Ok(Self::Secret { secret, token })
            }
            _ => Err("bitwarden takes `item`, `field` and `session`, or `secret` and `token`".to_owned()),
        }
    }
}

impl JsonSchema for BitwardenSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BitwardenSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BitwardenWritten::json_schema(generator)
    }
}

/// A value in HashiCorp Vault's key-value store, read with `vault kv get`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSource {
    /// The path of the secret, relative to the mount if that is set.
    pub path: String,
    /// The field of the secret.
    pub field: String,
    /// The mount of the store. Default: the beginning of the path.
    pub mount: Option<String>,
    /// The namespace of Vault Enterprise.
    pub namespace: Option<String>,
    /// The server's address. Default: that of `VAULT_ADDR`.
    pub address: Option<String>,
    /// The environment variable with the token. Default: that of `vault login`.
    pub token: Option<VariableName>,
}

/// Age keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<Vec<SecretSource>>")]
pub enum AgeSource {
    /// The keys that sops finds on this machine.
    Machine,
    /// The keys from these sources.
    These(Vec<SecretSource>),
}

impl TryFrom<WordOr<Vec<SecretSource>>> for AgeSource {
    type Error = String;

    fn try_from(written: WordOr<Vec<SecretSource>>) -> Result<Self, String> {
        match written {
            WordOr::Word(word) if word == "machine" => Ok(Self::Machine),
            WordOr::Other(sources) if !sources.is_empty() => Ok(Self::These(sources)),
            _ => Err("age takes `machine`, or a list of sources of keys".to_owned()),
        }
    }
}

/// `machine`, or a list of sources of keys.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum AgeSchema {
    /// The keys that sops finds on this machine.
    Machine(MachineWord),
    /// Sources of keys.
    These(Vec<SecretSource>),
}

/// `machine`: the keys that sops finds on this machine.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "for the schema")]
enum MachineWord {
    /// The keys in `SOPS_AGE_KEY`, in the file `SOPS_AGE_KEY_FILE`, and in `sops/age/keys.txt`.
    Machine,
}

impl JsonSchema for AgeSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AgeSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        AgeSchema::json_schema(generator)
    }
}

impl SecretSource {
    /// The environment variables that it needs, as values or credentials.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Env(name) => vec![name],
            Self::Op(source) | Self::Connect(ConnectSource(source)) => {
                source.sign_in.variables().map(|variable| variable.env.as_str()).collect()
            }
            Self::Bitwarden(
                BitwardenSource::Item { session: token, .. } | BitwardenSource::Secret { token, .. },
            )
            | Self::Vault(VaultSource { token, .. }) => {
                token.iter().map(|variable| variable.env.as_str()).collect()
            }
            Self::Age(AgeSource::These(sources)) => sources.iter().flat_map(Self::variables).collect(),
            Self::Base64(source) => source.variables(),
            Self::File(_) | Self::Sops(_) | Self::Program(_) | Self::Age(AgeSource::Machine) => Vec::new(),
        }
    }

    /// Whether sops is needed to read it: it is read after the others, which may provide the keys.
    pub fn needs_sops(&self) -> bool {
        match self {
            Self::Sops(_) => true,
            Self::Age(AgeSource::These(sources)) => sources.iter().any(Self::needs_sops),
            Self::Base64(source) => source.needs_sops(),
            Self::Env(_)
            | Self::File(_)
            | Self::Op(_)
            | Self::Connect(_)
            | Self::Bitwarden(_)
            | Self::Vault(_)
            | Self::Program(_)
            | Self::Age(AgeSource::Machine) => false,
        }
    }
}
