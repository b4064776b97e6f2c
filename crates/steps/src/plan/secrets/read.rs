//! Reads each value from its source, and only what was approved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{SecretSources, age};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;
use bootstrapper_core::yaml;
use bootstrapper_gitops::pipeline::{
    AgeSource, BitwardenSource, ConnectSource, OnePasswordSource, Origin, SecretSource, SignInSpec, SopsPath,
    SopsSource, VariableName, VaultSource,
};
use bootstrapper_gitops::trust::{self, Request, RequestKind};
use bootstrapper_gitops::{Piece, SecretValue, SeededSecret, SeededValue, ValueFrom};
use bootstrapper_tools::{
    Bitwarden, BitwardenSecrets, OnePassword, SecretProgram, SignIn, Sops, Vault, VaultPath, age_key_files,
};

/// The size limit of a Secret.
const LARGEST: u64 = 1024 * 1024;

/// Reads values, and caches what several of them need.
pub(super) struct Reader<'a> {
    sources: &'a SecretSources<'a>,
    /// Age keys among the values that were read: sops may need them for the others.
    keys: Vec<String>,
    /// The documents of each manifest decrypted by sops.
    manifests: BTreeMap<PathBuf, Result<Arc<Vec<Value>>>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a SecretSources<'a>) -> Self {
        Self { sources, keys: Vec::new(), manifests: BTreeMap::new() }
    }

    /// Keeps a value if sops can decrypt with it.
    pub(super) fn keep_key(&mut self, key: &str, value: &SecretValue) {
        let text = value.known().map(ExposeSecret::expose_secret).unwrap_or_default();
        if key.ends_with(".agekey") && age::holds_key(text) {
            self.keys.push(text.to_owned());
        }
    }

    /// Reads a value, if all that it needs was approved.
    pub(super) async fn read(
        &mut self,
        secret: &SeededSecret,
        key: &str,
        value: &SeededValue,
    ) -> Result<SecretString> {
        let SecretSources { root, name, approvals, in_sandbox, .. } = *self.sources;
        let requests = trust::value_requests(root, name, secret, key, value)?;
        // A sandbox has its own vault: the user's is not queried.
        if !(in_sandbox && needs_vault_only(&value.from)) {
            requests.iter().try_for_each(|request| approvals.require(request))?;
        }
        let text = match &value.from {
            ValueFrom::Source(source) => self.source(source, &requests).await?,
            ValueFrom::Sops { file, document, path } => self.of_manifest(file, *document, path).await?,
            ValueFrom::Pieces(pieces) => return self.joined(pieces, value.is_encoded).await,
        };
        let text = if value.is_encoded { decoded(&text)? } else { text };
        if text.expose_secret().is_empty() {
            let what = requests.first().map_or(key, |request| &request.what);
            return Err(Failure::input(format!("{what} is empty"))
                .hint("a Secret with an empty value would only fail later"));
        }
        Ok(text)
    }

    /// Boxed, because some sources contain others.
    fn source<'s>(
        &'s mut self,
        source: &'s SecretSource,
        requests: &'s [Request],
    ) -> futures::future::BoxFuture<'s, Result<SecretString>> {
        Box::pin(async move {
            let SecretSources { root, environment, .. } = *self.sources;
            match source {
                SecretSource::Env(name) => from_environment(name),
                SecretSource::File(path) => text_of(&trust::resolve_personal(root, path)),
                SecretSource::Op(source) | SecretSource::Connect(ConnectSource(source)) => {
                    self.one_password(source).await
                }
                SecretSource::Sops(SopsSource { file, key }) => {
                    let file = trust::resolve(root, file);
                    Sops::find(environment)?.decrypt(&file, &key.extract(), &self.keys.join("\n")).await
                }
                SecretSource::Bitwarden(BitwardenSource::Item { item, field, session }) => {
                    let session = optional(session.as_ref())?;
                    Bitwarden::find(environment)?.read(item, field, session.as_ref()).await
                }
                SecretSource::Bitwarden(BitwardenSource::Secret { secret, token }) => {
                    let token = optional(token.as_ref())?;
                    BitwardenSecrets::find(environment)?.read(secret, token.as_ref()).await
                }
                SecretSource::Vault(source) => Vault::find(environment)?.read(&vault_path(source)?).await,
                SecretSource::Program(argv) => {
                    let content = requests.iter().find_map(|request| {
                        (request.kind == RequestKind::Program).then_some(request.content.as_deref())
                    });
                    trust::same_command(root, argv, content.flatten())?;
                    SecretProgram::find(argv, root, environment)?.read().await
                }
                SecretSource::Age(AgeSource::Machine) => keys_of_machine(),
                SecretSource::Age(AgeSource::These(sources)) => {
                    let mut all = Vec::new();
                    for (at, source) in sources.iter().enumerate() {
                        let key = self.source(source, requests).await?;
                        if !age::holds_key(key.expose_secret()) {
                            return Err(Failure::input(format!(
                                "source {} of `age` holds no age key",
                                at + 1
                            ))
                            .hint("a key begins with AGE-SECRET-KEY-; `age-keygen` creates one"));
                        }
                        all.push(key.expose_secret().trim_end().to_owned());
                    }
                    Ok(SecretString::from(all.join("\n") + "\n"))
                }
                SecretSource::Base64(source) => {
                    let value = self.source(source, requests).await?;
                    masking::mark(value.expose_secret());
                    Ok(SecretString::from(STANDARD.encode(value.expose_secret())))
                }
            }
        })
    }

    async fn one_password(&self, source: &OnePasswordSource) -> Result<SecretString> {
        let SecretSources { environment, in_sandbox, .. } = *self.sources;
        if in_sandbox {
            return OnePassword::of_sandbox(environment)?.read(&source.reference, &SignIn::Usual).await;
        }
        OnePassword::find(environment)?.read(&source.reference, &sign_in(&source.sign_in)?).await
    }

    async fn of_manifest(&mut self, file: &Path, document: usize, path: &SopsPath) -> Result<SecretString> {
        if !self.manifests.contains_key(file) {
            let documents = self.decrypted(file).await;
            self.manifests.insert(file.to_owned(), documents);
        }
        let documents = match self.manifests.get(file) {
            Some(documents) => documents.clone()?,
            None => return Err(Failure::internal("a manifest was not kept")),
        };
        let value = documents.get(document).and_then(|document| path.find(document)?.as_str());
        let value = value.ok_or_else(|| {
            Failure::input(format!("{path} of {} is not a text once it is decrypted", file.display()))
        })?;
        masking::mark(value);
        Ok(SecretString::from(value))
    }

    async fn decrypted(&self, file: &Path) -> Result<Arc<Vec<Value>>> {
        let SecretSources { root, environment, .. } = *self.sources;
        let real = trust::resolve(root, file);
        let plain = Sops::find(environment)?.decrypt_manifest(&real, &self.keys.join("\n")).await;
        let plain = plain.map_err(|failure| failure.because(file.display()))?;
        // Its errors are hidden: they would repeat the text.
        let documents = yaml::from_multiple::<Value>(&plain, file);
        let documents = documents
            .map_err(|_| Failure::input(format!("{} is not YAML once it is decrypted", file.display())))?;
        Ok(Arc::new(documents))
    }

    /// The concatenated pieces. Each secret piece is masked on its own, too.
    async fn joined(&self, pieces: &[Piece], is_encoded: bool) -> Result<SecretString> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Op(source) => {
                    let value = self.one_password(source).await?;
                    if value.expose_secret().is_empty() {
                        return Err(Failure::input(format!("{} is empty", source.reference)));
                    }
                    masking::mark(value.expose_secret());
                    text.push_str(value.expose_secret());
                }
            }
        }
        masking::mark(&text);
        let text = SecretString::from(text);
        if is_encoded { decoded(&text) } else { Ok(text) }
    }
}

/// Whether a value needs only 1Password.
fn needs_vault_only(from: &ValueFrom) -> bool {
    fn is_vault(source: &SecretSource) -> bool {
        match source {
            SecretSource::Op(_) | SecretSource::Connect(_) => true,
            SecretSource::Base64(source) => is_vault(source),
            SecretSource::Age(AgeSource::These(sources)) => sources.iter().all(is_vault),
            SecretSource::Env(_)
            | SecretSource::File(_)
            | SecretSource::Sops(_)
            | SecretSource::Bitwarden(_)
            | SecretSource::Vault(_)
            | SecretSource::Program(_)
            | SecretSource::Age(AgeSource::Machine) => false,
        }
    }
    match from {
        ValueFrom::Source(source) => is_vault(source),
        ValueFrom::Sops { .. } => false,
        ValueFrom::Pieces(_) => true,
    }
}

/// Values under `data` of a manifest are base64.
fn decoded(text: &SecretString) -> Result<SecretString> {
    let encoded: String = text.expose_secret().split_whitespace().collect();
    let bytes = STANDARD.decode(encoded).map_err(|_| {
        Failure::input("a value under `data` is not base64")
            .hint("write values that are not under `stringData`")
    })?;
    masking::mark_bytes(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| Failure::input("the value is not UTF-8 text"))?;
    Ok(SecretString::from(text))
}

fn from_environment(name: &str) -> Result<SecretString> {
    std::env::var(name).map(marked).map_err(|_| {
        Failure::input(format!("the environment has no {name}")).hint(format!("export {name}=…"))
    })
}

fn marked(value: String) -> SecretString {
    masking::mark(&value);
    SecretString::from(value)
}

fn optional(variable: Option<&VariableName>) -> Result<Option<SecretString>> {
    variable.map(|variable| from_environment(&variable.env)).transpose()
}

fn sign_in(spec: &SignInSpec) -> Result<SignIn> {
    Ok(match spec {
        SignInSpec::Usual => SignIn::Usual,
        SignInSpec::Account(account) => SignIn::Account(account.clone()),
        SignInSpec::Service(token) => SignIn::Service(from_environment(&token.env)?),
        SignInSpec::Connect(host, token) => {
            let host = match host {
                Origin::Address(address) => address.clone(),
                Origin::Variable(variable) => std::env::var(&variable.env).map_err(|_| {
                    let name = &variable.env;
                    Failure::input(format!("the environment has no {name}")).hint(format!("export {name}=…"))
                })?,
            };
            SignIn::Connect { host, token: from_environment(&token.env)? }
        }
    })
}

fn vault_path(source: &VaultSource) -> Result<VaultPath> {
    Ok(VaultPath {
        path: source.path.clone(),
        field: source.field.clone(),
        mount: source.mount.clone(),
        namespace: source.namespace.clone(),
        address: source.address.clone(),
        token: optional(source.token.as_ref())?,
    })
}

/// The age keys that sops finds on this machine: in environment variables and files.
fn keys_of_machine() -> Result<SecretString> {
    let own = std::env::var("SOPS_AGE_KEY").ok();
    let files = age_key_files().into_iter().map(|file| trust::resolve(Path::new("/"), &file));
    let mut files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    files.dedup();
    let mut all: Vec<String> = own.into_iter().collect();
    for file in files {
        all.push(text_of(&file)?.expose_secret().to_owned());
    }
    all.retain(|text| age::holds_key(text));
    if all.is_empty() {
        return Err(Failure::input("no age key on this machine")
            .because("neither SOPS_AGE_KEY, SOPS_AGE_KEY_FILE nor ~/.config/sops/age/keys.txt holds one")
            .hint("export SOPS_AGE_KEY_FILE=…, or name the key: `{file: age.key}`, `{op: op://…}`"));
    }
    Ok(marked(all.iter().map(|text| text.trim_end()).collect::<Vec<_>>().join("\n") + "\n"))
}

fn text_of(file: &Path) -> Result<SecretString> {
    let content = trust::read_file(file, LARGEST)?;
    masking::mark_bytes(&content);
    String::from_utf8(content)
        .map(SecretString::from)
        .map_err(|_| Failure::input(format!("{} is not UTF-8 text", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_data_is_base64() {
        let read =
            |text: &str| decoded(&SecretString::from(text)).map(|value| value.expose_secret().to_owned());
        assert_eq!(read("aGVs\nbG8=\n").unwrap(), "hello");
        for wrong in ["hello!", "/w=="] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
