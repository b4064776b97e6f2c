//! A 1Password reference, and as whom it is read.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::source::VariableName;
use crate::pipeline::word_or::WordOr;

/// A value of 1Password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<Written>")]
pub struct OnePasswordSource {
    /// `op://vault/item/field`.
    pub reference: String,
    /// As whom it is read.
    pub sign_in: SignInSpec,
}

/// As whom 1Password is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SignInSpec {
    /// As the environment says: the session, service account or Connect server that `op` finds there.
    #[default]
    Usual,
    /// An account that the person is signed in to.
    Account(String),
    /// A service account, whose token a variable holds.
    Service(VariableName),
    /// A Connect server, and the variable that holds its token.
    Connect(Origin, VariableName),
}

/// Where a server is: its address, or the variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This address.
    Address(String),
    /// The address that a variable holds.
    Variable(VariableName),
}

/// A value of 1Password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// `op://vault/item/field`.
    reference: String,
    /// The account to read with, as `op --account` takes it; else the one that `op` uses.
    account: Option<String>,
    /// The variable that holds the token of a service account to read with.
    token: Option<VariableName>,
}

/// `op://vault/item/field`, or the reference and as whom it is read.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum OpSchema {
    /// `op://vault/item/field`.
    Reference(String),
    /// The reference, and as whom it is read.
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

/// A value of 1Password, read through a Connect server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectWritten {
    /// `op://vault/item/field`.
    reference: String,
    /// Its address, or `{env: NAME}`; the variable `OP_CONNECT_HOST`, if this is left out.
    #[schemars(with = "Option<OriginSchema>")]
    host: Option<OriginWritten>,
    /// The variable that holds its token; `OP_CONNECT_TOKEN`, if this is left out.
    token: Option<VariableName>,
}

/// A Connect server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectServer {
    /// Its address, or `{env: NAME}`; the variable `OP_CONNECT_HOST`, if this is left out.
    #[schemars(with = "Option<OriginSchema>")]
    host: Option<OriginWritten>,
    /// The variable that holds its token; `OP_CONNECT_TOKEN`, if this is left out.
    token: Option<VariableName>,
}

/// An address, or the variable that holds it.
#[derive(JsonSchema)]
#[schemars(rename = "ConnectHost")]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum OriginSchema {
    /// `https://connect.example`.
    Address(String),
    /// The variable that holds it.
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
    /// That of what is written, of which only one may be.
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

    /// The variables that it is read from.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        let (first, second) = match self {
            Self::Usual | Self::Account(_) => (None, None),
            Self::Service(token) | Self::Connect(Origin::Address(_), token) => (Some(token), None),
            Self::Connect(Origin::Variable(host), token) => (Some(host), Some(token)),
        };
        first.into_iter().chain(second)
    }
}

/// A value of 1Password that is read through a Connect server.
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

/// `op://vault/item/field`, or the reference and the Connect server to ask.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum ConnectSchema {
    /// `op://vault/item/field`.
    Reference(String),
    /// The reference, and the Connect server to ask.
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
