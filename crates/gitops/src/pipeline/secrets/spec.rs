//! An entry of `secrets`: single values, or a whole manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::one_password::{ConnectServer, SignInSpec};
use super::source::{SecretSource, VariableName};

/// An entry of `secrets`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub enum SecretSpec {
    /// A Secret with a source for each value.
    Values(ValuesSpec),
    /// A file of Secrets encrypted by SOPS.
    Manifest(ManifestSpec),
    /// A file of Secrets with 1Password references in place of values.
    Template(TemplateSpec),
}

/// A Secret with a source for each value.
#[derive(Debug, Clone)]
pub struct ValuesSpec {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its type; none for `Opaque`.
    pub type_: Option<String>,
    /// Its keys, and the sources of their values.
    pub data: BTreeMap<String, SecretSource>,
}

/// A file of Secrets encrypted by SOPS.
#[derive(Debug, Clone)]
pub struct ManifestSpec {
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The namespace of Secrets without one.
    pub namespace: Option<String>,
}

/// A file of Secrets with 1Password references in place of values.
#[derive(Debug, Clone)]
pub struct TemplateSpec {
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The namespace of Secrets without one.
    pub namespace: Option<String>,
    /// The credentials to read the references with.
    pub sign_in: SignInSpec,
}

/// An entry in the file, of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
    data: Option<BTreeMap<String, SecretSource>>,
    file: Option<PathBuf>,
    template: Option<PathBuf>,
    account: Option<String>,
    token: Option<VariableName>,
    connect: Option<ConnectServer>,
}

/// A Secret to create (`name`, `namespace`, `data`), or a file of whole Secrets: encrypted by SOPS (`file`), or
/// with 1Password references instead of values (`template`).
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
#[expect(dead_code, reason = "for the schema")]
enum SpecSchema {
    /// A Secret with a source for each value.
    Values {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Its type. Default: `Opaque`.
        #[schemars(rename = "type")]
        type_: Option<String>,
        /// Its keys, and the sources of their values.
        data: BTreeMap<String, SecretSource>,
    },
    /// A file of Secrets encrypted by SOPS.
    Manifest {
        /// The file, relative to the repository.
        file: PathBuf,
        /// The namespace of Secrets without one.
        namespace: Option<String>,
    },
    /// A file of Secrets with references (`{{ op://vault/item/field }}`), in the format of `op inject`.
    Template {
        /// The file, relative to the repository.
        template: PathBuf,
        /// The namespace of Secrets without one.
        namespace: Option<String>,
        /// The 1Password account to read the references with.
        account: Option<String>,
        /// The environment variable with the token of a 1Password service account to read them with.
        token: Option<VariableName>,
        /// The 1Password Connect server to read them from.
        connect: Option<ConnectServer>,
    },
}

impl TryFrom<Written> for SecretSpec {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, namespace, type_, data, file, template, account, token, connect } = written;
        let has_values = name.is_some() || type_.is_some() || data.is_some();
        let signs_in = account.is_some() || token.is_some() || connect.is_some();
        match (file, template) {
            (Some(_), Some(_)) => Err("a secret has a `file` or a `template`, not both".to_owned()),
            (Some(_), None) | (None, Some(_)) if has_values => {
                Err("name, type and data stand in the file: leave them out here".to_owned())
            }
            (_, None) if signs_in => {
                Err("`account`, `token` and `connect` belong to a `template`, or into `op: {…}`".to_owned())
            }
            (Some(file), None) => Ok(Self::Manifest(ManifestSpec { file, namespace })),
            (None, Some(file)) => {
                let sign_in = SignInSpec::of(account, token, connect)?;
                Ok(Self::Template(TemplateSpec { file, namespace, sign_in }))
            }
            (None, None) => {
                match (name, namespace, data) {
                    (Some(name), Some(namespace), Some(data)) => {
                        Ok(Self::Values(ValuesSpec { name, namespace, type_, data }))
                    }
                    _ => Err("a secret has `name`, `namespace` and `data`, or a `file`, or a `template`"
                        .to_owned()),
                }
            }
        }
    }
}

impl JsonSchema for SecretSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SpecSchema::json_schema(generator)
    }
}

impl SecretSpec {
    /// The environment variables that it needs, as values or credentials.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Values(spec) => spec.data.values().flat_map(SecretSource::variables).collect(),
            Self::Manifest(_) => Vec::new(),
            Self::Template(spec) => spec.sign_in.variables().map(|variable| variable.env.as_str()).collect(),
        }
    }
}

impl fmt::Display for SecretSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(spec) => write!(f, "Secret {}/{}", spec.namespace, spec.name),
            Self::Manifest(ManifestSpec { file, .. }) | Self::Template(TemplateSpec { file, .. }) => {
                write!(f, "the Secrets of {}", file.display())
            }
        }
    }
}
