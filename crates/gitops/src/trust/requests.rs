//! The one list: all that a repository asks for, for one cluster.

use std::path::Path;

use super::command::command_request;
use super::request::{Request, RequestKind};
use super::resolve;
use crate::Declared;
use crate::pipeline::{CommandSpec, Config, Pipeline, SecretSource, SecretSpec, StepKind};
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::yaml::marked_documents;

/// No encrypted file is larger.
const LARGEST_ENCRYPTED: u64 = 64 * 1024 * 1024;

const CONFIG: &str = "bootstrapper.yaml";

/// All that a repository asks for, for the cluster that declares this, in the order in which it is written.
pub fn requests(
    root: &Path,
    config: &Config,
    pipeline: &Pipeline,
    declared: &Declared,
) -> Result<Vec<Request>> {
    let cluster = &declared.cluster;
    let mut all: Vec<Request> = context_request(root, config, cluster).into_iter().collect();
    for spec in config.secrets_of(cluster) {
        for (key, source) in &spec.data {
            all.push(source_request(root, config, cluster, (spec, key, source))?);
        }
    }
    let encrypted = declared.kustomizations.iter().filter(|kustomization| {
        kustomization.is_here && kustomization.object.data["spec"]["decryption"]["provider"] == "sops"
    });
    for kustomization in encrypted {
        let purpose = format!("decrypting what {} builds", kustomization.id);
        let request =
            Request::new(RequestKind::Keys, "the age keys that sops finds on this machine", purpose);
        let location = declared.place(&kustomization.id, "spec.decryption");
        all.push(Request { location, ..request });
    }
    for stage in &pipeline.stages {
        for spec in &stage.steps {
            if let StepKind::Command(CommandSpec(argv)) = &spec.kind {
                // An invalid command cannot run: the step reports why.
                let Ok(argv) = command_words(argv, declared) else { continue };
                all.push(command_request(root, cluster, &stage.name, spec, &argv)?);
            }
        }
    }
    Ok(all)
}

/// The arguments of a command of a task file, with this cluster's name and settings. Every user of
/// the machine can see them: none of them contains a secret value.
pub fn command_words(argv: &[String], declared: &Declared) -> Result<Vec<String>> {
    let words = argv.iter().map(|word| {
        let word = word.replace("{{cluster}}", &declared.cluster);
        declared.substituted_openly(&word)?.ok_or_else(|| {
            Failure::input(format!("the argument `{word}` of a command contains a secret value"))
                .because("every user of the machine can see the arguments of a process")
                .hint("remove the variable, and let the command read the Secret with its kubeconfig")
        })
    });
    words.collect()
}

/// A kubeconfig context that the repository names for a cluster; none if it is called like the cluster,
/// which the person typed.
pub fn context_request(root: &Path, config: &Config, cluster: &str) -> Option<Request> {
    let context = config.context_of(cluster);
    let request = Request::new(RequestKind::Context, context, format!("cluster {cluster}"));
    (context != cluster)
        .then(|| Request { location: place(root, &format!("clusters[\"{cluster}\"].context")), ..request })
}

/// The request for the source of one secret value.
pub fn source_request(
    root: &Path,
    config: &Config,
    cluster: &str,
    (spec, key, source): (&SecretSpec, &str, &SecretSource),
) -> Result<Request> {
    let at = config
        .secrets_of(cluster)
        .iter()
        .position(|one| one.name == spec.name && one.namespace == spec.namespace);
    let at = format!("clusters[\"{cluster}\"].secrets[{}].data[\"{key}\"]", at.unwrap_or_default());
    let location = place(root, &at);
    let refuse = |what: String| {
        let failure = Failure::input(what);
        match &location {
            Some(location) => failure.at(location.clone()),
            None => failure,
        }
    };
    let purpose = format!("{key} of Secret {}/{} of {cluster}", spec.namespace, spec.name);
    let (kind, what) = match source {
        SecretSource::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
            return Err(refuse(format!("{name:?} is not a valid name of an environment variable")));
        }
        SecretSource::Env(name) => (RequestKind::Variable, name.clone()),
        SecretSource::File(path) => (RequestKind::File, resolve(root, path).display().to_string()),
        SecretSource::Op(reference) if !reference.starts_with("op://") || reference.contains('\0') => {
            return Err(refuse(format!("{reference:?} is not a 1Password reference"))
                .hint("use `op://vault/item/field`"));
        }
        SecretSource::Op(reference) => (RequestKind::OnePassword, reference.clone()),
        SecretSource::Sops { key, .. } if key.is_empty() || key.contains(['"', '\\', '\0']) => {
            return Err(refuse(format!("{key:?} is not a valid key of a SOPS file"))
                .hint("use a key like `stringData.token`"));
        }
        SecretSource::Sops { file, key } => {
            let file = resolve(root, file);
            let keepers = bootstrapper_tools::sops_keepers(
                &super::read_file(&file, LARGEST_ENCRYPTED).unwrap_or_default(),
            );
            let asks =
                if keepers.is_empty() { String::new() } else { format!(" (asks {})", keepers.join(", ")) };
            (RequestKind::Sops, format!("{key} of {}{asks}", file.display()))
        }
    };
    Ok(Request { location, ..Request::new(kind, what, purpose) })
}

fn place(root: &Path, field: &str) -> Option<Location> {
    let text = std::fs::read_to_string(root.join(CONFIG)).ok()?;
    let (line, column) = marked_documents(&text).first()?.place(field);
    Some(Location { file: CONFIG.into(), line, column })
}
