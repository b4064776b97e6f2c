//! The sources of seeded Secrets' values, as requests.

use std::path::Path;

use super::command::asked;
use super::request::{Request, RequestKind};
use super::{read_file, resolve, resolve_personal};
use crate::pipeline::{
    AgeSource, BitwardenSource, ConnectSource, OnePasswordSource, Origin, SecretSource, SignInSpec, SopsPath,
    VaultSource,
};
use crate::seeded::{Piece, SeededSecret, SeededValue, ValueFrom};
use bootstrapper_core::failure::{Failure, Result};

/// The size limit of encrypted files.
const LARGEST_ENCRYPTED: u64 = 64 * 1024 * 1024;

/// All requests for one value of a Secret: its source, and the environment variables with credentials.
pub fn value_requests(
    root: &Path,
    cluster: &str,
    secret: &SeededSecret,
    key: &str,
    value: &SeededValue,
) -> Result<Vec<Request>> {
    let purpose = format!("{key} of Secret {}/{} of {cluster}", secret.namespace, secret.name);
    let mut asking = Asking { root, purpose: &purpose, all: Vec::new() };
    let asked = match &value.from {
        ValueFrom::Source(source) => asking.source(source),
        ValueFrom::Sops { file, path, .. } => {
            asking.sops(file, path);
            Ok(())
        }
        ValueFrom::Pieces(pieces) => pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(_) => Ok(()),
            Piece::Op(source) => asking.one_password(source),
        }),
    };
    asked.map_err(|failure| match &value.location {
        Some(location) if failure.location.is_none() => failure.at(location.clone()),
        _ => failure,
    })?;
    let located = |request| Request { location: value.location.clone(), ..request };
    Ok(asking.all.into_iter().map(located).collect())
}

struct Asking<'a> {
    root: &'a Path,
    purpose: &'a str,
    all: Vec<Request>,
}

impl Asking<'_> {
    fn ask(&mut self, kind: RequestKind, what: impl Into<String>) {
        self.all.push(Request::new(kind, what, self.purpose));
    }

    fn source(&mut self, source: &SecretSource) -> Result<()> {
        match source {
            SecretSource::Env(name) => self.variable(name),
            SecretSource::File(path) => {
                let file = resolve_personal(self.root, path);
                self.ask(RequestKind::File, file.display().to_string());
                Ok(())
            }
            SecretSource::Op(source) | SecretSource::Connect(ConnectSource(source)) => {
                self.one_password(source)
            }
            SecretSource::Sops(source) => {
                self.sops(&source.file, &source.key);
                Ok(())
            }
            SecretSource::Bitwarden(source) => self.bitwarden(source),
            SecretSource::Vault(source) => self.vault(source),
            SecretSource::Program(argv) => {
                if argv.first().is_none_or(String::is_empty) {
                    return Err(Failure::input("the program of a secret has no name")
                        .hint("write the program and its arguments: `program: [pass, show, token]`"));
                }
                let (what, content) = asked(self.root, argv)?;
                let request = Request::new(RequestKind::Program, what, self.purpose);
                self.all.push(Request { content, ..request });
                Ok(())
            }
            SecretSource::Age(AgeSource::Machine) => {
                self.ask(RequestKind::AgeKeys, "the age keys that sops finds on this machine, themselves");
                Ok(())
            }
            SecretSource::Age(AgeSource::These(sources)) => {
                sources.iter().try_for_each(|source| self.source(source))
            }
            SecretSource::Base64(source) => self.source(source),
        }
    }

    fn variable(&mut self, name: &str) -> Result<()> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Failure::input(format!("{name:?} is not the name of an environment variable")));
        }
        self.ask(RequestKind::Variable, name);
        Ok(())
    }

    fn one_password(&mut self, source: &OnePasswordSource) -> Result<()> {
        let reference = &source.reference;
        if !reference.starts_with("op://") || reference.contains('\0') {
            return Err(Failure::input(format!("{reference:?} is not a 1Password reference"))
                .hint("write `op://vault/item/field`"));
        }
        let what = match &source.sign_in {
            SignInSpec::Usual => reference.clone(),
            SignInSpec::Account(account) => format!("{reference} (account {account})"),
            SignInSpec::Service(token) => format!("{reference} (service account of {})", token.env),
            SignInSpec::Connect(Origin::Address(host), _) => format!("{reference} (Connect server {host})"),
            SignInSpec::Connect(Origin::Variable(host), _) => {
                format!("{reference} (Connect server of {})", host.env)
            }
        };
        self.ask(RequestKind::OnePassword, what);
        source.sign_in.variables().try_for_each(|variable| self.variable(&variable.env))
    }

    fn sops(&mut self, file: &Path, path: &SopsPath) {
        let file = resolve(self.root, file);
        let content = read_file(&file, LARGEST_ENCRYPTED).unwrap_or_default();
        let keepers = bootstrapper_tools::sops_keepers(&content);
        let asks = if keepers.is_empty() { String::new() } else { format!(" (asks {})", keepers.join(", ")) };
        self.ask(RequestKind::Sops, format!("{path} of {}{asks}", file.display()));
    }

    fn bitwarden(&mut self, source: &BitwardenSource) -> Result<()> {
        let (what, name, token) = match source {
            BitwardenSource::Item { item, field, session } => (format!("{field} of {item}"), item, session),
            BitwardenSource::Secret { secret, token } => (format!("secret {secret}"), secret, token),
        };
        if name.is_empty() || name.starts_with('-') || name.contains('\0') {
            return Err(Failure::input(format!("{name:?} is not an item of Bitwarden")));
        }
        self.ask(RequestKind::Bitwarden, what);
        token.iter().try_for_each(|token| self.variable(&token.env))
    }

    fn vault(&mut self, source: &VaultSource) -> Result<()> {
        let VaultSource { path, field, mount, namespace, address, token } = source;
        if path.is_empty() || path.starts_with('-') || field.is_empty() {
            return Err(Failure::input(format!("{path:?} with field {field:?} is no value of a Vault"))
                .hint("write `vault: {path: secret/infra, field: token}`"));
        }
        let path = mount.as_ref().map_or_else(|| path.clone(), |mount| format!("{mount}/{path}"));
        let within = namespace.as_ref().map(|namespace| format!(" of namespace {namespace}"));
        let server = address.as_ref().map(|address| format!(" (server {address})"));
        let (within, server) = (within.unwrap_or_default(), server.unwrap_or_default());
        self.ask(RequestKind::Vault, format!("{field} of {path}{within}{server}"));
        token.iter().try_for_each(|token| self.variable(&token.env))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn asked_for(source: &str) -> Result<Vec<String>> {
        let source: SecretSource = bootstrapper_core::yaml::from_str(source, Path::new("x"))?;
        let secret = SeededSecret {
            namespace: "n".into(),
            name: "s".into(),
            type_: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            immutable: false,
            values: BTreeMap::new(),
        };
        let value = SeededValue { from: ValueFrom::Source(source), is_encoded: false, location: None };
        let all = value_requests(Path::new("/r"), "infra", &secret, "k", &value)?;
        assert!(all.iter().all(|request| request.purpose == "k of Secret n/s of infra"), "{all:?}");
        Ok(all.iter().map(|request| format!("{} {}", request.kind.name(), request.what)).collect())
    }

    #[test]
    fn each_kind_of_source_is_listed_with_all_that_it_reads() {
        for (source, expected) in [
            ("{env: A}", &["environment variable A"][..]),
            ("{file: /none/x}", &["file /none/x"]),
            ("{op: 'op://v/i/f'}", &["1Password op://v/i/f"]),
            ("{op: {reference: 'op://v/i/f', account: a}}", &["1Password op://v/i/f (account a)"]),
            (
                "{op: {reference: 'op://v/i/f', token: {env: T}}}",
                &["1Password op://v/i/f (service account of T)", "environment variable T"],
            ),
            (
                "{connect: {reference: 'op://v/i/f', host: 'https://c.test', token: {env: T}}}",
                &["1Password op://v/i/f (Connect server https://c.test)", "environment variable T"],
            ),
            (
                "{connect: 'op://v/i/f'}",
                &[
                    "1Password op://v/i/f (Connect server of OP_CONNECT_HOST)",
                    "environment variable OP_CONNECT_HOST",
                    "environment variable OP_CONNECT_TOKEN",
                ],
            ),
            (
                "{sops: {file: /none/s.yaml, key: 'stringData[\"a.b\"]'}}",
                &["SOPS file stringData[\"a.b\"] of /none/s.yaml"],
            ),
            ("{bitwarden: {item: i}}", &["Bitwarden password of i"]),
            (
                "{bitwarden: {secret: 1-2, token: {env: T}}}",
                &["Bitwarden secret 1-2", "environment variable T"],
            ),
            (
                "{vault: {path: p, field: f, mount: m, namespace: x, address: 'https://v.test'}}",
                &["Vault f of m/p of namespace x (server https://v.test)"],
            ),
            ("{program: [pass, show, 'a b']}", &["program pass show 'a b'"]),
            ("{age: machine}", &["age keys the age keys that sops finds on this machine, themselves"]),
            ("{age: [{env: A}, {file: /none/x}]}", &["environment variable A", "file /none/x"]),
            ("{base64: {env: A}}", &["environment variable A"]),
        ] {
            assert_eq!(asked_for(source).unwrap(), expected, "{source}");
        }
        for wrong in [
            "{env: 'a=b'}",
            "{op: 'https://x'}",
            "{bitwarden: {item: --raw}}",
            "{vault: {path: -x, field: f}}",
            "{program: []}",
            "{program: ['']}",
        ] {
            assert!(asked_for(wrong).is_err(), "{wrong}");
        }
    }
}
