//! The secrets that a bootstrap needs before anything can provide them: read from the sources in
//! `bootstrapper.yaml`.

mod age;
mod bech32;
mod generated;
mod key_proof;
mod object;
mod read;

pub(super) use generated::generated;
pub use key_proof::{KeyProof, prove_keys};

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
use bootstrapper_gitops::trust::Approvals;
use bootstrapper_gitops::{SecretValue, SecretValues, SeededSecret, SeededValue, seeded_secrets};
use bootstrapper_tools::Environment;

/// The result of reading the declared secrets.
#[derive(Default)]
pub struct Secrets {
    /// Every value, or why it could not be read.
    pub values: SecretValues,
    /// The Secrets to apply: those with all their values.
    pub objects: Vec<Complete<Object>>,
    /// The other Secrets, without values.
    pub lacking: Vec<Object>,
    /// What could not be read, and why.
    pub unresolved: Vec<Failure>,
    /// The Secrets with generated values, by namespace and name.
    generated: BTreeSet<(String, String)>,
}

/// The sources of the declared secrets.
pub struct SecretSources<'a> {
    /// The name of the cluster.
    pub name: &'a str,
    /// Their declaration.
    pub config: &'a Config,
    /// The repository.
    pub root: &'a Path,
    /// The environment of programs.
    pub environment: &'a Environment,
    /// The API server, if it is up.
    pub cluster: Option<&'a Cluster>,
    /// The user's approvals: nothing else is read.
    pub approvals: &'a Approvals,
    /// Whether the cluster is a sandbox, where values that were not approved are generated.
    pub in_sandbox: bool,
}

/// Reads the declared secrets. If a source is unavailable, the cluster's existing value is used; in a sandbox
/// the value is generated, since nothing real depends on it.
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
                    secrets.generated.insert((secret.namespace.clone(), secret.name.clone()));
                    marked(generated(&id(secret), key)).into()
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

/// Every value, with the index of its Secret. Values that sops decrypts come last: the others may be their
/// keys.
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

/// Whatever the source: from now on the value is masked.
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
