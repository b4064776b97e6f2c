//! The secrets that a bootstrap needs before anything can bring them: read from where
//! `bootstrapper.yaml` says they are.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::cluster::Cluster;
use crate::failure::{Failure, FailureKind, Result};
use crate::gitops::SecretValues;
use crate::masking;
use crate::object::{Object, ObjectRef};
use crate::pipeline::{SecretSource, SecretSpec};
use crate::tools::{Environment, OnePassword, Sops};

/// What the declared secrets came to.
#[derive(Default)]
pub struct Secrets {
    /// Every value that could be read; a placeholder for those that could not.
    pub values: SecretValues,
    /// The Secrets to apply: those with all their values.
    pub objects: Vec<Object>,
    /// What could not be read, and why.
    pub unresolved: Vec<Failure>,
}

/// Reads the declared secrets. A value whose source does not answer is taken from the cluster if
/// it is there already; in a sandbox it is made up, since nothing real depends on it.
pub async fn resolve(
    specs: &[SecretSpec],
    repository: &std::path::Path,
    environment: &Environment,
    cluster: Option<&Cluster>,
    in_sandbox: bool,
) -> Result<Secrets> {
    let mut secrets = Secrets::default();
    for spec in specs {
        let id = ObjectRef::namespaced("v1", "Secret", &spec.namespace, &spec.name);
        let live = match cluster {
            Some(cluster) => cluster.get(&id).await?,
            None => None,
        };
        let mut values = BTreeMap::new();
        let mut is_whole = true;
        for (key, source) in &spec.data {
            match read(source, repository, environment).await {
                Ok(value) => values.insert(key.clone(), marked(value)),
                Err(failure) => match live.as_ref().and_then(|live| live_value(live, key)) {
                    Some(value) => values.insert(key.clone(), marked(value)),
                    None if in_sandbox => values.insert(key.clone(), marked(made_up(&id, key))),
                    None => {
                        secrets.unresolved.push(unresolved(&id, key, failure));
                        is_whole = false;
                        // What draws from it can still be built, and looked at by preflight.
                        values.insert(key.clone(), SecretString::from("unresolved"))
                    }
                },
            };
        }
        if is_whole {
            secrets.objects.push(object(spec, &values));
        }
        secrets.values.insert((spec.namespace.clone(), spec.name.clone()), values);
    }
    Ok(secrets)
}

/// Whatever the source: from here on the value is a secret.
fn marked(value: SecretString) -> SecretString {
    masking::mark(value.expose_secret());
    value
}

async fn read(
    source: &SecretSource,
    repository: &std::path::Path,
    environment: &Environment,
) -> Result<SecretString> {
    match source {
        SecretSource::Env(name) => std::env::var(name).map(SecretString::from).map_err(|_| {
            Failure::input(format!("the environment has no {name}")).hint(format!("export {name}=…"))
        }),
        SecretSource::File(path) => {
            let path = repository.join(path);
            tokio::fs::read_to_string(&path).await.map(SecretString::from).map_err(|error| {
                Failure::input(format!("{} cannot be read", path.display())).caused_by(&error)
            })
        }
        SecretSource::Op(reference) => OnePassword::find(environment)?.read(reference).await,
        SecretSource::Sops { file, key } => {
            Sops::find(environment)?.decrypt(&repository.join(file), key).await
        }
    }
}

fn unresolved(id: &ObjectRef, key: &str, failure: Failure) -> Failure {
    let mut told = Failure::new(FailureKind::Preflight, format!("{id} lacks {key}")).because(&failure.what);
    told.because.extend(failure.because);
    told.hints = failure.hints;
    told
}

fn live_value(secret: &Object, key: &str) -> Option<SecretString> {
    let encoded = secret.data["data"][key].as_str()?;
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(SecretString::from)
}

/// The same for the same key each time, so that a second run finds nothing changed.
fn made_up(id: &ObjectRef, key: &str) -> SecretString {
    let digest = Sha256::digest(format!("sandbox {id} {key}"));
    SecretString::from(format!("sandbox-{}", &STANDARD.encode(digest)[..16].replace(['/', '+'], "x")))
}

fn object(spec: &SecretSpec, values: &BTreeMap<String, SecretString>) -> Object {
    let data: BTreeMap<&String, String> =
        values.iter().map(|(key, value)| (key, STANDARD.encode(value.expose_secret()))).collect();
    let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
    Object::new(&spec.name, &resource).within(&spec.namespace).data(serde_json::json!({
        "type": spec.type_.as_deref().unwrap_or("Opaque"),
        "data": data,
    }))
}
