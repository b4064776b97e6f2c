//! The secrets that a bootstrap needs before anything can bring them: read from where
//! `bootstrapper.yaml` says they are.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::masking;
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_gitops::pipeline::{Config, SecretSource, SecretSpec};
use bootstrapper_gitops::trust::{self, Agreed};
use bootstrapper_gitops::{SecretValue, SecretValues};
use bootstrapper_tools::{Environment, OnePassword, Sops};

/// No Secret holds more than this.
const LARGEST: u64 = 1024 * 1024;

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
    let mut secrets = Secrets::default();
    for spec in sources.config.secrets_of(sources.name) {
        let id = ObjectRef::namespaced("v1", "Secret", &spec.namespace, &spec.name);
        let live = match sources.cluster {
            Some(cluster) => cluster.get(&id).await?,
            None => None,
        };
        let mut values = BTreeMap::new();
        for (key, source) in &spec.data {
            match sources.read(spec, key, source).await {
                Ok(value) => values.insert(key.clone(), marked(value).into()),
                Err(failure) => match live.as_ref().and_then(|live| live_value(live, key)) {
                    Some(value) => values.insert(key.clone(), marked(value).into()),
                    None if sources.in_sandbox => {
                        values.insert(key.clone(), marked(made_up(&id, key)).into())
                    }
                    None => {
                        let failure = unresolved(&id, key, failure);
                        secrets.unresolved.push(failure.clone());
                        values.insert(key.clone(), SecretValue::Unknown(failure))
                    }
                },
            };
        }
        match object(spec, &values) {
            Some(whole) => secrets.objects.push(whole),
            None => secrets.lacking.push(named(spec)),
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

impl SecretSources<'_> {
    async fn read(&self, spec: &SecretSpec, key: &str, source: &SecretSource) -> Result<SecretString> {
        let request = trust::source_request(self.root, self.config, self.name, (spec, key, source))?;
        // A sandbox has a vault of its own: the person's is not asked.
        if let (true, SecretSource::Op(reference)) = (self.in_sandbox, source) {
            return OnePassword::of_sandbox(self.environment)?.read(reference).await;
        }
        self.agreed.require(&request)?;
        let value = match source {
            SecretSource::Env(name) => from_environment(name)?,
            SecretSource::File(path) => text_of(&trust::resolve(self.root, path))?,
            SecretSource::Op(reference) => OnePassword::find(self.environment)?.read(reference).await?,
            SecretSource::Sops { file, key } => {
                Sops::find(self.environment)?.decrypt(&trust::resolve(self.root, file), key).await?
            }
        };
        if value.expose_secret().is_empty() {
            return Err(Failure::input(format!("{} is empty", request.what))
                .hint("a Secret with an empty value would only fail later"));
        }
        Ok(value)
    }
}

fn from_environment(name: &str) -> Result<SecretString> {
    std::env::var(name).map(SecretString::from).map_err(|_| {
        Failure::input(format!("the environment has no {name}")).hint(format!("export {name}=…"))
    })
}

fn text_of(file: &Path) -> Result<SecretString> {
    let content = trust::read_file(file, LARGEST)?;
    String::from_utf8(content)
        .map(SecretString::from)
        .map_err(|_| Failure::input(format!("{} is not UTF-8 text", file.display())))
}

fn unresolved(id: &ObjectRef, key: &str, failure: Failure) -> Failure {
    let mut told = Failure::new(FailureKind::Preflight, format!("{id} lacks {key}")).because(&failure.what);
    told.because.extend(failure.because);
    told.hints = failure.hints;
    told
}

fn live_value(secret: &Object, key: &str) -> Option<SecretString> {
    let encoded = secret.data["data"][key].as_str().filter(|value| !value.is_empty())?;
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(SecretString::from)
}

/// The same for the same key each time, so that a second run finds nothing changed.
fn made_up(id: &ObjectRef, key: &str) -> SecretString {
    let digest = Sha256::digest(format!("sandbox {id} {key}"));
    let word: String = STANDARD.encode(digest).chars().take(16).collect();
    SecretString::from(format!("sandbox-{}", word.replace(['/', '+'], "x")))
}

/// The Secret, if all its values are known.
fn object(spec: &SecretSpec, values: &BTreeMap<String, SecretValue>) -> Option<Complete<Object>> {
    let encode =
        |(key, value): (_, &SecretValue)| Some((key, STANDARD.encode(value.known()?.expose_secret())));
    let data = values.iter().map(encode).collect::<Option<BTreeMap<&String, String>>>()?;
    Some(Complete::of_own(named(spec).data(serde_json::json!({
        "type": spec.type_.as_deref().unwrap_or("Opaque"),
        "data": data,
    }))))
}

fn named(spec: &SecretSpec) -> Object {
    let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
    Object::new(&spec.name, &resource).within(&spec.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_which_one_value_is_not_known_is_no_object_to_apply() {
        let spec = SecretSpec { name: "s".into(), namespace: "n".into(), type_: None, data: BTreeMap::new() };
        let whole: BTreeMap<String, SecretValue> = [("a".to_owned(), "x".into())].into();
        assert_eq!(object(&spec, &whole).unwrap().data["data"]["a"], STANDARD.encode("x"));
        let mut lacking = whole;
        lacking.insert("b".to_owned(), SecretValue::Unknown(Failure::input("no b")));
        assert!(object(&spec, &lacking).is_none());
    }
}
