//! A 1Password reference, and the credentials to read it with.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::source::VariableName;
use crate::pipeline::word_or::WordOr;

/// A value in 1Password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<Written>")]
pub struct OnePasswordSource {
    /// `op://vault/item/field`.
    pub reference: String,
    /// The credentials to read it with.
    pub sign_in: SignInSpec,
}

/// The credentials for 1Password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SignInSpec {
    /// From the environment: the session, service account or Connect server that `op` finds there.
    #[default]
    Usual,
    /// An account that the user is signed in to.
    Account(String),
    /// A service account, with the variable that contains its token.
    Service(VariableName),
    /// A Connect server, and the variable that contains its token.
    Connect(Origin, VariableName),
}

/// The address of a server, or the variable that contains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An address.
    Address(String),
    /// A variable that contains the address.
    Variable(VariableName),
}

/// A value in 1Password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// `op://vault/item/field`.
    reference: String,
    /// The account to read it with (`op --account`). Default: that of `op`.
    account: Option<String>,
    /// The environment variable with the token of a service account to read it with.
    token: Option<VariableName>,
}

/// `op://vault/item/field`, or the reference and the credentials to read it with.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum OpSchema {
    /// `op://vault/item/field`.
    Reference(String),
    /// The reference, and the credentials to read it with.
    SignedIn(Written),
}

impl JsonSchema for OnePasswordSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OnePasswordSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OpSchema::json_schema(generator)
    }
}

impl TryFrom<WordOr<Written>> for OnePasswordSource {
    type Error = String;

    fn try_from(written: WordOr<Written>) -> Result<Self, String> {
        Ok(match written {
            WordOr::Word(reference) => Self { reference, sign_in: SignInSpec::Usual },
            WordOr::Other(Written { reference, account, token }) => {
                Self { reference, sign_in: SignInSpec::of(account, token, None)? }
            }
        })
    }
}

/// A value in 1Password, read through a Connect server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectWritten {
    /// `op://vault/item/field`.
    reference: String,
    /// Its address, or `{env: NAME}`. Default: the variable `OP_CONNECT_HOST`.
    #[schemars(with = "Option<OriginSchema>")]
    host: Option<OriginWritten>,
    /// The environment variable with its token. Default: `OP_CONNECT_TOKEN`.
    token: Option<VariableName>,
}

/// A Connect server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectServer {
    /// Its address, or `{env: NAME}`. Default: the variable `OP_CONNECT_HOST`.
    #[schemars(with = "Option<OriginSchema>")]
    host: Option<OriginWritten>,
    /// The environment variable with its token. Default: `OP_CONNECT_TOKEN`.
    token: Option<VariableName>,
}

/// An address, or the environment variable that contains it.
#[derive(JsonSchema)]
#[schemars(rename = "ConnectHost")]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum OriginSchema {
    /// `https://connect.example`.
    Address(String),
    /// The environment variable that contains it.
    Variable(VariableName),
}

#[derive(Debug, Deserialize)]
#[serde(from = "WordOr<VariableName>")]
struct OriginWritten(Origin);

impl From<WordOr<VariableName>> for OriginWritten {
    fn from(written: WordOr<VariableName>) -> Self {
        Self(match written {
            WordOr::Word(address) => Origin::Address(address),
            WordOr::Other(name) => Origin::Variable(name),
        })
    }
}

impl ConnectServer {
    fn sign_in(self) -> SignInSpec {
        let variable = |name: &str| VariableName { env: name.to_owned() };
        let host = self.host.map_or_else(|| Origin::Variable(variable("OP_CONNECT_HOST")), |host| host.0);
        SignInSpec::Connect(host, self.token.unwrap_or_else(|| variable("OP_CONNECT_TOKEN")))
    }
}

impl SignInSpec {
    /// From the fields of the file, of which only one may be set.
    pub(super) fn of(
        account: Option<String>,
        token: Option<VariableName>,
        connect: Option<ConnectServer>,
    ) -> Result<Self, String> {
        match (account, token, connect) {
            (None, None, None) => Ok(Self::Usual),
            (Some(account), None, None) if account.is_empty() || account.contains('\0') => {
                Err("`account` is empty".to_owned())
            }
            (Some(account), None, None) => Ok(Self::Account(account)),
            (None, Some(token), None) => Ok(Self::Service(token)),
            (None, None, Some(server)) => Ok(server.sign_in()),
            _ => Err("1Password is read with an `account`, a `token` or a Connect server: name one of them"
                .to_owned()),
        }
    }

    /// The environment variables that it needs.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        let (first, second) = match self {
            Self::Usual | Self::Account(_) => (None, None),
            Self::Service(token) | Self::Connect(Origin::Address(_), token) => (Some(token), None),
            Self::Connect(Origin::Variable(host), token) => (Some(host), Some(token)),
        };
        first.into_iter().chain(second)
    }
}

/// A value in 1Password that is read through a Connect server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WordOr<ConnectWritten>")]
pub struct ConnectSource(pub OnePasswordSource);

impl From<WordOr<ConnectWritten>> for ConnectSource {
    fn from(written: WordOr<ConnectWritten>) -> Self {
        let (reference, server) = match written {
            WordOr::Word(reference) => (reference, ConnectServer::default()),
            WordOr::Other(ConnectWritten { reference, host, token }) => {
                (reference, ConnectServer { host, token })
            }
        };
        Self(OnePasswordSource { reference, sign_in: server.sign_in() })
    }
}

/// `op://vault/item/field`, or the reference and the Connect server.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum ConnectSchema {
    /// `op://vault/item/field`.
    Reference(String),
    /// The reference, and the Connect server.
    Server(ConnectWritten),
}

impl JsonSchema for ConnectSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConnectSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ConnectSchema::json_schema(generator)
    }
}
