//! All requests of a repository for one cluster.

use std::path::Path;

use super::command::command_request;
use super::request::{Request, RequestKind};
use super::sources::value_requests;
use crate::Declared;
use crate::manifests::holds_encrypted;
use crate::pipeline::{CommandSpec, Config, Pipeline, StepKind, StepSpec};
use crate::seeded::seeded_secrets;
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::yaml::marked_documents;

const CONFIG: &str = "bootstrapper.yaml";

const KEYS: &str = "the age keys that sops finds on this machine";

/// All requests of a repository for the cluster with this declaration, in declaration order.
pub fn requests(
    root: &Path,
    config: &Config,
    pipeline: &Pipeline,
    declared: &Declared,
) -> Result<Vec<Request>> {
    let cluster = &declared.cluster;
    let mut all: Vec<Request> = context_request(root, config, cluster).into_iter().collect();
    for secret in seeded_secrets(root, config, cluster)? {
        for (key, value) in &secret.values {
            all.extend(value_requests(root, cluster, &secret, key, value)?);
        }
    }
    let encrypted = declared.kustomizations.iter().filter(|kustomization| {
        kustomization.is_here && kustomization.object.data["spec"]["decryption"]["provider"] == "sops"
    });
    for kustomization in encrypted {
        let purpose = format!("decrypting what {} builds", kustomization.id);
        let request = Request::new(RequestKind::Keys, KEYS, purpose);
        let location = declared.place(&kustomization.id, "spec.decryption");
        all.push(Request { location, ..request });
    }
    for stage in &pipeline.stages {
        for spec in &stage.steps {
            if let StepKind::Objects(objects) = &spec.kind
                && holds_encrypted(root, &objects.path(cluster))
            {
                all.push(keys_request(cluster, &stage.name, spec));
            }
            if let StepKind::Command(CommandSpec(argv)) = &spec.kind {
                // An invalid command cannot run: the step reports why.
                let Ok(argv) = command_words(argv, declared) else { continue };
                all.push(command_request(root, cluster, &stage.name, spec, &argv)?);
            }
        }
    }
    Ok(all)
}

/// The user's SOPS keys, for the encrypted objects of a step.
pub fn keys_request(cluster: &str, stage: &str, spec: &StepSpec) -> Request {
    let purpose = format!("decrypting what step {stage}/{} of {cluster} applies", spec.name());
    Request { location: Some(spec.place().clone()), ..Request::new(RequestKind::Keys, KEYS, purpose) }
}

/// The arguments of a command in a task file, with this cluster's name and settings. Every user of the machine
/// can see them: none of them may contain a secret value.
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

/// The kubeconfig context that the repository configures for a cluster; none if it has the name of the cluster,
/// which the user typed.
pub fn context_request(root: &Path, config: &Config, cluster: &str) -> Option<Request> {
    let context = config.context_of(cluster);
    let request = Request::new(RequestKind::Context, context, format!("cluster {cluster}"));
    (context != cluster)
        .then(|| Request { location: place(root, &format!("clusters[\"{cluster}\"].context")), ..request })
}

fn place(root: &Path, field: &str) -> Option<Location> {
    let text = std::fs::read_to_string(root.join(CONFIG)).ok()?;
    let (line, column) = marked_documents(&text).first()?.place(field);
    Some(Location { file: CONFIG.into(), line, column })
}
