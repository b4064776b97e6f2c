//! The secrets that a bootstrap needs before anything can bring them: read from where
//! `bootstrapper.yaml` says they are.

mod age;
mod bech32;
mod key_proof;
mod made_up;
mod object;
mod read;

pub use key_proof::{KeyProof, prove_keys};
pub(super) use made_up::made_up;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use self::read::Reader;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::masking;
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_gitops::trust::Agreed;
use bootstrapper_gitops::{SecretValue, SecretValues, SeededSecret, SeededValue, seeded_secrets};
use bootstrapper_tools::Environment;

/// What the declared secrets came to.
#[derive(Default)]
pub struct Secrets {
    /// Every value: read, or why it could not be.
    pub values: SecretValues,
    /// The Secrets to apply: those with all their values.
    pub objects: Vec<Complete<Object>>,
    /// The others: nothing but their names.
    pub lacking: Vec<Object>,
    /// What could not be read, and why.
    pub unresolved: Vec<Failure>,
    /// The Secrets of which a value was made up, by namespace and name.
    made_up: BTreeSet<(String, String)>,
}

/// Where the declared secrets are read from.
pub struct SecretSources<'a> {
    /// The name of the cluster.
    pub name: &'a str,
    /// What declares them.
    pub config: &'a Config,
    /// The repository.
    pub root: &'a Path,
    /// What programs see.
    pub environment: &'a Environment,
    /// The API server, if it is up.
    pub cluster: Option<&'a Cluster>,
    /// What the person has agreed to: nothing else is read.
    pub agreed: &'a Agreed,
    /// Whether the cluster is a sandbox: there a value that nobody has agreed to is made up.
    pub in_sandbox: bool,
}

/// Reads the declared secrets. A value whose source does not answer is taken from the cluster if
/// it is there already; in a sandbox it is made up, since nothing real depends on it.
pub async fn resolve(sources: &SecretSources<'_>) -> Result<Secrets> {
    let declared = seeded_secrets(sources.root, sources.config, sources.name)?;
    let mut secrets = Secrets::default();
    let mut live = Vec::new();
    for secret in &declared {
        live.push(match sources.cluster {
            Some(cluster) => cluster.get(&id(secret)).await?,
            None => None,
        });
    }
    let mut values: Vec<BTreeMap<String, SecretValue>> = vec![BTreeMap::new(); declared.len()];
    let mut reader = Reader::new(sources);
    for (at, key, value) in in_order(&declared) {
        let secret = &declared[at];
        let read = match reader.read(secret, key, value).await {
            Ok(value) => marked(value).into(),
            Err(failure) => match live[at].as_ref().and_then(|live| live_value(live, key)) {
                Some(value) => marked(value).into(),
                None if sources.in_sandbox => {
                    secrets.made_up.insert((secret.namespace.clone(), secret.name.clone()));
                    marked(made_up(&id(secret), key)).into()
                }
                None => {
                    let failure = unresolved(&id(secret), key, value, failure);
                    secrets.unresolved.push(failure.clone());
                    SecretValue::Unknown(failure)
                }
            },
        };
        reader.keep_key(key, &read);
        values[at].insert(key.clone(), read);
    }
    for (secret, values) in declared.iter().zip(values) {
        match object::whole(secret, &values) {
            Some(whole) => secrets.objects.push(whole),
            None => secrets.lacking.push(object::named(secret)),
        }
        secrets.values.insert((secret.namespace.clone(), secret.name.clone()), values);
    }
    Ok(secrets)
}

/// Every value, and which Secret it is of. Those that sops decrypts come last: the others may be their keys.
fn in_order(declared: &[SeededSecret]) -> Vec<(usize, &String, &SeededValue)> {
    let all = declared.iter().enumerate();
    let values = all.flat_map(|(at, secret)| secret.values.iter().map(move |(key, value)| (at, key, value)));
    let mut values: Vec<_> = values.collect();
    values.sort_by_key(|(_, _, value)| value.from.needs_sops());
    values
}

fn id(secret: &SeededSecret) -> ObjectRef {
    ObjectRef::namespaced("v1", "Secret", &secret.namespace, &secret.name)
}

/// Whatever the source: from here on the value is a secret.
fn marked(value: SecretString) -> SecretString {
    masking::mark(value.expose_secret());
    value
}

fn unresolved(id: &ObjectRef, key: &str, value: &SeededValue, failure: Failure) -> Failure {
    let mut told = Failure::new(FailureKind::Preflight, format!("{id} lacks {key}")).because(&failure.what);
    told.because.extend(failure.because);
    told.hints = failure.hints;
    match failure.location.or_else(|| value.location.clone()) {
        Some(location) => told.at(location),
        None => told,
    }
}

fn live_value(secret: &Object, key: &str) -> Option<SecretString> {
    let encoded = secret.data["data"][key].as_str().filter(|value| !value.is_empty())?;
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(SecretString::from)
}
